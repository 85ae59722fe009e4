"""`alice@alpha`: the names of people and groups, and where servers are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from shared.errors import ConfigError
from shared.messages import pb

MAX_ID = 255
"""Characters of a userId or serverId that we accept from elsewhere."""


class User(NamedTuple):
    """A person at their home server."""

    user_id: str
    server_id: str

    def __str__(self) -> str:
        return f"{self.user_id}@{self.server_id}"

    @classmethod
    def parse(cls, text: str) -> User:
        """Read USER@SERVER; ConfigError where it is not that."""
        user_id, _, server_id = text.strip().rpartition("@")
        if not user_id or not server_id:
            raise ConfigError(f"{text!r} is no address: write USER@SERVER, as in alice@alpha")
        return cls(user_id, server_id)

    @classmethod
    def of(cls, message: pb.User) -> User:
        """The value of a payload's User."""
        return cls(message.userId, message.serverId)

    def to_pb(self) -> pb.User:
        """The payload's User."""
        return pb.User(userId=self.user_id, serverId=self.server_id)

    @property
    def is_complete(self) -> bool:
        """Whether both parts are there, and not absurdly long."""
        return 0 < len(self.user_id) <= MAX_ID and 0 < len(self.server_id) <= MAX_ID


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a process serves a feature: address, TCP port, and UDP port (0: none)."""

    host: str
    port: int
    udp_port: int = 0

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Server:
    """A server as discovered: each feature it offers, and where; nearest address first."""

    server_id: str
    features: dict[str, tuple[Endpoint, ...]]

    def endpoints(self, feature: str) -> tuple[Endpoint, ...]:
        """Where it offers `feature`; empty when it does not."""
        return self.features.get(feature, ())


ServerList = tuple[Server, ...]
"""What `discover_servers()` returns, in the order in which the servers were first heard."""
