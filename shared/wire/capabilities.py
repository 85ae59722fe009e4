"""Abilities of a Parley beyond the fixed protocol: a bit each, announced in Mark and Terms.

A name of ours goes only to who announced the capability for it (protocol.md, "Numbers of ours").
"""

from __future__ import annotations

from typing import Final

from parley.shared.wire.messages import pb

PIECES: Final = 1 << 0
"""Takes large messages in pieces, and goes on where a link broke."""
SEARCH: Final = 1 << 1
"""Answers SEARCH_USERS."""
VISITORS: Final = 1 << 2
"""Tells its users who are attached at another server what is for them, and takes what they do there."""
DEVICES: Final = 1 << 3
"""Takes DEVICE_LIST: which devices speak for a user of another server."""
FEDERATION: Final = 1 << 4
"""Takes FEDERATION_LIST from a member of its federation."""
EVENTS_ON_LINK: Final = 1 << 5
"""Takes and tells typing events and locations over a client's link, where the client asks for it."""
AUTHORS: Final = 1 << 6
"""Answers DEVICES_OF: which devices speak for a user."""
READ_RECEIPTS: Final = 1 << 7
"""Takes RELAY_READ_RECEIPT, and READ_RECEIPT for an author; a client announces it where its user wants that."""
SHARED_COPIES: Final = 1 << 8
"""Takes a MESSAGE that is for several members of a group: from the group's server."""

OURS: Final = (
    PIECES | SEARCH | VISITORS | DEVICES | FEDERATION | EVENTS_ON_LINK | AUTHORS | READ_RECEIPTS | SHARED_COPIES
)
"""The abilities of this version."""


def terms(server_id: str = "") -> pb.Terms:
    """The terms in a CONNECT of ours: which server it is meant for (empty: any), and our abilities."""
    return pb.Terms(serverId=server_id, capabilities=OURS)
