"""The life of a link as a table: state × input → state, effect (protocol.md, "How a link lives"). Pure data."""

from __future__ import annotations

from enum import Enum, auto
from typing import Final


class State(Enum):
    """Where a link stands in its life."""

    ACCEPTED = auto()
    """The other side dialled; its CONNECT is awaited."""
    DECIDING = auto()
    """The other side's CONNECT is here; our side has to accept or refuse it."""
    SECURING = auto()
    """We dialled, with TLS; the acceptor's HELLO is awaited."""
    PROVING = auto()
    """The acceptor's HELLO is here; our side has to send its CONNECT, or to trust it not."""
    DIALLED = auto()
    """We dialled and sent our CONNECT; CONNECTED is awaited."""
    OPEN = auto()
    CLOSED = auto()


class Input(Enum):
    """The inputs of a link: frames by their meaning, timers, and our own decisions."""

    HELLO = auto()
    CONNECT = auto()
    CONNECTED = auto()
    REFUSED = auto()
    HANGUP = auto()
    PING = auto()
    PONG = auto()
    UNSUPPORTED = auto()
    MESSAGE = auto()
    JOIN = auto()
    """JOIN_FEDERATION, from somebody who is no member so far."""
    FAULT = auto()
    HANDSHAKE_EXPIRED = auto()
    SILENT = auto()
    DEAD = auto()
    PROVE = auto()
    DISTRUST = auto()
    ACCEPT = auto()
    REFUSE = auto()
    HANG_UP = auto()
    LOST = auto()


class Effect(Enum):
    """The effect of a transition; each is a method of Session of that name."""

    HUNG_UP = auto()
    SAY_FAULT = auto()
    SAY_HANDSHAKE_TIMEOUT = auto()
    SAY_EXIT = auto()
    LOSE = auto()
    GREET = auto()
    SAY_CONNECT = auto()
    SAY_UNPROVEN = auto()
    ASK = auto()
    PASS_ON = auto()
    NOT_SUPPORTED = auto()
    NOTE_UNSUPPORTED = auto()
    ADMIT = auto()
    DENY = auto()
    BEGIN = auto()
    WAS_REFUSED = auto()
    PONG = auto()
    IGNORE = auto()
    DENY_SECOND = auto()
    MEASURE = auto()
    PING = auto()
    SAY_TIMEOUT = auto()


def _table(rows: dict[Input, tuple[State, Effect]]) -> dict[Input, tuple[State, Effect]]:
    """Lay the rows that hold in every state that is not closed under those of one state."""
    closed = State.CLOSED
    common: dict[Input, tuple[State, Effect]] = {
        Input.HANGUP: (closed, Effect.HUNG_UP),
        Input.FAULT: (closed, Effect.SAY_FAULT),
        Input.HANDSHAKE_EXPIRED: (closed, Effect.SAY_HANDSHAKE_TIMEOUT),
        Input.HANG_UP: (closed, Effect.SAY_EXIT),
        Input.LOST: (closed, Effect.LOSE),
    }
    return common | rows


# state × input → state, effect. What is missing cannot happen: LocalProtocolError.
TRANSITIONS: Final[dict[State, dict[Input, tuple[State, Effect]]]] = {
    State.SECURING: _table(
        {
            Input.HELLO: (State.PROVING, Effect.GREET),
            Input.PING: (State.SECURING, Effect.PONG),
            Input.PONG: (State.SECURING, Effect.IGNORE),
            Input.CONNECT: (State.SECURING, Effect.NOT_SUPPORTED),
            Input.CONNECTED: (State.SECURING, Effect.NOT_SUPPORTED),
            Input.REFUSED: (State.SECURING, Effect.NOT_SUPPORTED),
            Input.MESSAGE: (State.SECURING, Effect.NOT_SUPPORTED),
            Input.JOIN: (State.SECURING, Effect.NOT_SUPPORTED),
            Input.UNSUPPORTED: (State.SECURING, Effect.NOTE_UNSUPPORTED),
        }
    ),
    State.PROVING: _table(
        {
            Input.PROVE: (State.DIALLED, Effect.SAY_CONNECT),
            Input.DISTRUST: (State.CLOSED, Effect.SAY_UNPROVEN),
        }
    ),
    State.ACCEPTED: _table(
        {
            Input.HELLO: (State.ACCEPTED, Effect.NOT_SUPPORTED),
            Input.CONNECT: (State.DECIDING, Effect.ASK),
            Input.CONNECTED: (State.ACCEPTED, Effect.NOT_SUPPORTED),
            Input.REFUSED: (State.ACCEPTED, Effect.NOT_SUPPORTED),
            Input.PING: (State.ACCEPTED, Effect.NOT_SUPPORTED),
            Input.PONG: (State.ACCEPTED, Effect.NOT_SUPPORTED),
            Input.MESSAGE: (State.ACCEPTED, Effect.NOT_SUPPORTED),
            Input.JOIN: (State.ACCEPTED, Effect.PASS_ON),
            Input.UNSUPPORTED: (State.ACCEPTED, Effect.NOTE_UNSUPPORTED),
        }
    ),
    State.DECIDING: _table(
        {
            Input.ACCEPT: (State.OPEN, Effect.ADMIT),
            Input.REFUSE: (State.ACCEPTED, Effect.DENY),
        }
    ),
    State.DIALLED: _table(
        {
            Input.HELLO: (State.DIALLED, Effect.NOT_SUPPORTED),
            Input.CONNECTED: (State.OPEN, Effect.BEGIN),
            Input.REFUSED: (State.CLOSED, Effect.WAS_REFUSED),
            Input.PING: (State.DIALLED, Effect.PONG),
            Input.PONG: (State.DIALLED, Effect.IGNORE),
            Input.CONNECT: (State.DIALLED, Effect.NOT_SUPPORTED),
            Input.MESSAGE: (State.DIALLED, Effect.NOT_SUPPORTED),
            Input.JOIN: (State.DIALLED, Effect.NOT_SUPPORTED),
            Input.UNSUPPORTED: (State.DIALLED, Effect.NOTE_UNSUPPORTED),
        }
    ),
    State.OPEN: _table(
        {
            Input.HELLO: (State.OPEN, Effect.NOT_SUPPORTED),
            Input.CONNECT: (State.OPEN, Effect.DENY_SECOND),
            Input.CONNECTED: (State.OPEN, Effect.IGNORE),
            Input.REFUSED: (State.OPEN, Effect.IGNORE),
            Input.PING: (State.OPEN, Effect.PONG),
            Input.PONG: (State.OPEN, Effect.MEASURE),
            Input.UNSUPPORTED: (State.OPEN, Effect.NOTE_UNSUPPORTED),
            Input.SILENT: (State.OPEN, Effect.PING),
            Input.DEAD: (State.CLOSED, Effect.SAY_TIMEOUT),
        }
    ),
    State.CLOSED: dict.fromkeys(Input, (State.CLOSED, Effect.IGNORE)),
}
