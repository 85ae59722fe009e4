"""How people see who wrote: marks, a field for programs, and lines about what was refused."""

import pytest

from parley.cli.people import receive
from parley.cli.people.devices import named
from parley.cli.people.refusal_notices import BURST, RATE, RefusalNotices
from parley.cli.people.wording import describe, explain
from parley.shared.addresses import Group, User
from parley.shared.errors import ConfigError
from parley.shared.trust.devices import Device
from parley.shared.trust.keys import fingerprint
from parley.shared.wire.messages import pb

ALICE, BOB, CREW = User("alice", "alpha"), User("bob", "beta"), Group("crew", "beta")
NOW = 1_800_000_000.0


def message(assurance=pb.ChatMessage.UNSIGNED, **content):
    said = pb.ChatMessage(messageSnowflake=1, author=BOB.to_pb(), user=ALICE.to_pb(), assurance=assurance)
    said.MergeFrom(pb.ChatMessage(**(content or {"textContent": "hi (unsigned)"})))
    return said


@pytest.mark.parametrize(
    ("assurance", "mark", "word"),
    [
        (pb.ChatMessage.SIGNED, "", "signed"),
        (pb.ChatMessage.UNSIGNED, " (unsigned)", "unsigned"),
        (pb.ChatMessage.UNPROVEN, " (unproven)", "unproven"),
        (pb.ChatMessage.MISSING, " (signature missing)", "missing"),
        (pb.ChatMessage.REVOKED, " (by a device that was revoked since)", "revoked"),
    ],
)
def test_each_assurance_has_its_mark_and_its_word(assurance, mark, word):
    said = message(assurance)
    assert describe(said) == f"bob@beta{mark}: hi (unsigned)"
    assert describe(said, is_marked=False) == "bob@beta: hi (unsigned)"
    assert receive._fields(said, "")["assurance"] == word


def test_a_document_and_a_message_to_a_group_are_marked_too():
    document = message(document=pb.Document(filename="map.txt", data=b"12"))
    assert describe(document) == "bob@beta (unsigned): [document map.txt, 2 bytes]"
    said = message()
    said.userOfGroup.CopyFrom(pb.UserOfGroup(user=ALICE.to_pb(), group=CREW.to_pb()))
    assert describe(said) == "bob@beta (unsigned) in #crew@beta: hi (unsigned)"


def test_each_assurance_of_the_schema_has_a_word_and_all_but_two_a_mark():
    """A forged message is not shown at all."""
    marked = {
        name
        for name, number in pb.ChatMessage.Assurance.items()
        if describe(message(number)) != describe(message(number), is_marked=False)
    }
    assert marked == set(pb.ChatMessage.Assurance.keys()) - {"SIGNED", "FORGED"}


def test_a_forged_message_is_told_in_one_line_and_a_flood_of_them_in_few():
    now, told = [0.0], []
    notices = RefusalNotices(told.append, lambda: now[0])
    forged = message(pb.ChatMessage.FORGED)
    notices.forged(forged)
    assert told == ["parley: refused: a message in the name of bob@beta that no device of bob@beta signed"]
    for _ in range(1000):
        notices.forged(forged)
    assert len(told) == BURST
    now[0] += 1 / RATE
    notices.replayed(forged)
    assert len(told) == BURST + 1
    assert told[-1].endswith(f" ({1001 - int(BURST)} more like that were refused)")
    assert "an old message of bob@beta" in told[-1]


# What to do ------------------------------------------------------------------------------------------------


def test_who_is_no_member_is_told_how_to_join():
    told = explain("USER_BLOCKED", CREW)
    assert "parley group join '#crew@beta'" in told
    assert "/join #crew@beta" in told


def test_where_several_devices_have_a_name_one_is_named_by_its_key():
    devices = [Device(bytes([number]) * 32, "vm", 0) for number in (1, 2)]
    with pytest.raises(ConfigError) as told:
        named(devices, "VM")
    assert f"parley device revoke {fingerprint(devices[0].key)[:4]}-…" in str(told.value)
    assert named(devices, fingerprint(devices[1].key)[:4]) is devices[1]
