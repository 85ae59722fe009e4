"""Servers' names are compared without case and composition; what goes on is spelt as its server spells it."""

import unicodedata

import pytest

from parley.shared.addresses import User
from parley.shared.spellings import MOST, ByName, Spellings
from parley.shared.wire.messages import pb

COMPOSED, DECOMPOSED = unicodedata.normalize("NFC", "bücher"), unicodedata.normalize("NFD", "bücher")


@pytest.fixture
def spellings():
    it = Spellings()
    it.learn_own("Alpha")
    it.learn(["beta", COMPOSED])
    return it


@pytest.mark.parametrize(
    ("said", "spelt"),
    [
        ("alpha", "Alpha"),
        ("ALPHA", "Alpha"),
        ("Alpha", "Alpha"),
        ("BETA", "beta"),
        (DECOMPOSED, COMPOSED),
        ("BÜCHER", COMPOSED),
        ("gamma", "gamma"),
        ("Gamma", "Gamma"),
        ("", ""),
        ("alpha.", "alpha."),
    ],
)
def test_a_name_is_spelt_as_its_server_spells_it(spellings, said, spelt):
    assert spellings.of(said) == spelt
    assert spellings.user(User("bob", said)) == User("bob", spelt)


def test_the_first_spelling_stays_but_for_our_own(spellings):
    spellings.learn(["BETA", "ALPHA"])
    assert (spellings.of("Beta"), spellings.of("alpha")) == ("beta", "Alpha")
    spellings.learn_own("BETA")
    assert spellings.of("beta") == "BETA"


def test_names_without_end_are_bounded(spellings):
    spellings.learn(f"server{number}" for number in range(2 * MOST))
    assert spellings.of("SERVER1") == "server1"
    assert spellings.of(f"SERVER{2 * MOST - 1}") == f"SERVER{2 * MOST - 1}"


def named(server_id):
    return {"userId": "bob", "serverId": server_id}


def group(server_id):
    return {"groupId": "crew", "serverId": server_id}


PAYLOADS = [
    lambda s: pb.ChatMessage(author=named(s), user=named(s), textContent="x"),
    lambda s: pb.ChatMessage(author=named(s), group=group(s)),
    lambda s: pb.ChatMessage(author=named(s), userOfGroup={"user": named(s), "group": group(s)}),
    lambda s: pb.ChatMessageResponse(author=named(s), group=group(s), statuses=[{"user": named(s), "status": 1}]),
    lambda s: pb.QueryUsersResponse(users=[named(s), named(s)]),
    lambda s: pb.JoinGroup(user=named(s), group=group(s)),
    lambda s: pb.LeaveGroup(user=named(s), group=group(s)),
    lambda s: pb.QueryGroupMembers(user=named(s), group=group(s)),
    lambda s: pb.GroupMembers(asker=named(s), group=group(s), user=[named(s), named(s)]),
    lambda s: pb.ChangeBlock(user=named(s)),
    lambda s: pb.TypingEvents(
        typing_events=[{"user": named(s), "to_user": named(s)}], stopped=[{"user": named(s)}]
    ),
    lambda s: pb.TypingEvent(user=named(s), to_member={"user": named(s), "group": group(s)}),
    lambda s: pb.TypingEvent(user=named(s), to_group=group(s)),
    lambda s: pb.LiveLocations(extended_live_locations=[{"live_location": {"author": named(s), "user": named(s)}}]),
    lambda s: pb.LiveLocation(author=named(s), userOfGroup={"user": named(s), "group": group(s)}),
]


@pytest.mark.parametrize("make", PAYLOADS)
def test_every_name_in_a_payload_is_corrected(spellings, make):
    said = make("ALPHA")
    assert spellings.correct(said)
    assert said == make("Alpha")
    assert not spellings.correct(said)


def test_nobody_is_added_where_nobody_is_named(spellings):
    message = pb.ChatMessage(textContent="x")
    assert not spellings.correct(message)
    assert message == pb.ChatMessage(textContent="x")


def test_a_table_by_name_knows_it_however_it_is_spelt():
    table = ByName()
    table["Alpha"] = 1
    table["ALPHA"] = 2
    assert (table["alpha"], list(table), len(table), "aLPHA" in table) == (2, ["Alpha"], 1, True)
    assert table.setdefault("alpha", 3) == 2
    assert table.pop("alpha") == 2
    assert "Alpha" not in table
    assert table.get("Alpha") is None
    table["alpha"] = 4
    assert list(table) == ["alpha"]
