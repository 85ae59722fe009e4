"""Key changes of contacts, for people in a line on standard error, and for programs beside what came next."""

from __future__ import annotations

from parley.cli.people.wording import describe_key_change
from parley.cli.terminal import note
from parley.client.contacts.continuity import KeyChange
from parley.shared.addresses import User


class KeyChanges:
    """Those of one command. A program hears of each with the next thing that it is told of that user."""

    def __init__(self) -> None:
        self._untold: dict[User, KeyChange] = {}

    def changed(self, user: User, change: KeyChange) -> None:
        """Somebody is another device than before."""
        self._untold[user] = change
        note(describe_key_change(user, change))

    def of(self, user: User) -> str | None:
        """The word for a program, where it was not told yet; None: it was, or there is none."""
        change = self._untold.get(user)
        return change.value if change is not None else None

    def was_printed(self, user: User) -> None:
        """A program was told."""
        self._untold.pop(user, None)
