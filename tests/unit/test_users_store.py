"""The file of a server's users: written by one process, read by all, and nobody waits for it."""

import asyncio
import sqlite3
import stat

from parley.shared.addresses import User
from parley.shared.trust.devices import sign_list
from parley.shared.trust.keys import PrivateKey
from parley.shared.trust.names import Change, Name, changed
from parley.shared.trust_storage.users import UserStore
from parley.shared.trust_storage.users_file import News, UsersFile

HOME, DEVICE = PrivateKey(b"\1" * 32), PrivateKey(b"\2" * 32)
ALICE = changed(Name("alice"), Change.OWN, DEVICE.public, 0.0, 1)


class Heard:
    """What a store told."""

    def __init__(self):
        self.users, self.lists, self.failures = set(), [], []
        self.event = asyncio.Event()

    def changed(self, users, lists):
        self.users |= users
        self.lists += lists
        self.event.set()

    def failed(self, error):
        self.failures.append(error)
        self.event.set()


async def _opened(directory, **more):
    heard = Heard()
    return UserStore(directory, changed=heard.changed, failed=heard.failed, **more), heard


def test_a_name_counts_at_once_and_after_a_restart(tmp_path):
    async def run():
        store, _ = await _opened(tmp_path)
        assert store.put(ALICE)
        assert store.of("alice") is ALICE
        store.note_claim("10.0.0.1")
        store.close()
        again, _ = await _opened(tmp_path)
        assert again.of("alice") == ALICE
        assert again.fresh == 1
        assert list(again.claims.by_address) == ["10.0.0.1"]
        again.close()

    asyncio.run(run())
    assert stat.S_IMODE((tmp_path / "users.db").stat().st_mode) == 0o600


def test_another_process_hears_of_each_change(tmp_path):
    async def run():
        chat, _ = await _opened(tmp_path)
        typing, heard = await _opened(tmp_path)
        chat.put(ALICE)
        chat.put_list(sign_list(HOME, User("bob", "beta"), [], number=3, now=1.0), HOME.public)
        async with asyncio.timeout(5):
            while typing.of("alice") != ALICE or not typing.lists.of(User("bob", "beta")):
                await heard.event.wait()
                heard.event.clear()
        assert heard.users == {"alice"}
        assert [each.number for each in heard.lists] == [3]
        chat.close()
        typing.close()

    asyncio.run(run())


def test_what_a_command_wrote_counts_for_the_running_process(tmp_path):
    async def run():
        store, heard = await _opened(tmp_path)
        with UsersFile(tmp_path) as file:
            file.put([ALICE])
        async with asyncio.timeout(5):
            await heard.event.wait()
        assert store.of("alice") == ALICE
        store.close()

    asyncio.run(run())


def test_an_old_device_list_never_replaces_a_newer_one_on_disk(tmp_path):
    new, old = (sign_list(HOME, User("bob", "beta"), [], number=n, now=1.0) for n in (4, 3))
    with UsersFile(tmp_path) as file:
        file.put([], [new])
        file.put([], [old])
        assert [each.number for each in file.news(-1).lists] == [4]


def test_a_file_that_cannot_be_used_is_told_and_all_goes_on_in_memory(tmp_path):
    (tmp_path / "users.db").write_bytes(b"no database" * 100)

    async def run():
        store, heard = await _opened(tmp_path)
        assert isinstance(heard.failures[0], sqlite3.Error)
        assert store.put(ALICE)
        assert store.of("alice") is ALICE
        store.close()

    asyncio.run(run())


def test_a_file_that_is_gone_is_made_again_with_all_names(tmp_path):
    async def run():
        store, _ = await _opened(tmp_path)
        store.put(ALICE)
        store.close()
        store, _ = await _opened(tmp_path)
        for path in tmp_path.glob("users.db*"):
            path.unlink()
        store.put(Name("bob", plain_at=0.0))
        store.close()

    asyncio.run(run())
    with UsersFile(tmp_path) as file:
        assert {name.user_id for name in file.news(-1).names} == {"alice", "bob"}


def test_what_was_read_before_our_own_write_takes_nothing_back(tmp_path):
    async def run():
        store, _ = await _opened(tmp_path)
        store.put(Name("alice", revoked=(b"k" * 32,), number=2))
        store.close()
        assert not store._unwritten
        store._read(News(1, [Name("alice", number=1)], []), store._written)  # it waited for the loop meanwhile
        assert store.of("alice").revoked
        store._read(News(2, [Name("alice", number=3)], []), store._written)
        assert store.of("alice").number == 3

    asyncio.run(run())


def test_no_more_names_are_remembered_than_there_may_be(tmp_path):
    async def run():
        store, _ = await _opened(tmp_path, most=2)
        assert [store.put(Name(f"u{n}", number=1)) for n in range(3)] == [True, True, False]
        assert store.put(Name("u0", number=2))
        store.close()

    asyncio.run(run())


def test_programs_without_a_key_leave_room_for_names_with_one(tmp_path):
    async def run():
        store, _ = await _opened(tmp_path, most=4)
        assert [store.put(Name(f"u{n}", plain_at=0.0)) for n in range(3)] == [True, True, False]
        assert [store.put(Name(f"k{n}", number=1)) for n in range(3)] == [True, True, False]
        assert store.put(Name("u0", number=1))
        store.close()

    asyncio.run(run())


def test_names_of_which_nothing_is_to_be_remembered_go(tmp_path):
    async def run():
        store, _ = await _opened(tmp_path)
        store.put(Name("alice"))
        store.put(Name("bob", plain_at=store.age))
        store.forget_unneeded()
        assert list(store.names) == ["bob"]
        store.close()

    asyncio.run(run())
    with UsersFile(tmp_path) as file:
        assert [name.user_id for name in file.news(-1).names] == ["bob"]
