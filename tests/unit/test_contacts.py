"""Contacts whose keys a client remembers, and the changes of which it tells."""

import asyncio

import pytest

from parley.client.contacts.contacts import Contacts
from parley.client.contacts.contacts_file import ContactsFile
from parley.client.contacts.continuity import Contact, KeyChange, listed, met, wrote
from parley.shared.addresses import User
from parley.shared.telemetry import logs
from parley.shared.trust.devices import Device, How, confirm, sign_list
from parley.shared.trust.keys import PrivateKey
from parley.shared.trust.names import Change, Name, changed, lapsed, owned_by, reset, revoked
from tests.support.wired import run

ALICE = User("alice", "alpha")
HOME, A, B, C, D = (PrivateKey(bytes([n]) * 32) for n in range(1, 6))
FREED, GIVEN_AWAY, OTHER_KEY = KeyChange.FREED, KeyChange.GIVEN_AWAY, KeyChange.OTHER_KEY
LATER = 30 * 86400.0


def told(name):
    """The list that alice's server tells of her name."""
    return sign_list(
        HOME,
        ALICE,
        [each.device for each in name.owners],
        number=name.number,
        now=0,
        reset=name.reset,
        sessions_from=name.sessions_from,
        revoked=name.revoked,
    )


def claimed(key, name=None):
    return changed(name or Name("alice"), Change.OWN, key.public, 0.0, 0)


def with_device(name, by, key):
    return owned_by(name, confirm(by, ALICE, key.public, "", 0), 0.0)


FIRST = claimed(A)
FREE = reset(FIRST)
SECOND = claimed(B, FREE)


@pytest.mark.parametrize(
    ("name", "key", "change"),
    [
        (FIRST, A, None),
        (with_device(FIRST, A, B), B, None),
        (revoked(with_device(FIRST, A, B), A.public), B, None),
        (revoked(with_device(FIRST, A, B), A.public), A, None),
        (with_device(revoked(with_device(FIRST, A, B), A.public), B, C), C, None),
        (owned_by(revoked(FIRST, A.public), Device(B.public, "", 0, How.PASSWORD), 0.0), B, None),
        (SECOND, B, GIVEN_AWAY),
        (FREE, B, GIVEN_AWAY),
        (revoked(with_device(SECOND, B, C), B.public), C, GIVEN_AWAY),
        (claimed(B, lapsed(FIRST, LATER)), B, OTHER_KEY),
        (claimed(B, revoked(FIRST, A.public)), B, OTHER_KEY),
        (FIRST, B, OTHER_KEY),
    ],
)
def test_a_message_of_another_key_tells_how_its_author_is_another_device_and_once(name, key, change):
    contact, found = wrote(met(A.public, told(FIRST)), key.public, told(name))
    assert found is change
    assert wrote(contact, key.public, told(name)) == (contact, None)


@pytest.mark.parametrize("before", [None, told(FIRST)])
def test_another_key_is_noticed_where_no_list_tells_of_it(before):
    contact, change = wrote(met(A.public, before), B.public, before)
    assert change is OTHER_KEY
    assert wrote(contact, A.public, before)[1] is None


def test_a_reset_is_told_when_the_list_comes_and_again_when_somebody_has_the_name():
    contact, change = listed(met(A.public, told(FIRST)), told(FREE))
    assert change is FREED
    assert listed(contact, told(FREE))[1] is None
    contact, change = listed(contact, told(SECOND))
    assert change is GIVEN_AWAY
    assert wrote(contact, B.public, told(SECOND))[1] is None
    after = with_device(SECOND, B, C)
    contact, change = listed(contact, told(after))
    assert change is None
    assert wrote(contact, C.public, told(after))[1] is None


def test_a_reset_from_before_somebody_was_met_is_no_change():
    contact = met(B.public, None)
    contact, change = listed(contact, told(SECOND))
    assert change is None
    passed_on = revoked(with_device(SECOND, B, C), B.public)
    assert wrote(contact, C.public, told(passed_on))[1] is None


def test_an_older_list_changes_nothing():
    contact = met(B.public, told(SECOND))
    assert listed(contact, told(FIRST)) == (contact, None)


# Kept --------------------------------------------------------------------------------------------------------


def contacts(path, most=100):
    changes = []
    kept = Contacts(logs.get(), lambda user, change: changes.append((user, change)), most)
    kept.begin(path)
    return kept, changes


def test_another_key_is_noticed_after_a_restart_and_told_once(tmp_path):
    path = tmp_path / "contacts" / "bob@beta.db"

    async def story():
        kept, changes = contacts(path)
        kept.wrote(ALICE, A.public, told(FIRST))
        await kept.end()
        for expected in ([(User("alice", "Alpha"), GIVEN_AWAY)], []):
            kept, changes = contacts(path)
            kept.wrote(User("alice", "Alpha"), B.public, told(SECOND))
            assert changes == expected
            await kept.end()

    run(story())
    assert path.stat().st_mode & 0o777 == 0o600
    assert b"alice" not in path.read_bytes()


def test_whoever_was_written_to_is_known_and_of_others_nothing_is_kept(tmp_path):
    async def story():
        kept, changes = contacts(tmp_path / "bob.db")
        kept.listed(ALICE, told(FIRST), is_asked=True)
        kept.listed(ALICE, told(FREE), is_asked=False)
        assert changes == [(ALICE, FREED)]
        kept.listed(User("carol", "alpha"), told(FIRST), is_asked=False)
        assert len(kept) == 1
        await kept.end()

    run(story())


def test_the_longest_silent_is_forgotten_beyond_the_bound(tmp_path):
    async def story():
        kept, _ = contacts(tmp_path / "bob.db", most=2)
        for number in range(5):
            kept.wrote(User(f"u{number}", "alpha"), A.public, None)
        assert len(kept) == 2
        await kept.end()

    run(story())
    with ContactsFile(tmp_path / "bob.db", most=2) as file:
        file.add({b"x": Contact((A.public,))})
        assert len(list(file.read())) == 2


def test_what_another_program_knows_by_a_newer_list_stays(tmp_path):
    with ContactsFile(tmp_path / "bob.db") as file:
        file.add({b"x": Contact((B.public,), 3)})
        file.add({b"x": Contact((A.public,), 1)})
        assert list(file.read()) == [(b"x", Contact((B.public,), 3))]


@pytest.mark.parametrize("content", [b"no database", b""])
def test_a_file_that_cannot_be_used_leaves_all_in_memory(tmp_path, content):
    path = tmp_path / "bob.db"
    path.write_bytes(content)
    if not content:
        path.unlink()
        path.mkdir()

    async def story():
        kept, changes = contacts(path)
        kept.wrote(ALICE, A.public, None)
        kept.wrote(ALICE, B.public, None)
        assert changes == [(ALICE, OTHER_KEY)]
        await kept.end()
        await asyncio.sleep(0)

    run(story())
