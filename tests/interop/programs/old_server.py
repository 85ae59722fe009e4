"""An old server of code base 1: it knows no CONNECT_SERVER, and neither discovers nor dials anybody."""

from __future__ import annotations

from typing import Any

from tests.interop.programs.fragile_server import FragileServer
from tests.support.plain_wire import NAMES

SERVERS_ONLY = ("CONNECT_SERVER", "TYPING_EVENTS", "LIVE_LOCATIONS")
KNOWN = {name: payload for name, payload in NAMES.items() if name not in SERVERS_ONLY}


class OldServer(FragileServer):
    """It is for its own users alone."""

    names = KNOWN

    def __init__(self, server_id: str, address: str, **settings: Any) -> None:
        super().__init__(server_id, address, listen=0, **settings)
