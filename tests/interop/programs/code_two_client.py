"""A client of code base 2: it reads the first announcement alone, and finds people by SEARCH_USERS."""

from __future__ import annotations

import itertools
import time
from contextlib import suppress
from typing import Any

from tests.interop.programs.code_two import NUMBERS, CodeTwoProgram, number_now, status_of
from tests.support.plain_link import TIMEOUT, Announced, Endpoint, Link
from tests.support.plain_program import BROADCAST, DISCOVERY_PORT, LISTEN
from tests.support.plain_wire import Fields

MESSAGES = "MESSAGES"
AGAIN = 0.5
"""Seconds between two searches for the same."""


class CodeTwoClient(CodeTwoProgram):
    """A user's client; attributes hold what it was sent so far."""

    def __init__(self, user_id: str, server_id: str, address: str, *, broadcast: str = BROADCAST) -> None:
        super().__init__(address, broadcast, DISCOVERY_PORT)
        self.user: Fields = {"userId": user_id, "serverId": server_id}
        self.messages: list[Fields] = []
        self.statuses: list[tuple[int, str]] = []
        """Number of a message of ours, and its status."""
        self._handles = itertools.count(1)
        self._link: Link | None = None

    @property
    def link(self) -> Link:
        """Its link. LookupError where there is none."""
        if self._link is None or self._link.closed:
            raise LookupError("not connected")
        return self._link

    @property
    def is_connected(self) -> bool:
        """Whether it has a link."""
        return self._link is not None and not self._link.closed

    def discover_first(self) -> Announced:
        """The server that answers first. LookupError where none does."""
        for each in self.discover(LISTEN):
            return each
        raise LookupError("no server answered")

    def connect(self) -> None:
        """Find a server and connect. LookupError without one, ConnectionRefusedError if it refuses."""
        server = self.discover_first()
        link = self.dial((server.address, server.features[MESSAGES][0]), MESSAGES)
        link.send("CONNECT_CLIENT", {"user": self.user})
        self.wait_for(lambda: link.result or link.closed)
        if link.result != "CONNECTED":
            raise ConnectionRefusedError(f"{server.server_id} answered {link.result}")
        self._link = link

    def finds(self, user: Fields, timeout: float = TIMEOUT) -> bool:
        """Search for a user by name, again and again; whether an answer names them. TimeoutError where none comes.

        Again, because its own server's answer and another's may come together, and then one is lost.
        """
        handles: set[int] = set()

        def answers() -> list[Fields]:
            named = [each.fields for each in self.received if each.name == "SEARCH_USERS_RESP"]
            return [each for each in named if each.get("handle") in handles]

        def found() -> bool:
            return any(user in each.get("users", []) for each in answers())

        end = time.monotonic() + timeout
        while time.monotonic() < end:
            handles.add(handle := next(self._handles))
            self.link.send("SEARCH_USERS", {"handle": handle, "query": user["userId"]})
            with suppress(TimeoutError):
                return self.wait_for(found, AGAIN)
        if not answers():
            raise TimeoutError(f"no answer to SEARCH_USERS in {timeout} s")
        return False

    def send_text(self, user: Fields, text: str) -> int:
        """Send a text to a user; return its number."""
        number = number_now()
        self.link.send(
            "MESSAGE", {"messageSnowflake": number, "author": self.user, "user": user, "textContent": text}
        )
        return number

    def on_frame(self, link: Link, name: str, fields: Fields) -> bool:
        """Take a MESSAGE and acknowledge it, an acknowledgement, or an answer."""
        if name == "MESSAGE":
            self.messages.append(fields)
            entry = {"user": self.user, "status": NUMBERS["DELIVERED"]}
            number = fields.get("messageSnowflake", 0)
            link.send("MESSAGE_ACK", {"messageSnowflake": number, "statuses": [entry]})
        elif name == "MESSAGE_ACK":
            number = fields.get("messageSnowflake", 0)
            self.statuses += [(number, status_of(each)) for each in fields.get("statuses", [])]
        return name in ("MESSAGE", "MESSAGE_ACK", "SEARCH_USERS_RESP")

    def on_datagram(self, sock: Any, name: str, fields: Fields, source: Endpoint) -> None:
        """It listens to none."""
