"""A message's state is changed in one module alone, that of its table."""

import ast

import pytest

from parley.services.chat.message.life import DURABILITY, LIFE, Durability, Effect, Envelope, Input, State, Write
from parley.shared.addresses import User
from tests.house.sources import ROOT

LIFE_MODULE = ROOT / "services/chat/message/life.py"
GIVEN_ONCE = {
    "arrived", "author", "group", "id", "key", "origin", "raw", "recipient", "reply_to", "size", "snowflake",
}  # fmt: skip
"""What an envelope is given with its contents; its number and size come with its place in the mailbox."""
STATE = set(Envelope.__slots__) - GIVEN_ONCE
SETTERS = {"setattr", "delattr", "__setattr__", "__delattr__", "__set__", "__delete__"}
"""What changes an attribute that is not written out; chat needs none of them."""


def changes(source):
    """The lines at which a module changes a message: assigns to what is state, in whatever way, or deletes it."""
    tree = ast.parse(source)
    others = {id(node) for each in ast.walk(tree) if is_no_message(each) for node in ast.walk(each)}
    """What stands in a class that is no message: its `self` is none either."""
    found = []
    for node in ast.walk(tree):
        name = node.id if isinstance(node, ast.Name) else getattr(node, "attr", "")
        is_own = isinstance(node, ast.Attribute) and ast.unparse(node.value) == "self" and id(node) in others
        is_changed = name in STATE and isinstance(node, ast.Attribute) and not isinstance(node.ctx, ast.Load)
        if name in SETTERS or (is_changed and not is_own):
            found.append((name, node.lineno))
    return found


def is_no_message(node):
    """Whether something is a class that is no kind of Envelope."""
    return isinstance(node, ast.ClassDef) and not {ast.unparse(base) for base in node.bases} & {"Envelope", "Copy"}


@pytest.mark.parametrize(
    "path", sorted((ROOT / "services").rglob("*.py")), ids=lambda path: str(path.relative_to(ROOT))
)
def test_no_other_module_changes_a_messages_state(path):
    if path != LIFE_MODULE:
        assert changes(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "line",
    [
        "envelope.state = 1",
        "a.b.attempts += 1",
        "x, (each.due, *y) = 1, (2.0, 3)",
        "setattr(it, 'promised', 3)",
        "setattr(it, name, 3)",
        "object.__setattr__(it, 'promised', 3)",
        "put = setattr",
        "Envelope.state.__set__(it, 1)",
        "del it.promised",
        "with held() as it.sent_to: pass",
        "for it.due in times: pass",
        "[0 for it.due in times]",
        "async def f():\n  async with held() as it.sent_to: pass",
        "self.state = 1",
        "class Other(Envelope):\n  def f(self): self.state = 1",
        "class Other:\n  def f(self): self.envelope.state = 1",
    ],
)
def test_a_change_elsewhere_is_found(line):
    assert len(changes(line)) == 1


@pytest.mark.parametrize(
    "line", ["envelope.state", "envelope.raw = b''", "state = 1", "class Lane:\n  def f(self): self.state = 1"]
)
def test_what_changes_no_message_is_not_found(line):
    assert changes(line) == []


def test_what_changes_of_a_message_cannot_be_changed_in_place():
    """A list would be changed by who only reads it here."""
    envelope = Envelope(User("alice", "alpha"), 1, User("bob", "beta"), b"")
    assert all(getattr(envelope, name).__hash__ is not None for name in STATE)


def test_every_state_is_reached_and_knows_what_can_happen_to_it():
    assert set(LIFE) == set(State)
    assert set(DURABILITY) == set(Durability)
    reached = {state for rows in LIFE.values() for state, _effect in rows.values()} | {State.ACCEPTED}
    assert reached == set(State)
    assert {event for rows in LIFE.values() for event in rows} == set(Input)
    assert all(set(rows) == set(Write) for rows in DURABILITY.values())


def test_what_is_over_stays_over_and_is_refused_no_more():
    for state in (State.ANSWERED, State.EXPIRED):
        assert {after for after, _effect in LIFE[state].values()} == {state}
        assert Effect.REFUSE not in {effect for _after, effect in LIFE[state].values()}


@pytest.mark.parametrize("before", [State.IN_FLIGHT, State.TAKEN])
def test_no_order_of_another_servers_answers_is_missing(before):
    """A server may name no author first and one later, or the other way round: no answer of it is a KeyError."""
    assert {Input.TAKEN, Input.RETURNED, Input.PERSISTED, Input.NOT_PERSISTED} <= set(LIFE[before])
    returned = LIFE[before][Input.RETURNED][0]
    assert {Input.ANSWERED, Input.HANDED_OVER, Input.PERSISTED, Input.NOT_PERSISTED} <= set(LIFE[returned])
