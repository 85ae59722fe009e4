"""A table of transitions as a state diagram of Mermaid, and as rows."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from enum import Enum
from typing import Final

Table = Mapping[Enum, Mapping[Enum, tuple[Enum, Enum]]]
"""State × input → state, effect."""
ANY: Final = "ANY"
"""The diagram's name for every state that is not a last one."""


def state_diagram(table: Table, first: Collection[Enum], last: Collection[Enum]) -> str:
    """The diagram of a table that begins in one of the states `first` and ends in those of `last`.

    An arrow is a change of state, with the inputs that make it. What every state has in common is one arrow. Inputs
    that leave a state as it is are in `transition_rows` only.
    """
    living = [state for state in table if state not in last]
    common = _common([_changes(table, state) for state in living])
    arrows: dict[tuple[str, str], list[str]] = {}
    for given, following in common.items():
        arrows.setdefault((ANY, following.name), []).append(given.name)
    for state in living:
        for given, following in _changes(table, state).items():
            if given not in common:
                arrows.setdefault((state.name, following.name), []).append(given.name)
    lines = [f'    state "any of these" as {ANY}'] if common else []
    lines += [f"    [*] --> {state.name}" for state in first]
    lines += [f"    {here} --> {there}: {'<br/>'.join(inputs)}" for (here, there), inputs in arrows.items()]
    lines += [f"    {state.name} --> [*]" for state in last]
    return "\n".join(["```mermaid", "stateDiagram-v2", *lines, "```"])


def transition_rows(table: Table, last: Collection[Enum]) -> str:
    """The whole table: a row for each input, a column for each state but the last, effect → next state."""
    living = [state for state in table if state not in last]
    inputs = [given for given in type(next(iter(table[living[0]]))) if any(given in table[each] for each in living)]
    rows = [f"| {given.name} | {' | '.join(_cell(table, state, given) for state in living)} |" for given in inputs]
    head = f"| input | {' | '.join(state.name for state in living)} |"
    return "\n".join([head, "|---" * (len(living) + 1) + "|", *rows])


def _changes(table: Table, state: Enum) -> dict[Enum, Enum]:
    return {given: following for given, (following, _) in table[state].items() if following is not state}


def _common(changes: Collection[Mapping[Enum, Enum]]) -> dict[Enum, Enum]:
    """The changes that all have."""
    items = [set(each.items()) for each in changes]
    shared = items[0].intersection(*items[1:]) if len(items) > 1 else set()
    return {given: following for given, following in next(iter(changes)).items() if (given, following) in shared}


def _cell(table: Table, state: Enum, given: Enum) -> str:
    if given not in table[state]:
        return "–"
    following, effect = table[state][given]
    return effect.name if following is state else f"{effect.name} → {following.name}"
