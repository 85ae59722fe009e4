"""Every attack there is, by its name."""

from __future__ import annotations

from typing import Final

from tests.attack.attack import Attack
from tests.attack.kinds import (
    bodies,
    connections,
    discovery,
    frames,
    guesses,
    handshakes,
    history,
    hostile_servers,
    http,
    proofs,
    requests,
    server_names,
    servers,
    state,
    user_names,
)

ATTACKS: Final[dict[str, type[Attack]]] = {
    kind.name: kind
    for module in (
        connections,
        frames,
        requests,
        bodies,
        http,
        discovery,
        servers,
        state,
        server_names,
        user_names,
        proofs,
        handshakes,
        guesses,
        hostile_servers,
        history,
    )
    for kind in module.KINDS
}
"""In the order in which they are tried."""


def make(name: str) -> Attack:
    """The attack of that name."""
    return ATTACKS[name]()
