"""The tie-break between two links of the same two servers (protocol.md, "Server to server").

Pure: both sides come to the same answer from what each can see.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Standing:
    """A link, or a dial of ours in its handshake, that a new link would stand beside."""

    dialled_by_us: bool
    is_open: bool
    """False: our CONNECT is on its way."""
    is_silent: bool
    """Nothing came for `peer_ping_timeout`: it may be half-open."""
    same_instance: bool
    """Whether it leads to the very process that the new link does."""
    is_elsewhere: bool = False
    """Whether it leads to another process at another address: of two servers of one name, if both live."""


def incoming_stays(own_id: str, peer_id: str, standing: Standing | None) -> bool:
    """Whether a CONNECT_SERVER from `peer_id` is accepted; what stood before is then hung up.

    A server dials only when it has no link: so a link that it dialled before is dead, and so is one to an
    older instance of it, unless that is at another address and lives: then these are two servers of one name, and
    the one that is linked stays. Against a dial of ours the smaller serverId's stays, in byte order.
    """
    if standing is None:
        return True
    if standing.is_open and standing.is_elsewhere and not standing.is_silent:
        return False
    if standing.is_open and (not standing.dialled_by_us or not standing.same_instance or standing.is_silent):
        return True
    return smaller(peer_id, own_id)


def smaller(one: str, other: str) -> bool:
    """Whether one serverId comes before the other in byte order."""
    return one.encode() < other.encode()
