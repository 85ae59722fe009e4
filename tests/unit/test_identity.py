"""A node's key on disk: made once, the same for all its processes, never replaced by itself."""

import pytest

from parley.shared.errors import StorageError
from parley.shared.trust_storage.identity import find_identity, have_identity, identity_path


def test_whoever_is_first_makes_it_and_all_have_it(tmp_path):
    assert find_identity(tmp_path, "alpha") is None
    made = have_identity(tmp_path, "alpha")
    assert have_identity(tmp_path, "alpha").public == find_identity(tmp_path, "alpha").public == made.public
    assert have_identity(tmp_path, "beta").public != made.public
    assert identity_path(tmp_path, "alpha").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("content", [b"", b"half of a k", b"\xff" * 65])
def test_a_damaged_key_is_no_reason_for_another_one(tmp_path, content):
    have_identity(tmp_path, "alpha")
    path = identity_path(tmp_path, "alpha")
    path.write_bytes(content)
    with pytest.raises(StorageError, match=r"identity is damaged: restore it from a backup"):
        have_identity(tmp_path, "alpha")
    assert path.read_bytes() == content
    assert find_identity(tmp_path, "alpha") is None


@pytest.mark.parametrize("name", ["", ".", "..", "../alpha", "alpha/.", "/etc", "alpha/../alpha"])
def test_a_name_that_somebody_sent_is_no_path(tmp_path, name):
    have_identity(tmp_path, "alpha")
    assert find_identity(tmp_path / "beside", name) is None
    assert find_identity(tmp_path, name) is None


def test_a_disk_that_takes_nothing_is_told_in_one_line(tmp_path):
    (tmp_path / "alpha").write_text("a file")
    with pytest.raises(StorageError, match=r"cannot keep this node's key in .*alpha/identity"):
        have_identity(tmp_path, "alpha")
