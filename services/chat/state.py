"""The state that the router of chat and its fast path both read and change. Pure.

There is one ChatState for each chat engine, and one InFlightTable for each destination. The compiled core has the
same classes (shared/core/fast_path/python_side.c), and reads nothing else of chat's: so all that it may see stands
here. Their containers are made with them and are never others: in the core's classes nobody can set them. Where one
side looked into a table and the other filled another, messages would be delivered twice.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

from parley.shared.addresses import User
from parley.shared.compiled import core

if TYPE_CHECKING:
    from parley.services.chat.deduplication.delivered_keys import DeliveredKeys
    from parley.services.chat.deduplication.stored_keys import StoredKeys
    from parley.services.chat.message.life import Envelope
    from parley.services.chat.roster import ChatLink, ServerLink


class ChatState:
    """One chat engine's. A roster outlives engines: each engine's state has the clients and servers of `links`."""

    __slots__ = (
        "clients", "delivered_keys", "in_flight", "in_flight_bytes", "next_id", "queues", "servers",
        "stored_keys", "unconfirmed_statuses",
    )  # fmt: skip

    def __init__(
        self,
        links: ChatState | None = None,
        stored_keys: StoredKeys | None = None,
        delivered_keys: DeliveredKeys | None = None,
    ) -> None:
        self.clients: Final[dict[User, list[ChatLink]]] = {} if links is None else links.clients
        """The links of each user here."""
        self.servers: Final[dict[str, ServerLink]] = {} if links is None else links.servers
        """The linked servers."""
        self.queues: Final[dict[User | str, Any]] = {}
        """Messages that wait in the mailbox, by destination."""
        self.unconfirmed_statuses: Final[dict[ChatLink, list[bytes]]] = {}
        """Frames of final statuses told to one of our clients since it was last heard: its link may be dead."""
        self.stored_keys: Final = stored_keys
        """Of what is on disk, or was; None where there is no engine yet."""
        self.delivered_keys: Final = delivered_keys
        """Of what was delivered without ever waiting; None where there is no room for a file."""
        self.next_id = 1
        """Greater than the place of any message in the order in which they came."""
        self.in_flight = 0
        """How many messages the dispatcher has in flight, and their bytes; not those of the fast path."""
        self.in_flight_bytes = 0


class InFlightTable:
    """The messages that the dispatcher has in flight to one destination (in_flight.py)."""

    __slots__ = ("answered_at", "burst_window", "by_number", "held", "size", "window", "window_bytes")

    def __init__(self, window: int, burst_window: int, window_bytes: int) -> None:
        self.window = window
        """How many messages may be in flight."""
        self.burst_window = burst_window
        """The same for as long as each is answered at once: a burst."""
        self.window_bytes: Final = window_bytes
        """The first in bytes."""
        self.held: Final[dict[Envelope, None]] = {}
        """The messages, in order."""
        self.by_number: Final[dict[int, list[Envelope]]] = {}
        """The same by snowflake."""
        self.size = 0
        """Bytes of them."""
        self.answered_at = -math.inf
        """When the destination answered last, whichever way its message went (seconds, monotonic)."""


if not TYPE_CHECKING and core is not None:
    ChatState, InFlightTable = core.ChatState, core.InFlightTable


def number(state: ChatState, envelope: Envelope) -> None:
    """Give an envelope its place: one in flight has it before one that waits behind it, written or not."""
    if envelope.id == 0:
        envelope.id = state.next_id
        state.next_id += 1
