"""Which members of a group have no status of a message to it yet: when none is left its author is told so. Pure.

The table has an end. What is forgotten is complete for nobody: each of its statuses is told all the same.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Final

from parley.shared.addresses import Group, Recipient, User

MOST: Final = 500_000
"""Members of whom a status is expected, of all messages together."""
OF_AUTHOR: Final = 100_000
"""The same of one author's."""

Message = tuple[int, Group]
"""One of an author's: its number, and to which group it is."""


class ExpectedStatuses:
    """Messages to our groups → the members who have no status yet. `limited` hears of what had to be forgotten."""

    def __init__(self, limited: Callable[[], None] = lambda: None) -> None:
        self._limited = limited
        self._by_author: dict[User, dict[Message, set[Recipient]]] = {}
        """Authors, and messages of each, the oldest first."""
        self._counts: dict[User, int] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, author: User, message: Message, members: Collection[Recipient]) -> None:
        """The message is complete when each of these members has a status."""
        self._remove(author, message)
        self._by_author.setdefault(author, {})[message] = set(members)
        self._add(author, len(members))
        while self._counts.get(author, 0) > OF_AUTHOR:
            self._forget_oldest(author)
        while self._count > MOST:
            self._forget_oldest(next(iter(self._by_author)))

    def note(self, author: User, message: Message, recipients: Iterable[Recipient]) -> bool:
        """These have a status; whether they were the last."""
        missing = self._by_author.get(author, {}).get(message)
        if missing is None:
            return False
        before = len(missing)
        missing.difference_update(recipients)
        self._add(author, len(missing) - before)
        if not missing:
            self._remove(author, message)
        return not missing

    def _forget_oldest(self, author: User) -> None:
        self._limited()
        self._remove(author, next(iter(self._by_author[author])))

    def _remove(self, author: User, message: Message) -> None:
        messages = self._by_author.get(author, {})
        missing = messages.pop(message, None)
        if missing is None:
            return
        self._add(author, -len(missing))
        if not messages:
            del self._by_author[author], self._counts[author]

    def _add(self, author: User, more: int) -> None:
        self._counts[author] = self._counts.get(author, 0) + more
        self._count += more
