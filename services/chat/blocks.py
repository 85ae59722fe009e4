"""Whose messages our users do not take. Pure."""

from __future__ import annotations

from collections.abc import Callable, KeysView

from shared.addresses import User


class Blocks:
    """Per user of this server: whom they block, in the order in which they did."""

    def __init__(self) -> None:
        self._blocked: dict[str, dict[User, None]] = {}
        self.changed: Callable[[], None] = lambda: None
        """Called when somebody is blocked, or no longer."""

    def blocks(self, user: User, author: User) -> bool:
        """Whether a user here takes nothing from an author."""
        return author in self._blocked.get(user.user_id, ())

    def of(self, user: User) -> KeysView[User]:
        """Whom a user here blocks."""
        return self._blocked.get(user.user_id, {}).keys()

    def add(self, user_id: str, other: User) -> None:
        """Somebody is blocked."""
        self._blocked.setdefault(user_id, {})[other] = None
        self.changed()

    def remove(self, user_id: str, other: User) -> None:
        """Somebody is not blocked any more."""
        others = self._blocked.get(user_id, {})
        others.pop(other, None)
        if not others:
            self._blocked.pop(user_id, None)
        self.changed()
