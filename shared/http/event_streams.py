"""Answers that go on: server-sent events, to whoever reads them. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Final

Write = Callable[[bytes], None]

READERS: Final = 64
"""So many readers may have one stream at a time."""


class Stream:
    """An answer without an end. `join` gets where to write, and returns what to call when the reader is gone."""

    def __init__(self, content_type: str, join: Callable[[Write], Callable[[], None]]) -> None:
        self.content_type = content_type
        self.join = join


class Events:
    """All readers of one stream of server-sent events."""

    def __init__(self, first: Callable[[], str]) -> None:
        """`first` gives what a reader who comes is sent at once."""
        self._first = first
        self._readers: set[Write] = set()

    def __len__(self) -> int:
        return len(self._readers)

    @property
    def is_full(self) -> bool:
        """Whether nobody else may read."""
        return len(self._readers) >= READERS

    def stream(self) -> Stream:
        """For one more reader."""
        return Stream("text/event-stream; charset=utf-8", self._join)

    def _join(self, write: Write) -> Callable[[], None]:
        self._readers.add(write)
        write(b"retry: 1000\n\n" + _event(self._first()))
        return lambda: self._readers.discard(write)

    def send(self, data: str) -> None:
        """Send an event to all."""
        event = _event(data)
        for write in list(self._readers):
            write(event)


def _event(data: str) -> bytes:
    """As JSON, so that it is one line whatever is in it."""
    return b"data: " + json.dumps(data).encode() + b"\n\n"
