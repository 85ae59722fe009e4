"""A stand-in for the servers already in use, written from protocol.md alone.

It has the quirks listed there under "What existing programs do that we must live with": it discovers
once; a link that it dialled is deaf and mute; it knows one link per serverId and feature; it does not
recognise duplicates; and it may never confirm. It knows nothing of fields from 100 up.
"""

import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from tests.support import plain_wire as wire
from tests.support.plain_link import TIMEOUT, Announced, Endpoint, Link, next_snowflake
from tests.support.plain_program import BROADCAST, DISCOVERY_PORT, LISTEN, PlainProgram
from tests.support.plain_wire import Fields

MESSAGES, TYPING, LOCATION = "MESSAGES", "TYPING_INDICATOR", "LIVE_LOCATION"
PORTS: Mapping[str, tuple[int, int | None]] = {
    TYPING: (7777, 7778),
    LOCATION: (8888, 8889),
    MESSAGES: (6666, None),
}
SERVER_LINK_ONLY = {"TYPING_EVENTS": TYPING, "LIVE_LOCATIONS": LOCATION}


class PlainServer(PlainProgram):
    """A server with features {name: (TCP port, UDP port or None)}; a port of 0 means any free one.

    `users` are known without a client: what is for them is only recorded in `delivered`, and if the
    server `confirms`, acknowledged DELIVERED. One that does not confirm sends no MESSAGE_ACK to another
    server and no status for a user that it does not know. `enough` ends the listening for
    announcements early, `listen` in any case (seconds); 0 leaves the discovery out.
    """

    def __init__(
        self,
        server_id: str,
        address: str,
        *,
        users: tuple[str, ...] = (),
        ports: Mapping[str, tuple[int, int | None]] = PORTS,
        broadcast: str = BROADCAST,
        discovery_port: int = DISCOVERY_PORT,
        discovery_address: str = "0.0.0.0",
        listen: float = LISTEN,
        enough: int | None = None,
        confirms: bool = True,
    ) -> None:
        super().__init__(address, broadcast, discovery_port)
        self.server_id = server_id
        self.users = users
        self.confirms = confirms
        self.found: list[Announced] = []  # other servers, as they announced themselves
        self.peers: dict[tuple[str, str], Link] = {}  # by serverId and feature
        self.delivered: list[Fields] = []  # MESSAGEs for our users, as often as they came
        self.acks: list[Fields] = []  # MESSAGE_ACKs for our users' messages
        self.typing: dict[str, Fields] = {}
        self._ports = ports
        self._discovery_address = discovery_address
        self._listen = listen
        self._enough = enough
        self._tcp: dict[str, int] = {}
        self._udp: dict[str, Any] = {}
        self._announcement = b""
        self._authors: dict[int, Fields] = {}

    def start(self) -> None:
        """Listen, serve, discover once and dial what was found."""
        features = []
        for name, (tcp, udp) in self._ports.items():
            self._tcp[name] = self.open_listener(tcp, name)
            feature = {"featureName": name, "port": self._tcp[name]}
            if udp is not None:
                self._udp[name] = self.open_udp((self.address, udp))
                feature["udpPort"] = self._udp[name].getsockname()[1]
            features.append(feature)
        self._announcement = wire.encode("SERVER_ANNOUNCE", {"serverId": self.server_id, "feature": features})
        self._own = self.open_udp((self.address, self.discovery_port), shared=True)
        self.open_udp((self._discovery_address, self.discovery_port), shared=True)  # for broadcasts
        super().start()
        self._discover_once()
        for each in self.found:
            for name in each.features:
                self._dial_peer(each, name)

    def address_of(self, feature: str) -> Endpoint:
        """Return where a feature accepts links."""
        return self.address, self._tcp[feature]

    def working_link(self, server_id: str, feature: str = MESSAGES) -> Link | None:
        """Return the link that this server dialled to us: the only kind that carries anything."""
        link = self.peers.get((server_id, feature))
        return None if link is None or link.dialled else link

    def wait_working_link(self, server_id: str, feature: str = MESSAGES, timeout: float = TIMEOUT) -> Link:
        """Return the link that this server dialled to us, once it has."""
        link = self.wait_for(lambda: self.working_link(server_id, feature), timeout)
        assert link is not None
        return link

    def send_message(self, user_id: str, to_user: str, to_server: str, text: str) -> int:
        """Send a text of one of our users; return its snowflake. LookupError without a working link."""
        author = {"userId": user_id, "serverId": self.server_id}
        message = {"author": author, "user": {"userId": to_user, "serverId": to_server}, "textContent": text}
        with self.lock:
            link = self.working_link(to_server)
            if link is None:
                raise LookupError(f"{to_server} has dialled no {MESSAGES} link to {self.server_id}")
            snowflake = next_snowflake()
            self._authors[snowflake] = author
            link.send("MESSAGE", {"messageSnowflake": snowflake, **message})
        return snowflake

    def send_typing(self, user_id: str, timestamp: float | None = None) -> None:
        """Broadcast that one of our users types, now or at a Unix time in seconds."""
        user = {"userId": user_id, "serverId": self.server_id}
        with self.lock:
            at = time.time() if timestamp is None else timestamp
            self._typing([{"user": user, "timestamp": at}], from_client=True)

    def send_location(self, location: Fields) -> None:
        """Broadcast a LiveLocation of one of our users."""
        with self.lock:
            self._locations([{"live_location": location, "messageSnowflake": next_snowflake()}], from_client=True)

    def wait_delivered(self, text: str, *, count: int = 1, timeout: float = TIMEOUT) -> Fields:
        """Return the `count`-th delivered MESSAGE with this text."""

        def found() -> list[Fields]:
            return [each for each in self.delivered if each.get("textContent") == text][count - 1 :]

        return self.wait_for(found, timeout)[0]

    def _discover_once(self) -> None:
        if self._listen == 0 or self._enough == 0:
            return
        for each in self.discover(self._listen):
            if each.server_id != self.server_id:
                self.found.append(each)
            if len(self.found) == self._enough:
                return

    def _dial_peer(self, server: Announced, feature: str) -> None:
        key = (server.server_id, feature)
        if feature not in self._ports or key in self.peers:
            return
        try:
            link = self.dial((server.address, server.features[feature][0]), feature)
        except OSError:  # it discovers and dials only once
            return
        with self.lock:
            if self.peers.setdefault(key, link) is not link:  # it was quicker
                self.hang_up(link, "EXIT")
                return
            link.send("CONNECT_SERVER", {"serverId": self.server_id, "features": [feature]})

    def on_closed(self, link: Link) -> None:
        """Free the link's entries."""
        self.peers = {key: each for key, each in self.peers.items() if each is not link}

    def on_datagram(self, sock: Any, name: str, fields: Fields, source: Endpoint) -> None:
        """Answer DISCOVER_SERVER from our own address; take typing events and locations."""
        if name == "DISCOVER_SERVER" and sock not in self._udp.values():
            self.send_datagram_from(self._own, self._announcement, source)
        elif name == "TYPING_EVENT" and sock is self._udp.get(TYPING):
            self._typing([fields], from_client=True)
        elif name == "LIVE_LOCATION" and sock is self._udp.get(LOCATION):
            entry = {"live_location": fields, "messageSnowflake": next_snowflake()}
            self._locations([entry], from_client=True)

    def on_frame(self, link: Link, name: str, fields: Fields) -> bool:
        """Serve a link that the other side dialled; one that we dialled is deaf."""
        if link.dialled:
            return False
        if name in ("CONNECT_CLIENT", "CONNECT_SERVER"):
            link.send("CONNECTED", {"result": self._connect(link, name, fields)})
        elif name == "MESSAGE" and link.kind and link.feature == MESSAGES:
            self._message(link, fields)
        elif name == "MESSAGE_ACK" and link.kind and link.feature == MESSAGES:
            self._ack(link, fields)
        elif link.kind == "server" and SERVER_LINK_ONLY.get(name) == link.feature == TYPING:
            self._typing(fields.get("typing_events", []), from_client=False)
        elif link.kind == "server" and SERVER_LINK_ONLY.get(name) == link.feature == LOCATION:
            self._locations(fields.get("extended_live_locations", []), from_client=False)
        else:
            return False
        return True

    def _connect(self, link: Link, name: str, hello: Fields) -> str:
        keys = [(hello.get("serverId", ""), feature) for feature in hello.get("features", [])]
        if link.kind or any(key in self.peers for key in keys):
            return "IS_ALREADY_CONNECTED_ERROR"
        link.kind = "client" if name == "CONNECT_CLIENT" else "server"
        link.hello = hello
        self.peers.update(dict.fromkeys(keys, link))
        return "CONNECTED"

    def _clients(self, feature: str, user: Fields | None = None) -> list[Link]:
        return [
            link
            for link in self.links
            if (link.kind, link.feature) == ("client", feature) and user in (None, link.hello.get("user"))
        ]

    def _message(self, link: Link, message: Fields) -> None:
        user = message.get("userOfGroup", message).get("user", {})
        home = (user or message.get("group", {})).get("serverId", "")
        self._authors[message.get("messageSnowflake", 0)] = message.get("author", {})
        if link.kind == "client" and home != self.server_id:
            if onward := self.working_link(home):
                onward.send("MESSAGE", message)
            else:
                self._report(message, user, "OTHER_SERVER_NOT_FOUND")
            return
        clients = self._clients(MESSAGES, user)
        if home != self.server_id or not (clients or user.get("userId") in self.users):
            if self.confirms:
                self._report(message, user, "USER_NOT_FOUND")
            return
        self.delivered.append(message)
        for client in clients:
            client.send("MESSAGE", message)
        if self.confirms and not clients:
            self._report(message, user, "DELIVERED")

    def _report(self, message: Fields, user: Fields, status: str) -> None:
        entry = {"user": user, "status": status} if user else {"status": status}
        self._pass_on({"messageSnowflake": message.get("messageSnowflake", 0), "statuses": [entry]})

    def _ack(self, link: Link, ack: Fields) -> None:
        if link.kind == "client":  # it names no user: we fill in who acknowledged
            statuses = [{"user": link.hello.get("user", {}), **each} for each in ack.get("statuses", [])]
            ack = {**ack, "statuses": statuses}
        self._pass_on(ack)

    def _pass_on(self, ack: Fields) -> None:
        author = self._authors.get(ack.get("messageSnowflake", 0), {})
        if author.get("serverId") == self.server_id:
            self.acks.append(ack)
            for client in self._clients(MESSAGES, author):
                client.send("MESSAGE_ACK", ack)
        elif self.confirms and (link := self.working_link(author.get("serverId", ""))):
            link.send("MESSAGE_ACK", ack)

    def _typing(self, events: list[Fields], *, from_client: bool) -> None:
        self.typing |= {str(event.get("user")): event for event in events}
        everything = {"typing_events": list(self.typing.values())}
        self._broadcast(TYPING, "TYPING_EVENTS", everything, {"typing_events": events} if from_client else None)

    def _locations(self, entries: list[Fields], *, from_client: bool) -> None:
        fields = {"extended_live_locations": entries}
        self._broadcast(LOCATION, "LIVE_LOCATIONS", fields, fields if from_client else None)

    def _broadcast(self, feature: str, name: str, to_clients: Fields, to_servers: Fields | None) -> None:
        for client in self._clients(feature):
            address = (client.remote[0], client.hello.get("udpPort", 0))
            with suppress(OSError):  # a client that named no port, a list too long
                self.send_datagram_from(self._udp[feature], wire.encode(name, to_clients), address)
        for server_id, linked in self.peers if to_servers is not None else ():
            if linked == feature and (link := self.working_link(server_id, feature)):
                link.send(name, to_servers)
