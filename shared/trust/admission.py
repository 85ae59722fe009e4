"""Admission of users: one table of who comes and the state of the name, under a policy for new names and a mode.

| policy (`users`) | a new name |
|---|---|
| `claim` | is the first key's that uses it |
| `approve` | is noted, and let in once the operator approves it |
| `account` | is let in where the operator added it |
| `open` | is nobody's: keys use it as plain programs do |

A name that is owned stays owned under each policy. In mode `open` there are no keys, and everybody is let in; in
mode `strict` nobody is without a key, token or password.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, IntEnum
from typing import Final

from parley.shared.trust.assurance import Basis
from parley.shared.trust.names import Change, Comer, State


class Policy(Enum):
    """The rule for new names."""

    CLAIM = "claim"
    APPROVE = "approve"
    ACCOUNT = "account"
    OPEN = "open"


class Mode(Enum):
    """security.mode."""

    OPEN = "open"
    MIXED = "mixed"
    STRICT = "strict"


class Refusal(IntEnum):
    """Why somebody is not let in: the numbers of ConnectResponse.Refusal."""

    NAME_TAKEN = 1
    NEW_DEVICE = 2
    REVOKED = 3
    APPROVAL_NEEDED = 4
    PLAIN_REFUSED = 5
    PASSWORD_WRONG = 6
    SLOW_DOWN = 7
    SESSION_OVER = 8
    NO_ACCOUNT = 9
    NO_PROOF = 10
    RESET = 11

    @property
    def word(self) -> str:
        """For metrics and the log."""
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether somebody is let in, how they are known then, and what changes."""

    basis: Basis | None = None
    """None: not let in."""
    refusal: Refusal | None = None
    change: Change = Change.NONE

    @property
    def is_in(self) -> bool:
        """Whether they are let in."""
        return self.basis is not None


Cell = Verdict | Mapping[Policy, Verdict]


def _in(basis: Basis, change: Change = Change.NONE) -> Verdict:
    return Verdict(basis, None, change)


def _out(refusal: Refusal, change: Change = Change.NONE) -> Verdict:
    return Verdict(None, refusal, change)


def _by_policy(claim: Verdict, approve: Verdict, account: Verdict, open_: Verdict) -> Cell:
    return {Policy.CLAIM: claim, Policy.APPROVE: approve, Policy.ACCOUNT: account, Policy.OPEN: open_}


def _everywhere(cell: Cell) -> dict[State, Cell]:
    return dict.fromkeys(State, cell)


_PLAIN: Final = _in(Basis.PLAIN, Change.NOTE_PLAIN)
_ASKED: Final = _out(Refusal.APPROVAL_NEEDED, Change.ASK)
_NONE_HERE: Final = _out(Refusal.NO_ACCOUNT)
_NEW_PLAIN: Final = _by_policy(_PLAIN, _out(Refusal.APPROVAL_NEEDED), _NONE_HERE, _PLAIN)
_BESIDE: Final = _by_policy(_in(Basis.SHARED, Change.SHARE), _ASKED, _NONE_HERE, _in(Basis.SHARED))
_STILL_BESIDE: Final = _by_policy(
    _in(Basis.SHARED, Change.USE),
    _out(Refusal.APPROVAL_NEEDED, Change.USE),
    _NONE_HERE,
    _in(Basis.SHARED, Change.USE),
)

TABLE: Final[Mapping[Comer, Mapping[State, Cell]]] = {
    Comer.PLAIN: {
        State.FREE: _NEW_PLAIN,
        State.CLAIMED: _NEW_PLAIN,
        State.PLAIN_HELD: _PLAIN,
        State.SHARED: _PLAIN,
        State.OWNED: _out(Refusal.NAME_TAKEN),
    },
    Comer.KNOWN_KEY: {State.OWNED: _in(Basis.SEEN, Change.USE)},
    Comer.CLAIMED_KEY: {
        State.CLAIMED: _by_policy(
            _in(Basis.SEEN, Change.OWN),
            _out(Refusal.APPROVAL_NEEDED, Change.USE),
            _NONE_HERE,
            _in(Basis.SHARED, Change.USE),
        ),
        State.SHARED: _STILL_BESIDE,
        State.OWNED: _out(Refusal.NEW_DEVICE),
    },
    Comer.NEW_KEY: {
        State.FREE: _by_policy(_in(Basis.SEEN, Change.OWN), _ASKED, _NONE_HERE, _in(Basis.SHARED)),
        State.CLAIMED: _BESIDE,
        State.PLAIN_HELD: _BESIDE,
        State.SHARED: _BESIDE,
        State.OWNED: _out(Refusal.NEW_DEVICE),
    },
    Comer.REVOKED_KEY: _everywhere(_out(Refusal.REVOKED)),
    Comer.SESSION: _everywhere(_out(Refusal.SESSION_OVER)) | {State.OWNED: _in(Basis.SESSION)},
    Comer.DEAD_SESSION: _everywhere(_out(Refusal.SESSION_OVER)),
    Comer.PASSWORD: _everywhere(_out(Refusal.PASSWORD_WRONG)) | {State.OWNED: _in(Basis.SESSION)},
    Comer.PASSWORD_AND_KEY: _everywhere(_out(Refusal.PASSWORD_WRONG))
    | {State.OWNED: _in(Basis.SESSION, Change.ADD_DEVICE)},
    Comer.PASSWORD_WRONG: _everywhere(_out(Refusal.PASSWORD_WRONG)),
}
"""Comer → state of the name → verdict, or a verdict for each policy. What is missing cannot happen."""


def decide(comer: Comer, state: State, policy: Policy, mode: Mode) -> Verdict:
    """The verdict. KeyError where it cannot happen: a key that owns a name that nobody owns."""
    if mode is Mode.OPEN:
        return _in(Basis.PLAIN) if state is State.OWNED else _PLAIN
    cell = TABLE[comer][state]
    if mode is Mode.STRICT and comer is Comer.PLAIN:
        return _out(Refusal.PLAIN_REFUSED)
    return cell if isinstance(cell, Verdict) else cell[policy]
