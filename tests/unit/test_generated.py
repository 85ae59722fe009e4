"""The committed protobuf module is what the schema gives."""

from pathlib import Path

import pytest

from deploy import protobuf


@pytest.fixture(scope="module")
def generated(tmp_path_factory):
    """The schema, compiled as `make proto` does, elsewhere."""
    out = tmp_path_factory.mktemp("generated")
    protobuf.generate(out)
    return out


@pytest.mark.parametrize("name", protobuf.FILES)
def test_the_committed_module_is_the_schemas(generated, name):
    committed = Path(protobuf.HOME, name).read_bytes()
    assert committed == generated.joinpath(name).read_bytes(), "run `make proto`"


def test_the_schema_is_registered_under_a_name_of_its_own():
    from parley.shared.wire.messages import pb  # noqa: PLC0415 - after the schema was compiled

    assert pb.DESCRIPTOR.name == "parley/wire/messenger.proto"
    assert pb.DESCRIPTOR.package == "parley.wire"
