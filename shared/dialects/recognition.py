"""Which dialect a program speaks, from what it says. Pure.

A server is asked about when it is announced, and again when it has dialled us; a client when it connects, and again
with each of its messages for as long as it may be either of two kinds. What the operator says counts for more.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from parley.shared.addresses import Server
from parley.shared.dialects.dialect import (
    CLIENT_1,
    CLIENT_2,
    LINKING_SERVER,
    OLD_SERVER,
    PARLEY,
    PARLEY_CLIENT,
    PLAIN_CLIENT,
    SERVER_2,
    SERVERS,
    Dialect,
    Recognized,
)
from parley.shared.names import fold

PORT_2: Final = 65433
"""TCP port of all features of code base 2."""
ABOUT: Final = 10 * 366 * 86400.0
"""Seconds by which a clock of another machine may be wrong: a number near the time in seconds is the time."""


class Operator:
    """The operator's word (`interop`): the dialects of certain servers, and the servers that may be dialled."""

    def __init__(self, peers: Mapping[str, str], dial: tuple[str, ...]) -> None:
        self._peers = {fold(name): SERVERS[dialect] for name, dialect in peers.items()}
        self._dial = {fold(name) for name in dial}

    def forces(self, server_id: str) -> Dialect | None:
        """The dialect that the operator says it is."""
        return self._peers.get(fold(server_id))

    def lists(self, server_id: str) -> bool:
        """Whether it may be dialled whatever it is."""
        return fold(server_id) in self._dial


NOBODY: Final = Operator({}, ())
"""A client has no operator who would say more."""


@dataclass(frozen=True, slots=True)
class Signs:
    """The signs by which a server's dialect is told."""

    is_marked: bool = False
    """Its announcement has the mark of a Parley."""
    is_named: bool = False
    """It was not heard: a program of ours says where it is."""
    fields: bool | None = None
    """Whether the CONNECT or CONNECTED of the link in question has fields of ours; None: it is about no link."""
    has_dialled: bool = False
    """It ever sent CONNECT_SERVER."""
    linked_before: bool = False
    """It took our CONNECT_SERVER before this process began, and was no Parley."""
    dialled_as_parley: bool = False
    """The last of these had fields of ours."""
    ports: frozenset[int] = frozenset()
    """The TCP ports that it announced."""


def ports_of(server: Server) -> frozenset[int]:
    """The TCP ports that a server announced."""
    return frozenset(each.port for endpoints in server.features.values() for each in endpoints)


def of_server(operator: Operator, server_id: str, signs: Signs) -> Recognized:
    """The dialect of a server."""
    forced = operator.forces(server_id)
    if forced is not None:
        return Recognized(forced, "interop.peers says so")
    is_listed = operator.lists(server_id) or signs.is_named
    rules = (
        (signs.fields, PARLEY, "its CONNECT has fields of Parley's"),
        (signs.is_marked and signs.fields is None, PARLEY, "its announcement has the mark of a Parley"),
        (signs.dialled_as_parley and signs.fields is None, PARLEY, "its CONNECT has fields of Parley's"),
        (signs.is_named and signs.fields is None, PARLEY, "a program of Parley's names it"),
        (signs.ports == {PORT_2}, SERVER_2, f"all its features are at port {PORT_2}"),
        (signs.has_dialled, LINKING_SERVER, "it dialled us, with no field of Parley's"),
        (signs.linked_before, LINKING_SERVER, "it was linked with us before, with no field of Parley's"),
        (is_listed, LINKING_SERVER, "the operator lists it, and it has no field of Parley's"),
        (True, OLD_SERVER, "its announcement has no mark of a Parley, and it never dialled us"),
    )
    return next(Recognized(dialect, why) for holds, dialect, why in rules if holds)


def may_be_dialled(operator: Operator, server_id: str, signs: Signs) -> bool:
    """Whether a CONNECT_SERVER does a server no harm: it ends the loops of one that does not know that name."""
    is_parley = of_server(operator, server_id, signs).dialect is PARLEY
    return is_parley or signs.has_dialled or signs.linked_before or operator.lists(server_id)


def of_client(*, has_our_fields: bool) -> Recognized:
    """The dialect of a client that connects."""
    if has_our_fields:
        return Recognized(PARLEY_CLIENT, "its CONNECT_CLIENT has fields of Parley's")
    return Recognized(PLAIN_CLIENT, "its CONNECT_CLIENT has no field of Parley's")


_BY_SECOND: Final = Recognized(CLIENT_2, "it numbers its messages by the second")
_BY_SNOWFLAKE: Final = Recognized(CLIENT_1, "it numbers its messages by snowflakes")
_COUNTS_FROM_1: Final = Recognized(CLIENT_2, "it acknowledges with DELIVERED = 2")
_BY_SEARCH: Final = Recognized(CLIENT_2, "it searches for people")
_COUNTS_FROM_0: Final = Recognized(CLIENT_1, "it acknowledges as the first code base does")


_REMEMBERED: Final = {
    dialect: Recognized(dialect, "its user's last client spoke so") for dialect in (CLIENT_1, CLIENT_2)
}


def remembered(last: Recognized) -> Recognized:
    """The dialect of a client that has done nothing yet, by what its user's last client was: not certain."""
    return _REMEMBERED[last.dialect]


def _is_open(present: Recognized) -> bool:
    """Whether the next thing that a client does says what it is."""
    return present.dialect is PLAIN_CLIENT or present is _REMEMBERED.get(present.dialect)


def by_number(present: Recognized, snowflake: int, wall: float) -> Recognized:
    """The dialect of a client that numbered its message so; `wall` in Unix seconds."""
    if not _is_open(present):
        return present
    return _BY_SECOND if abs(snowflake - wall) < ABOUT else _BY_SNOWFLAKE


def by_status(present: Recognized, status: int) -> Recognized:
    """The dialect of a client that acknowledged so: its number says more than how it numbers messages."""
    if not _is_open(present) and present is not _BY_SNOWFLAKE:
        return present
    return _COUNTS_FROM_1 if status == CLIENT_2.first_status + 1 else _COUNTS_FROM_0


def by_search(present: Recognized) -> Recognized:
    """The dialect of a client that searches for people."""
    return _BY_SEARCH if _is_open(present) else present
