"""Typing in a chat: tells whom a line is for that it is being written, and who writes one to us.

It is beside the chat: where no server offers it, or the server goes, the chat goes on without.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from parley.client.typing import TypingFeature
from parley.client.views.typing_view import Typist
from parley.shared.addresses import Recipient, ServerList, User
from parley.shared.config import Config
from parley.shared.discovery.discovery import DiscoveryService
from parley.shared.errors import ParleyError
from parley.shared.names import fold
from parley.shared.printable import one_line

LOOK_AGAIN: Final = 30.0
"""Seconds until it is looked for again where nobody offered it."""
SHOWN: Final = 3
"""Typists that are named at once."""


class TypingNotices:
    """People who type to us, and the recipient to whom we type. `changed` is called when `text` is another."""

    def __init__(
        self, user: User, config: Config, discovery: DiscoveryService, changed: Callable[[], None]
    ) -> None:
        self._feature = TypingFeature(user, config, on_change=lambda _typists: changed(), discovery=discovery)
        self._to: Recipient | None = None

    @property
    def text(self) -> str:
        """The people who type now, the newest first, in a few words; empty where nobody does."""
        names = [_name(typist) for typist in reversed(self._feature.typists)]
        more = f", {len(names) - SHOWN} more" if len(names) > SHOWN else ""
        return f"{', '.join(names[:SHOWN])}{more} … typing" if names else ""

    def edited(self, to: Recipient | None) -> None:
        """The line was edited, and is for `to`; None: it was sent, emptied, or is for nobody."""
        if self._to is not None and (self._to, type(self._to)) != (to, type(to)):
            self._feature.stop_typing(self._to)
        self._to = to
        if to is not None and self._feature.is_connected:
            self._feature.send_typing(to)

    async def run(self) -> None:
        """Be connected to who offers it; look again where nobody does. Goes on until it is cancelled."""
        try:
            while True:
                if await self._connect():
                    await asyncio.Event().wait()
                await asyncio.sleep(LOOK_AGAIN)
        finally:
            self.edited(None)
            await self._feature.close()

    async def _connect(self) -> bool:
        """Whether somebody offers it; once connected, the feature keeps its link by itself."""
        try:
            found = await self._feature.discovery.discover_servers(until=self._is_enough)
            await self._feature.handle_connection(found)
        except ParleyError:
            return False
        return True

    def _is_enough(self, found: ServerList) -> bool:
        home, feature = fold(self._feature.user.server_id), self._feature.feature
        return any(fold(server.server_id) == home and server.endpoints(feature) for server in found)


def _name(typist: Typist) -> str:
    where = f" in {typist.audience.group}" if typist.audience.group is not None else ""
    return one_line(f"{typist.user}{where}")
