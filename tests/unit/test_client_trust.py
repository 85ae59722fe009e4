"""The client's keys on disk: made once, private, one for each user at each server."""

import os
import stat
import threading

import pytest

from parley.client.trust.user_directory import UserDirectory
from parley.client.trust.user_trust import UserTrust
from parley.shared.addresses import User
from parley.shared.config import ClientConfig, Config
from parley.shared.trust_storage.key_files import make_key, read_key

ALICE = User("alice", "alpha")


def test_a_key_is_made_once_and_only_its_owner_may_read_it(tmp_path):
    path = tmp_path / "devices" / "alice.key"
    made, is_new = make_key(path)
    again, is_new_again = make_key(path)
    assert (is_new, is_new_again) == (True, False)
    assert made.public == again.public
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert [each.name for each in path.parent.iterdir()] == ["alice.key"]


def test_all_who_make_a_key_at_once_get_the_same(tmp_path):
    found, begin = [], threading.Barrier(8)

    def make():
        begin.wait()
        found.append(make_key(tmp_path / "key"))

    threads = [threading.Thread(target=make) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({key.public for key, _ in found}) == 1
    assert sum(is_new for _, is_new in found) == 1


@pytest.mark.parametrize("content", [b"", b"abc\n", b"0" * 64, b"0" * 200])
def test_a_file_that_holds_no_key_is_never_replaced(tmp_path, content):
    path = tmp_path / "key"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="holds no key"):
        make_key(path)
    assert path.read_bytes() == content


def test_a_link_to_another_file_is_not_followed(tmp_path):
    make_key(tmp_path / "other")
    (tmp_path / "key").symlink_to(tmp_path / "other")
    with pytest.raises(OSError, match="key"):
        read_key(tmp_path / "key")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (User("alice", "alpha"), User("Alice", "alpha")),
        (User("a/b", "alpha"), User("a%2fb", "alpha")),
        (User("a@b", "c"), User("a", "b@c")),
        (User("x" * 255, "alpha"), User("x" * 254 + "y", "alpha")),
    ],
)
def test_two_users_have_two_files(tmp_path, one, other):
    directory = UserDirectory(tmp_path)
    files = {directory.device_file(one), directory.device_file(other)}
    assert len({str(file).lower() for file in files}) == 2
    assert all(file.parent == tmp_path / "devices" and len(file.name) < 255 for file in files)
    assert all(directory.make_device(each)[1] for each in (one, other))


def test_a_server_is_the_same_however_it_is_spelt(tmp_path):
    directory = UserDirectory(tmp_path)
    assert directory.device_file(User("alice", "Alpha")) == directory.device_file(ALICE)


def test_the_directory_is_the_configured_one_or_that_of_the_home(tmp_path):
    environ = {"XDG_DATA_HOME": str(tmp_path)}
    assert UserDirectory.of(Config(), environ).path == tmp_path / "parley"
    config = Config(client=ClientConfig(data_dir=str(tmp_path / "own")))
    assert UserDirectory.of(config, environ).path == tmp_path / "own"
    assert UserDirectory.of(Config(), {"XDG_DATA_HOME": "relative"}).path.parts[-3:] == (
        ".local",
        "share",
        "parley",
    )


def test_all_features_of_a_user_share_their_credentials(tmp_path):
    config = Config(client=ClientConfig(data_dir=str(tmp_path)))
    one = UserTrust.of(ALICE, config)
    assert UserTrust.of(User("alice", "ALPHA"), config) is one
    assert UserTrust.of(User("bob", "alpha"), config) is not one


def test_people_are_told_once_that_the_name_is_theirs_and_not_before_it_is(tmp_path, monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    notices = []
    trust = UserTrust(ALICE, UserDirectory(tmp_path))
    trust.notice = notices.append
    assert trust.device is not None
    assert notices == []
    trust.proven()
    trust.proven()
    (notice,) = notices
    assert notice.startswith("This device has a key now: alice@alpha is yours from here on; ")
    assert notice.endswith("`parley device link --as alice@alpha` adds another.")
    later = UserTrust(ALICE, UserDirectory(tmp_path))
    later.notice = notices.append
    assert later.device.public == trust.device.public
    later.proven()
    assert len(notices) == 1


def test_who_has_no_place_for_a_key_goes_without_and_is_told_once(tmp_path):
    notices = []
    (tmp_path / "file").touch()
    for directory in (None, UserDirectory(tmp_path / "file")):
        trust = UserTrust(ALICE, directory)
        trust.notice = notices.append
        assert trust.device is None
        assert trust.device is None
    assert len(notices) == 2
    assert all(notice.startswith("no key for alice@alpha: ") for notice in notices)


def test_nothing_is_written_before_a_key_is_asked_for(tmp_path):
    directory = UserDirectory(tmp_path / "people")
    UserTrust(ALICE, directory)
    assert not os.path.lexists(directory.path)
