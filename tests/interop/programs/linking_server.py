"""A newer server of code base 1, which links with others: what protocol.md says of it.

It discovers once and dials; a link that it dialled is deaf and mute. It keeps a link that broke without HANGUP,
and answers IS_ALREADY_CONNECTED meanwhile. It never confirms to another server. Its client's acknowledgement goes
to the author that it noted last under that number, by a client link; where there is none its chat ends.
"""

from __future__ import annotations

import time
from typing import Any, NamedTuple

from tests.interop.programs.fragile_server import FragileServer
from tests.support.plain_link import Endpoint, Link
from tests.support.plain_server import MESSAGES
from tests.support.plain_wire import Fields

KEPT = 600.0
"""Seconds for which it keeps a link that is dead."""
ALREADY = "IS_ALREADY_CONNECTED_ERROR"


class Refused(NamedTuple):
    """A dial that was answered IS_ALREADY_CONNECTED: it costs a thread, which never ends."""

    at: float
    """time.monotonic()"""
    feature: str
    name: str
    source: Endpoint


class LinkingServer(FragileServer):
    """A server that links; `refused` are the dials that it refused."""

    at_once = 1 << 16

    def __init__(self, server_id: str, address: str, *, kept: float = KEPT, **settings: Any) -> None:
        super().__init__(server_id, address, **settings)
        self.refused: list[Refused] = []
        self._kept = kept
        self._dead: dict[Link, float] = {}

    def lives(self, link: Link) -> bool:
        """Whether a link that it knows is no dead one."""
        return link not in self._dead

    # Dead links -------------------------------------------------------------------------------------

    def on_end(self, link: Link) -> None:
        """A link without a HANGUP at its end is kept, with its socket, if it stood."""
        if link.dialled or not link.kind:
            self.drop(link)
            return
        self._dead[link] = time.monotonic() + self._kept
        self.leave_unread(link.sock)

    def on_hangup(self, link: Link, fields: Fields) -> None:
        """A HANGUP from the port of a dead link removes that, too."""
        for dead in [each for each in self._dead if each.remote == link.remote]:
            self._forget(dead)
        super().on_hangup(link, fields)

    def _forget(self, dead: Link) -> None:
        del self._dead[dead]
        self.drop(dead)

    def _connect(self, link: Link, name: str, hello: Fields) -> str:
        now = time.monotonic()
        for dead in [each for each, until in self._dead.items() if until <= now]:
            self._forget(dead)
        taken = name == "CONNECT_CLIENT" and any(self._clients(link.feature, hello.get("user", {})))
        result = ALREADY if taken else super()._connect(link, name, hello)
        if result == ALREADY:
            self.refused.append(Refused(now, link.feature, name, link.remote))
        return result

    # Messages -----------------------------------------------------------------------------------------

    def _message(self, link: Link, message: Fields) -> None:
        """From a server for a user at a third that is unknown: its author is told, if a client of ours is that."""
        user = message.get("userOfGroup", message).get("user", {})
        home = (user or message.get("group", {})).get("serverId", "")
        if link.kind == "server" and home != self.server_id:
            self._authors[message.get("messageSnowflake", 0)] = message.get("author", {})
            if self.working_link(home) is None:
                self._report(message, user, "OTHER_SERVER_NOT_FOUND")
            return
        super()._message(link, message)

    def _ack(self, link: Link, ack: Fields) -> None:
        """A client's acknowledgement goes to the noted author's client link; where there is none, chat ends."""
        author = self._authors.get(ack.get("messageSnowflake", 0), {})
        if link.kind == "client" and not self._clients(MESSAGES, author):
            self.die(link, "MESSAGE_ACK")
            return
        super()._ack(link, ack)
