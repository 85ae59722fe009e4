"""A message's state is changed in one module alone, that of its table."""

import ast

import pytest

from parley.services.chat.message.life import DURABILITY, LIFE, Durability, Effect, Input, State, Write
from tests.house.sources import ROOT

LIFE_MODULE = ROOT / "services/chat/message/life.py"
STATE = {
    "state", "durability", "last_status", "promised", "due", "sent_to", "attempts", "in_pieces", "was_whole",
    "was_kept", "is_repeat", "is_retried_by_origin",
}  # fmt: skip
"""What changes of an envelope; its number and size are given once."""


def assigned(source):
    """The attributes of something that is not the object itself to which a module assigns."""
    found = []
    for node in ast.walk(ast.parse(source)):
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        if isinstance(node, ast.Assign | ast.AugAssign | ast.AnnAssign | ast.NamedExpr | ast.For):
            for target in targets:
                stores = (each for each in ast.walk(target) if isinstance(each, ast.Attribute))
                stores = (each for each in stores if isinstance(each.ctx, ast.Store))
                found += [(each.attr, ast.unparse(each.value), each.lineno) for each in stores]
        if isinstance(node, ast.Call) and ast.unparse(node.func) in {"setattr", "object.__setattr__"}:
            found.append((ast.unparse(node.args[1]).strip("'\""), ast.unparse(node.args[0]), node.lineno))
    return [(name, owner, line) for name, owner, line in found if name in STATE and owner != "self"]


@pytest.mark.parametrize(
    "path", sorted((ROOT / "services/chat").rglob("*.py")), ids=lambda path: str(path.relative_to(ROOT))
)
def test_no_other_module_changes_a_messages_state(path):
    if path != LIFE_MODULE:
        assert assigned(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "line",
    ["envelope.state = 1", "a.b.attempts += 1", "x, each.due = 1, 2.0", "setattr(it, 'promised', 3)"],
)
def test_a_change_elsewhere_is_found(line):
    assert len(assigned(line)) == 1


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
