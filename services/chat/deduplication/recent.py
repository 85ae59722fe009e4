"""Recent messages: one that is sent again is recognised by them, without a look at the disk. Pure."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from parley.services.chat.message.model import Key
from parley.shared.compiled import core

if TYPE_CHECKING:
    from parley.services.chat.deduplication.delivered_keys import DeliveredKeys
    from parley.services.chat.deduplication.stored_keys import StoredKeys

REMEMBERED: Final = 50_000
"""Messages."""


class RecentMessages:
    """The messages seen lately and their present status; None: none yet. An empty key is nobody's.

    `find` tells the status of what was on disk. The compiled core has the same class
    (shared/core/deduplication/recent.c).
    """

    def __init__(
        self,
        find: Callable[[Key], int | None],
        limit: int = REMEMBERED,
        stored_keys: StoredKeys | None = None,  # noqa: ARG002 - `find` asks these itself
        delivered_keys: DeliveredKeys | None = None,  # noqa: ARG002
    ) -> None:
        """`stored_keys`, `delivered_keys`: of what is in neither, the compiled class does not ask `find`."""
        self._find = find
        self._limit = limit
        self._seen: OrderedDict[Key, int | None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._seen)

    def knows(self, key: Key) -> bool:
        """Whether this message came before."""
        if not key:
            return False
        if key in self._seen:
            return True
        status = self._find(key)
        if status is None:
            return False
        self.note(key, status)
        return True

    def status(self, key: Key) -> int | None:
        """The status that its author was told last."""
        return self._seen.get(key)

    def note(self, key: Key, status: int | None) -> None:
        """Remember a message and its status, and forget the oldest."""
        if not key:
            return
        self._seen[key] = status
        if len(self._seen) > self._limit:
            self._seen.popitem(last=False)


PureRecentMessages = RecentMessages
if not TYPE_CHECKING and core is not None:
    RecentMessages = core.RecentMessages
