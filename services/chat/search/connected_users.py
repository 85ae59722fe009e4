"""The users whose clients are connected here: a search looks through all of them, a few at a time. Pure.

Each name is folded once, when its user comes. The last entry fills the place of one that goes: no place is empty.
A search looks from the end to the beginning: an entry that is moved meanwhile goes to where it has yet to look, or
was seen already.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from parley.shared.addresses import User
from parley.shared.names import fold, is_gateway
from parley.shared.runtime.steps import Task

AT_A_TIME: Final = 500
"""Names that are looked at in one step."""

Found = Callable[[list[User], bool], None]
"""Called with those that were found, and whether there are more."""


class ConnectedUsers:
    """All but gateways, which are nobody."""

    def __init__(self) -> None:
        self._entries: list[tuple[str, User]] = []
        self._index: dict[User, int] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def add(self, user: User) -> None:
        """A client of this user connected; there may be others."""
        if user not in self._index and not is_gateway(user.user_id):
            self._index[user] = len(self._entries)
            self._entries.append((fold(user.user_id), user))

    def remove(self, user: User) -> None:
        """The user's last client left."""
        place = self._index.pop(user, None)
        if place is None:
            return
        last = self._entries.pop()
        if place < len(self._entries):
            self._entries[place] = last
            self._index[last[1]] = place

    def search(self, part: str, most: int, found: Found) -> Task:
        """Look for up to `most` users who have that part in their names, in whatever case; empty: everybody."""
        seen: dict[User, None] = {}
        wanted, end = fold(part), len(self._entries)
        yield
        while end > 0 and len(seen) <= most:
            start = max(0, end - AT_A_TIME)
            seen.update((user, None) for name, user in self._entries[start:end] if wanted in name)
            end = start
            yield
        here = [user for user in seen if user in self._index]
        found(here[:most], len(here) > most or end > 0)
