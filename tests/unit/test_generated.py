"""The committed protobuf module is what the schema gives."""

from pathlib import Path

import pytest
from grpc_tools import protoc

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def generated(tmp_path_factory):
    """The schema, compiled as `make proto` does, elsewhere."""
    out = tmp_path_factory.mktemp("generated")
    arguments = ["protoc", f"-I{ROOT}", f"--python_out={out}", f"--pyi_out={out}", "proto/messenger.proto"]
    assert protoc.main(arguments) == 0
    return out / "proto"


@pytest.mark.parametrize("name", ["messenger_pb2.py", "messenger_pb2.pyi"])
def test_the_committed_module_is_the_schemas(generated, name):
    committed = (ROOT / "proto" / name).read_bytes()
    assert committed == generated.joinpath(name).read_bytes(), "run `make proto`"
