"""A stand-in for the clients already in use, written from protocol.md alone.

It discovers once, keeps the first server that offers a feature, acknowledges with one status that
names no user, and knows nothing of fields from 100 up.
"""

import time
from collections.abc import Callable, Mapping
from typing import Any

from tests.support import plain_wire as wire
from tests.support.plain_link import TIMEOUT, Announced, Endpoint, Link, Received, next_snowflake
from tests.support.plain_program import BROADCAST, DISCOVERY_PORT, LISTEN, PlainProgram
from tests.support.plain_wire import Fields

UDP_PORTS = {"TYPING_INDICATOR": 7779, "LIVE_LOCATION": 8890}


class PlainClient(PlainProgram):
    """A user's client; attributes hold what it was sent so far.

    `udp_ports` (0: any free one) say where it listens for each feature, `status` is what it
    acknowledges a MESSAGE with (None: not at all), `enough` ends the listening early at so many
    announcements, and `listen` ends it in any case (seconds).
    """

    def __init__(
        self,
        user_id: str,
        server_id: str,
        address: str = "127.0.0.1",
        *,
        broadcast: str = BROADCAST,
        discovery_port: int = DISCOVERY_PORT,
        listen: float = LISTEN,
        enough: int | None = None,
        udp_ports: Mapping[str, int] = UDP_PORTS,
        groups: tuple[str, ...] = (),
        status: str | None = "DELIVERED",
    ) -> None:
        super().__init__(address, broadcast, discovery_port)
        self.user: Fields = {"userId": user_id, "serverId": server_id}
        self.listen = listen
        self.enough = enough
        self.groups = groups
        self.status = status
        self.servers: list[Announced] | None = None
        self.connected: dict[str, Link] = {}
        self.messages: list[Fields] = []
        self.acks: list[Fields] = []
        self.typing: list[Fields] = []  # the newest list, whole
        self.locations: list[Fields] = []
        self._udp_ports = udp_ports
        self._udp: dict[str, Any] = {}

    def discover_once(self) -> list[Announced]:
        """Return the servers that answered the one DISCOVER_SERVER of this client, in order of arrival."""
        if self.servers is None:
            self.servers = []
            for each in self.discover(self.listen):
                self.servers.append(each)
                if len(self.servers) == self.enough:
                    break
        return self.servers

    def server_for(self, feature: str) -> Announced:
        """Return the first server in the list with a feature, for MESSAGES our home. Raises LookupError."""
        for each in self.discover_once():
            home = each.server_id == self.user["serverId"]
            if feature in each.features and (home or feature != "MESSAGES"):
                return each
        raise LookupError(f"no server of {self.servers} offers {feature}")

    def connect(self, feature: str = "MESSAGES") -> Link:
        """Connect and wait for CONNECTED. Raises LookupError without a server, OSError if it refuses."""
        server = self.server_for(feature)
        link = self.dial((server.address, server.features[feature][0]), feature)
        if feature in self._udp_ports and feature not in self._udp:
            self._udp[feature] = self.open_udp((self.address, self._udp_ports[feature]))
        udp_port = self.udp_address(feature)[1] if feature in self._udp else 0
        link.send_bytes(self.hello(udp_port))
        self.wait_for(lambda: link.result or link.closed)
        if link.result != "CONNECTED":
            self.drop(link)
            raise ConnectionRefusedError(f"{server.server_id} answered {link.result}")
        self.connected[feature] = link
        return link

    def hello(self, udp_port: int) -> bytes:
        """The first frame of each link."""
        return wire.encode("CONNECT_CLIENT", {"user": self.user, "udpPort": udp_port})

    def udp_address(self, feature: str) -> Endpoint:
        """Return where this client listens for a feature's datagrams, and sends them from."""
        address: Endpoint = self._udp[feature].getsockname()
        return address

    def send_text(self, user_id: str, server_id: str, text: str) -> int:
        """Send a text to a user; return its snowflake."""
        return self.send_message(
            {"user": {"userId": user_id, "serverId": server_id}, "textContent": text},
        )

    def send_message(self, fields: Fields) -> int:
        """Send a MESSAGE of ours with this recipient and content; return its snowflake."""
        snowflake = next_snowflake()
        message = {"messageSnowflake": snowflake, "author": self.user, **fields}
        self.connected["MESSAGES"].send("MESSAGE", message)
        return snowflake

    def send_typing(self, timestamp: float | None = None) -> None:
        """Say that we type, now or at a Unix time in seconds."""
        event = {"user": self.user, "timestamp": time.time() if timestamp is None else timestamp}
        self.send_datagram("TYPING_INDICATOR", wire.encode("TYPING_EVENT", event))

    def send_location(self, recipient: Fields, latitude: float, longitude: float, seconds: float = 60.0) -> None:
        """Share a place (degrees) for some time with {"user": …}, {"group": …} or {"userOfGroup": …}."""
        now = time.time()
        location = {
            "author": self.user,
            **recipient,
            "timestamp": now,
            "expiry_at": now + seconds,
            "location": {"latitude": latitude, "longitude": longitude},
        }
        self.send_datagram("LIVE_LOCATION", wire.encode("LIVE_LOCATION", location))

    def send_datagram(self, feature: str, data: bytes) -> None:
        """Send bytes to the feature's UDP port of the server that we are connected to."""
        server = self.server_for(feature)
        self.send_datagram_from(self._udp[feature], data, (server.address, server.features[feature][1]))

    def wait_text(self, text: str, timeout: float = TIMEOUT) -> Received:
        """Return the MESSAGE with this text."""
        return self.wait_frame("MESSAGE", lambda fields: fields.get("textContent") == text, timeout=timeout)

    def wait_status(self, snowflake: int, status: str, timeout: float = TIMEOUT) -> Fields:
        """Return the entry with this status in an acknowledgement of our message."""
        return self.wait_for(lambda: next(iter(self._statuses(snowflake, status)), None), timeout) or {}

    def wait_typing(self, holds: Callable[[set[str]], Any], timeout: float = TIMEOUT) -> list[Fields]:
        """Return the newest list once the `userId@serverId` in it satisfy `holds`."""
        self.wait_for(lambda: holds({_name(each.get("user", {})) for each in self.typing}), timeout)
        return self.typing

    def _statuses(self, snowflake: int, status: str) -> list[Fields]:
        return [
            each
            for ack in self.acks
            if ack.get("messageSnowflake") == snowflake
            for each in ack.get("statuses", [])
            if each.get("status", "UNKNOWN_STATUS") == status
        ]

    def on_closed(self, link: Link) -> None:
        """Forget the link."""
        if self.connected.get(link.feature) is link:
            del self.connected[link.feature]

    def on_frame(self, link: Link, name: str, fields: Fields) -> bool:
        """Take a MESSAGE and acknowledge it, or take an acknowledgement."""
        if link.feature != "MESSAGES" or name not in ("MESSAGE", "MESSAGE_ACK"):
            return False
        if name == "MESSAGE_ACK":
            self.acks.append(fields)
            return True
        self.messages.append(fields)
        if self.status is not None:
            snowflake = fields.get("messageSnowflake", 0)
            link.send("MESSAGE_ACK", {"messageSnowflake": snowflake, "statuses": [{"status": self.status}]})
        return True

    def on_datagram(self, sock: Any, name: str, fields: Fields, _source: Endpoint) -> None:
        """Keep the newest typing list, and of locations those that are for us."""
        if name == "TYPING_EVENTS" and sock is self._udp.get("TYPING_INDICATOR"):
            self.typing = fields.get("typing_events", [])
        if name == "LIVE_LOCATIONS" and sock is self._udp.get("LIVE_LOCATION"):
            entries = [each.get("live_location", {}) for each in fields.get("extended_live_locations", [])]
            self.locations += filter(self._is_for_us, self.readable(entries))

    def readable(self, locations: list[Fields]) -> list[Fields]:
        """What it can take of a list of locations."""
        return locations

    def _is_for_us(self, location: Fields) -> bool:
        group = location.get("group", {}).get("groupId")
        recipient = location.get("userOfGroup", location).get("user")
        return location.get("author") != self.user and (recipient == self.user or group in self.groups)


def _name(user: Fields) -> str:
    return f"{user.get('userId', '')}@{user.get('serverId', '')}"
