"""Readers of received messages: a loop over `messages()`, or the function `on_message`. One table feeds both."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final, Self

from parley.client.inbox.message import Message
from parley.client.inbox.unacknowledged import Unacknowledged
from parley.shared.telemetry.logs import Log
from parley.shared.wire.messages import pb

FAILED: Final = object()
"""Stands for the result of an application's function that raised."""

OnMessage = Callable[[pb.ChatMessage], Awaitable[None] | None]


class Messages:
    """The messages of one user, one after another, for `async for`."""

    def __init__(self, unacknowledged: Unacknowledged, *, acknowledges: bool) -> None:
        """`acknowledges`: each is acknowledged when the next is asked for."""
        self._unacknowledged = unacknowledged
        self._acknowledges = acknowledges
        self._last: Message | None = None
        unacknowledged.read_by(self)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Message:
        self._unacknowledged.require(self)  # before the last is acknowledged: it may be somebody else's again
        last, self._last = self._last, None
        if last is not None and self._acknowledges:
            self._unacknowledged.acknowledge(last)
        self._last = await self._unacknowledged.next(self)
        return self._last


class Callback:
    """Gives each message to `on_message` as soon as it is there, and acknowledges it when that is done with it.

    `call` calls it, and returns FAILED where it raised.
    """

    def __init__(
        self, unacknowledged: Unacknowledged, on_message: OnMessage, call: Callable[..., object], log: Log
    ) -> None:
        self._unacknowledged = unacknowledged
        self._on_message = on_message
        self._call = call
        self._log = log
        unacknowledged.arrived = self._read

    def _read(self) -> None:
        message = self._unacknowledged.take()
        if message is None:
            return
        handling = self._call(self._on_message, message.content)
        if isinstance(handling, Awaitable):
            asyncio.ensure_future(handling).add_done_callback(partial(self._done, message))
        elif handling is FAILED:
            self._unacknowledged.drop(message)
        else:
            self._unacknowledged.acknowledge(message)

    def _done(self, message: Message, handling: asyncio.Future[None]) -> None:
        if handling.cancelled():
            self._unacknowledged.drop(message)
        elif (error := handling.exception()) is not None:
            self._log.error("callback_failed", callback="on_message", exc_info=error)
            self._unacknowledged.drop(message)
        else:
            self._unacknowledged.acknowledge(message)
