"""A server of code base 2: all on one port; each DISCOVER_SERVER that it hears makes it dial all others again."""

from __future__ import annotations

import socket
from typing import Any, NamedTuple

from tests.interop.programs.code_two import NUMBERS, PORT, CodeTwoProgram
from tests.support import plain_wire as wire
from tests.support.plain_link import Announced, Endpoint, Link, Received
from tests.support.plain_program import BROADCAST, DISCOVERY_PORT
from tests.support.plain_wire import Fields

MESSAGES = "MESSAGES"
FEATURES = [{"featureName": name, "port": PORT} for name in (MESSAGES, "contacts")]


class Question(NamedTuple):
    """A SEARCH_USERS that is passed on under a new handle."""

    link: Link
    handle: int


class CodeTwoServer(CodeTwoProgram):
    """`dials` counts how often it dialled somebody."""

    def __init__(self, server_id: str, address: str) -> None:
        super().__init__(address, BROADCAST, DISCOVERY_PORT)
        self.server_id = server_id
        self.dials = 0
        self._servers: dict[Link, str] = {}
        """Links with other servers, the newest last."""
        self._dialled: dict[Link, str] = {}
        self._authors: dict[int, Fields] = {}
        self._questions: dict[int, Question] = {}
        self._announcement = wire.encode("SERVER_ANNOUNCE", {"serverId": server_id, "feature": FEATURES})

    def start(self) -> None:
        """Listen, serve, and ask who is there."""
        self.open_listener(PORT, MESSAGES)
        self._own = self.open_udp((self.address, self.discovery_port), shared=True)
        self.open_udp(("0.0.0.0", self.discovery_port), shared=True)  # for broadcasts
        self._asking = self.open_udp((self.address, 0))
        self._asking.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        super().start()
        self._ask()

    def _ask(self) -> None:
        self.send_datagram_from(self._asking, wire.encode("DISCOVER_SERVER"), (self.broadcast, self.discovery_port))

    # Others -------------------------------------------------------------------------------------------

    def on_datagram(self, _sock: Any, name: str, fields: Fields, source: Endpoint) -> None:
        """Answer, and look for others again; dial each that answers."""
        if name == "DISCOVER_SERVER" and source != self._asking.getsockname():
            self.send_datagram_from(self._own, self._announcement, source)
            self._ask()
        elif name == "SERVER_ANNOUNCE":
            self._dial(Announced.of(Received(name, fields, source, None)))

    def _dial(self, server: Announced) -> None:
        if server.server_id == self.server_id or MESSAGES not in server.features:
            return
        self.dials += 1
        try:
            link = self.dial((server.address, server.features[MESSAGES][0]), MESSAGES)
        except OSError:
            return
        self._dialled[link] = server.server_id
        link.send("CONNECT_SERVER", {"serverId": self.server_id, "features": [MESSAGES]})

    def link_to(self, server_id: str) -> Link | None:
        """The newest link with a server."""
        return next((link for link in reversed(self._servers) if self._servers[link] == server_id), None)

    def on_closed(self, link: Link) -> None:
        """Forget it."""
        self._servers.pop(link, None)
        self._dialled.pop(link, None)

    def _connect(self, link: Link, name: str, hello: Fields) -> str:
        server_id = hello.get("serverId", "")
        if link.kind or self.link_to(server_id) is not None:
            return "IS_ALREADY_CONNECTED_ERROR"
        link.kind, link.hello = "client" if name == "CONNECT_CLIENT" else "server", hello
        if link.kind == "server":
            self._servers[link] = server_id
        return "CONNECTED"

    # Frames ---------------------------------------------------------------------------------------------

    def _serve(self, link: Link, name: str, fields: Fields) -> None:
        super()._serve(link, name, fields)
        if link.result == "CONNECTED" and not link.kind and not link.closed:
            link.kind = "server"
            self._servers[link] = self._dialled[link]

    def on_frame(self, link: Link, name: str, fields: Fields) -> bool:
        """Serve a frame, on links of either direction."""
        if name in ("CONNECT_CLIENT", "CONNECT_SERVER"):
            link.send("CONNECTED", {"result": self._connect(link, name, fields)})
        elif not link.kind:
            return False
        elif name == "MESSAGE":
            self._message(fields)
        elif name == "MESSAGE_ACK":
            self._pass_on(fields)
        elif name == "SEARCH_USERS":
            self._search(link, fields)
        elif name == "SEARCH_USERS_RESP":
            self._found(fields)
        else:
            return False
        return True

    def _client(self, user: Fields) -> Link | None:
        found = [each for each in self.links if each.kind == "client" and each.hello.get("user") == user]
        return found[-1] if found else None

    def _message(self, message: Fields) -> None:
        user = message.get("user", {})
        number = message.get("messageSnowflake", 0)
        self._authors[number] = message.get("author", {})
        here = user.get("serverId") == self.server_id
        if to := self._client(user) if here else self.link_to(user.get("serverId", "")):
            to.send("MESSAGE", message)
            return
        status = NUMBERS["USER_NOT_FOUND" if here else "OTHER_SERVER_NOT_FOUND"]
        self._pass_on({"messageSnowflake": number, "statuses": [{"user": user, "status": status}]})

    def _pass_on(self, ack: Fields) -> None:
        author = self._authors.get(ack.get("messageSnowflake", 0), {})
        here = author.get("serverId") == self.server_id
        if to := self._client(author) if here else self.link_to(author.get("serverId", "")):
            to.send("MESSAGE_ACK", ack)

    def _search(self, link: Link, asked: Fields) -> None:
        query = asked.get("query", "")
        users = [each.hello["user"] for each in self.links if each.kind == "client"]
        found = [user for user in users if query in user.get("userId", "")]
        link.send("SEARCH_USERS_RESP", {"handle": asked.get("handle", 0), "users": found})
        for peer in map(self.link_to, set(self._servers.values())) if link.kind == "client" else ():
            handle = len(self._questions) + 1
            self._questions[handle] = Question(link, asked.get("handle", 0))
            if peer is not None:
                peer.send("SEARCH_USERS", {"handle": handle, "query": query})

    def _found(self, answer: Fields) -> None:
        if question := self._questions.get(answer.get("handle", 0)):
            question.link.send("SEARCH_USERS_RESP", {**answer, "handle": question.handle})
