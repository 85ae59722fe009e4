"""The interface of the archive: of the collector, which chat tells of each message, and to metrics. Pure."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from parley.services.chat.message.life import Envelope
    from parley.shared.addresses import Group, User


class WithoutEffect(Enum):
    """Why an edit changes nothing in a list; the value is the metric's label."""

    NO_SUCH_MESSAGE = "no_such_message"
    """Its author wrote none there of that number and content, lately or since; or too many wait for theirs."""
    UNPROVEN = "unproven"
    """The message is signed, and the edit is not, or by a device that may not speak for its author."""
    OLDER = "older"
    """One that holds against it came before."""


class Refused(Enum):
    """The share of the archive's room that is used up, by the one who has it; the value is the metric's label."""

    AUTHOR = "author"
    SERVER = "server"


class Collector(Protocol):
    """Gathers what chat tells."""

    def share(self, into: Callable[[memoryview], None], taken: Callable[[], int]) -> None:
        """Have the fast path append, too: it is told `into` which segment to, and that all was `taken`."""

    def make_room(self, size: int) -> None:
        """Give the fast path another segment, with room for so many bytes, if there may be one."""

    def begun(self) -> None:
        """Hear that the fast path has gathered something."""

    def accepted(self, envelope: Envelope, has_status: bool, /) -> None:
        """Note a message that is about to be written, or that another server has: before its status is told."""

    def note(self, envelope: Envelope, status: int, /) -> None:
        """Note a status, before its author is given it."""

    def note_again(self, envelope: Envelope, status: int, /) -> None:
        """Note the status of a message that came again, once: the last process may have died before that."""

    def leave_out(self, author: User, snowflake: int, group: Group, /) -> None:
        """Keep nothing of a message to a group for its author."""

    def numbered(self, author: User, snowflake: int, group: Group, number: int, /) -> None:
        """Keep a message to a group under the number that the group's server gave it."""

    def note_late(self, envelope: Envelope, status: int, /) -> None:
        """Note a status of a message that another server has had for some time."""
