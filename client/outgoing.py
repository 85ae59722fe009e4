"""What must reach the server: sent in order, as fast as the link takes it, and again until it is answered.

A link that is given more than it can carry is given up (link.py, BUFFER_LIMIT), and an outbox of documents
is more than that: so what goes out waits here, and the link's buffer is never filled beyond its mark.
"""

from __future__ import annotations

from collections import deque

from google.protobuf.message import Message

from shared.link import Link
from shared.messages import encode


class Outgoing:
    """Numbered messages without an answer yet, in the order in which they were added."""

    def __init__(self) -> None:
        self._unanswered: dict[int, tuple[str, Message]] = {}
        self._unsent: deque[int] = deque()
        """The numbers of those that the present link has not been given yet."""
        self._link: Link | None = None

    def add(self, number: int, name: str, payload: Message) -> None:
        """Send it now where there is a link, and over each link to come, until `answered`."""
        self._unanswered[number] = (name, payload)
        if self._link is not None:
            self._unsent.append(number)
            self.pump()

    def answered(self, number: int) -> None:
        """It need not be sent again."""
        self._unanswered.pop(number, None)

    def opened(self, link: Link) -> None:
        """Everything goes out again over a new link."""
        self._link = link
        self._unsent = deque(self._unanswered)
        self.pump()

    def closed(self) -> None:
        """What has no answer waits for the next link."""
        self._link = None
        self._unsent.clear()

    def pump(self) -> None:
        """Give the link what it has room for."""
        while self._unsent and self._link is not None and self._link.writable:
            waiting = self._unanswered.get(self._unsent.popleft())
            if waiting is not None:
                self._link.send(encode(*waiting))
