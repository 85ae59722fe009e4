"""Somebody with a key of their own who tries the names of the existing programs, at each of our nodes.

Whether it is let in beside them is not asked here: what happens to the programs afterwards is in the tables.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from typing import Final

from parley.shared.trust.keys import PrivateKey
from parley.shared.wire.messages import LIVE_LOCATION, MESSAGES, TYPING_INDICATOR
from tests.support.plain_program import PlainProgram
from tests.support.secured import Secured

IMPOSTOR: Final = "127.0.41.66"
PORTS: Final = {MESSAGES: 6666, TYPING_INDICATOR: 7777, LIVE_LOCATION: 8888}


def try_names(programs: Iterable[PlainProgram], node: str) -> None:
    """Use each program's name with a new key, for each feature of the node at that address.

    A user's only where the program is connected with that node: a name that nobody has is whoever's comes first.
    OSError: the node speaks no TLS.
    """
    key = PrivateKey.generate()
    for program in programs:
        for feature, port in PORTS.items():
            if hasattr(program, "user") and not _is_connected(program, (node, port)):
                continue
            with Secured((node, port), IMPOSTOR) as link, suppress(AssertionError):  # it hung up
                _try_name(program, link, key, feature)


def _is_connected(program: PlainProgram, place: tuple[str, int]) -> bool:
    return any(link.remote == place and not link.closed for link in program.links)


def _try_name(program: PlainProgram, link: Secured, key: PrivateKey, feature: str) -> None:
    user = getattr(program, "user", None)
    if user is not None:
        link.connect_client(f"{user['userId']}@{user['serverId']}", key, feature)
    else:
        link.connect_server(program.server_id, key, feature)  # type: ignore[attr-defined]
