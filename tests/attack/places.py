"""Where everything is: all of it on loopback, in a network of the run's own, each party at addresses of its own."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Final

ALPHA: Final = "127.0.30.1"
"""The node that is attacked."""
BETA: Final = "127.0.30.2"
"""The node that it is linked with."""
NAMES: Final = {ALPHA: "alpha", BETA: "beta"}
HOUSES: Final = ("127.0.31.1", "127.0.31.2", "127.0.31.3", "127.0.31.4")
"""The honest users' addresses: five of them behind each, as behind a router."""
NEWCOMERS: Final = ("127.0.31.9", "127.0.31.10", "127.0.31.11", "127.0.31.12", "127.0.31.13")
"""The addresses of honest users who come while the attack goes on: none has more than may claim a name there."""
ATTACKER: Final = "127.0.66.1"
THIRD: Final = "127.0.99.1"
"""A machine that has nothing to do with any of it."""

MESSAGES_PORT: Final = 6666
TYPING_PORT: Final = 7777
TYPING_UDP: Final = 7778
LOCATION_PORT: Final = 8888
LOCATION_UDP: Final = 8889
DISCOVERY_UDP: Final = 9999
REGISTRATION_PORT: Final = 9998
HTTP_PORT: Final = {"discovery": 9401, "chat": 9402, "typing": 9403, "location": 9404}


def many(network: int = 66) -> Iterator[str]:
    """Attackers' addresses without end, as of a network that is full of machines."""
    for number in itertools.count(1):
        yield f"127.{network}.{number // 250 % 250}.{number % 250 + 1}"
