"""The dialects of clients that say nothing of Parley's fields, by what their users' last clients spoke. Pure.

A client is known by its first message or acknowledgement. What it is to be told before that, as the statuses of
messages that it wrote before it was away, is written as its user's last client took it. The first thing that it
does says whether that was right.
"""

from __future__ import annotations

from typing import Final

from parley.shared.addresses import User
from parley.shared.dialects.dialect import Recognized
from parley.shared.dialects.recognition import of_client, remembered

MOST: Final = 10_000
"""Users whose last client's dialect is remembered; of more the oldest are forgotten."""


class ClientDialects:
    """The users' last clients."""

    def __init__(self) -> None:
        self._last: dict[User, Recognized] = {}

    def of(self, user: User | None, *, has_our_fields: bool) -> Recognized:
        """The dialect of a client that connects."""
        last = self._last.get(user) if user is not None and not has_our_fields else None
        return of_client(has_our_fields=has_our_fields) if last is None else remembered(last)

    def recognized(self, user: User, recognized: Recognized) -> None:
        """A client of that user has said which kind of program it is."""
        self._last.pop(user, None)
        self._last[user] = recognized
        if len(self._last) > MOST:
            del self._last[next(iter(self._last))]
