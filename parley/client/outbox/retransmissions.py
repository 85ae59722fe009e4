"""Events that are sent again until the server has heard them, or went out over a link that loses nothing.

A Parley answers HEARD to what asks for it. An existing server does not: to one, nothing is sent twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable
from dataclasses import dataclass

SOON = 0.2
"""Seconds between the first tries."""
TRIES = 8
"""How many there are of those."""
LATER = 3.0
"""Seconds between later ones."""


@dataclass(slots=True)
class _Pending:
    timestamp: float
    raw: bytes
    until: float
    tries: int = 0
    handle: asyncio.TimerHandle | None = None


class Retransmissions:
    """Events that are to be heard: the newest for each key."""

    def __init__(self, send: Callable[[bytes], bool], pause: Callable[[], float | None]) -> None:
        """`send` sends an event, and tells whether it went out.

        `pause()`: seconds until one that went out is sent again, at first; None: nothing is, nobody says HEARD.
        """
        self._send = send
        self._pause = pause
        self._pending: dict[Hashable, _Pending] = {}
        self._none_left = asyncio.Event()
        self._none_left.set()

    def send(self, key: Hashable, timestamp: float, raw: bytes, lasts: float) -> bool:
        """Send, and send again for `lasts` seconds at most; what was sent for the key before is out of date."""
        self.forget(key)
        now = asyncio.get_running_loop().time()
        self._pending[key] = _Pending(timestamp, raw, now + lasts)
        self._none_left.clear()
        return self._try(key)

    def _try(self, key: Hashable) -> bool:
        pending = self._pending[key]
        loop = asyncio.get_running_loop()
        sent = self._send(pending.raw)
        pending.tries += 1
        pause = self._pause() if sent else SOON
        delay = pause if pause is not None and pending.tries <= TRIES else LATER
        if pause is None or loop.time() + delay > pending.until:
            self.forget(key)
        else:
            pending.handle = loop.call_later(delay, self._try, key)
        return sent

    def heard(self, timestamp: float) -> Hashable:
        """The server has what has this timestamp; its key, or None."""
        for key, pending in self._pending.items():
            if pending.timestamp == timestamp:
                self.forget(key)
                return key
        return None

    def forget(self, key: Hashable) -> None:
        """Send no more for the key."""
        pending = self._pending.pop(key, None)
        if pending is not None and pending.handle is not None:
            pending.handle.cancel()
        if not self._pending:
            self._none_left.set()

    def resend_all(self) -> None:
        """There is a new link: try everything now."""
        for key, pending in list(self._pending.items()):
            if pending.handle is not None:
                pending.handle.cancel()
            self._try(key)

    async def wait(self, timeout: float) -> bool:
        """Wait until everything was heard or is out of date, no longer than that (seconds); whether it was."""
        try:
            async with asyncio.timeout(timeout):
                await self._none_left.wait()
        except TimeoutError:
            return False
        return True

    def cancel(self) -> None:
        """Send nothing any more."""
        for key in list(self._pending):
            self.forget(key)
