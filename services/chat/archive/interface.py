"""The interface of the collector, which chat tells of each message. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from parley.services.chat.message.life import Envelope
    from parley.shared.addresses import Group, User


class Collector(Protocol):
    """Gathers what chat tells."""

    take_fast: Callable[[], bytes] | None
    """Takes the entries that the fast path has gathered."""

    def begun(self) -> None:
        """Hear that the fast path has gathered something."""

    def note(self, envelope: Envelope, status: int, /) -> None:
        """Note a status, before its author is given it."""

    def leave_out(self, author: User, snowflake: int, group: Group, /) -> None:
        """Keep nothing of a message to a group for its author."""

    def note_late(self, envelope: Envelope, status: int, /) -> None:
        """Note a status of a message that another server has had for some time."""
