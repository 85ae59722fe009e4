"""The dialects: a row for each kind of program (docs/protocol.md, "What existing programs do"). Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

SEGMENT: Final = 1448
"""Bytes of a frame that arrive in one read: an Ethernet packet's, without its headers and a timestamp."""
WRITE_GAP: Final = 0.05
"""Seconds between two writes to a program that may lose what comes together."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """A kind of program. The defaults are those of a Parley."""

    name: str
    is_parley: bool = False
    """Whether it takes names and fields of ours."""
    is_server: bool = False
    confirms: bool = True
    """Whether it answers for each message that another server gives it."""
    needs_gateway: bool = False
    """Whether its acknowledgements come back to a client's link there, and end its chat where there is none."""
    dials_deaf: bool = False
    """Whether a link that it dialled carries no messages: it has to be dialled."""
    keeps_dead_links: bool = False
    """Whether it refuses a new link while it has an old one that is dead, for minutes."""
    strips_line_feed: bool = False
    """Whether a payload that ends in 0x0A ends its loop."""
    first_status: int = 0
    """The number of UNKNOWN_STATUS; the others follow it."""
    write_gap: float = 0.0
    """Seconds between two writes of one frame each; 0: as many frames at once as there are."""
    one_by_one: bool = False
    """Whether the next message goes out after the last was acknowledged."""
    answers_within: float = math.inf
    """Seconds after which that acknowledgement is not waited for any more: not every message gets one."""
    longest: int = 0
    """Bytes of a frame that it can take at all; 0: no such limit."""


PARLEY: Final = Dialect("parley", is_parley=True)
PARLEY_CLIENT: Final = Dialect("parley-client", is_parley=True)
PLAIN_CLIENT: Final = Dialect("plain-client", strips_line_feed=True, write_gap=WRITE_GAP)
"""A client that has not yet said by what it does which of the next two it is."""
CLIENT_1: Final = Dialect("code1-client", strips_line_feed=True)
CLIENT_2: Final = Dialect(
    "code2-client", strips_line_feed=True, first_status=1, write_gap=WRITE_GAP, one_by_one=True, longest=SEGMENT
)
OLD_SERVER: Final = Dialect("old-server", is_server=True, confirms=False, strips_line_feed=True)
"""A server that never dialled us: CONNECT_SERVER may end its loops."""
LINKING_SERVER: Final = Dialect(
    "linking-server",
    is_server=True,
    confirms=False,
    needs_gateway=True,
    dials_deaf=True,
    keeps_dead_links=True,
    strips_line_feed=True,
)
SERVER_2: Final = Dialect(
    "code2-server",
    is_server=True,
    confirms=False,
    strips_line_feed=True,
    first_status=1,
    write_gap=WRITE_GAP,
    one_by_one=True,
    answers_within=1.0,
    longest=SEGMENT,
)

DIALECTS: Final = {
    dialect.name: dialect
    for dialect in (PARLEY, PARLEY_CLIENT, PLAIN_CLIENT, CLIENT_1, CLIENT_2, OLD_SERVER, LINKING_SERVER, SERVER_2)
}
"""Name → dialect: a closed set, of which metrics have a label."""
SERVERS: Final = {name: each for name, each in DIALECTS.items() if each.is_server or each is PARLEY}
"""The dialects that `interop.peers` may name."""
CLIENTS: Final = {name: each for name, each in DIALECTS.items() if name not in SERVERS}


@dataclass(frozen=True, slots=True)
class Recognized:
    """A dialect, and for people why it is taken for that of a program."""

    dialect: Dialect
    why: str


UNKNOWN: Final = Recognized(PARLEY, "it has said nothing yet")
