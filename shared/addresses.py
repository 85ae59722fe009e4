r"""`alice@alpha`, `#crew@alpha`: the names of people and groups, and where servers are.

A name that Parley would give nobody is written in quotes, as in `"odd name\x1b"@alpha` (names.py), and read
back to the character. What is typed without quotes is taken in Unicode's composed form: keyboards differ.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, field
from typing import NamedTuple

from parley.shared.errors import ConfigError
from parley.shared.names import fold, quoted, spell, unspell
from parley.shared.wire.messages import pb

SocketAddress = tuple[str, int]
"""An IPv4 address and a port, as sockets have it."""
MAX_ID = 255
"""Characters of a userId or serverId that we accept from elsewhere."""


def split(text: str) -> tuple[str, str]:
    """NAME@SERVER or NAME, each quoted or not, as the name and the server; an empty server where there is none.

    Raises:
        ValueError: there are quotes, and it is neither.

    """
    text = text.strip()
    if found := quoted(text):
        name, at, server_id = found[0], text[found.end() : found.end() + 1], text[found.end() + 1 :]
        if at not in ("", "@") or (at and not server_id):
            raise ValueError(f"{text!r} is not quoted as a name is")
    elif text.endswith('"') and '@"' in text:
        name, _, server_id = text.partition('@"')
        server_id = '"' + server_id
    elif "@" in text:
        name, _, server_id = text.rpartition("@")
    else:
        name, server_id = text, ""
    return _name(name), _name(server_id)


def _name(text: str) -> str:
    text = text.strip()
    return unspell(text) if quoted(text) else unicodedata.normalize("NFC", text)


class User(NamedTuple):
    """A person at their home server."""

    user_id: str
    server_id: str

    def __str__(self) -> str:
        return f"{spell(self.user_id)}@{spell(self.server_id)}"

    def is_same(self, other: object) -> bool:
        """Whether that is the same user, however the server is spelt."""
        return (
            isinstance(other, User)
            and other.user_id == self.user_id
            and fold(other.server_id) == fold(self.server_id)
        )

    @classmethod
    def parse(cls, text: str) -> User:
        """Read USER@SERVER; ConfigError where it is not that."""
        try:
            user_id, server_id = split(text)
        except ValueError as error:
            raise ConfigError(f"{text!r} is no address: {error}") from None
        if not user_id or not server_id:
            raise ConfigError(f"{text!r} is no address: write USER@SERVER, as in alice@alpha")
        return cls(user_id, server_id)

    @classmethod
    def of(cls, message: pb.User) -> User:
        """The value of a payload's User."""
        return tuple.__new__(cls, (message.userId, message.serverId))  # half the time of cls(…)

    def to_pb(self) -> pb.User:
        """The payload's User."""
        return pb.User(userId=self.user_id, serverId=self.server_id)

    @property
    def is_complete(self) -> bool:
        """Whether both parts are there, and not absurdly long."""
        user_id, server_id = self
        return 0 < len(user_id) <= MAX_ID and 0 < len(server_id) <= MAX_ID


class Group(NamedTuple):
    """Several people, by a name at the server where the group lives; written #crew@alpha."""

    group_id: str
    server_id: str

    def __str__(self) -> str:
        return f"#{spell(self.group_id)}@{spell(self.server_id)}"

    @classmethod
    def parse(cls, text: str) -> Group:
        """Read #GROUP@SERVER, or GROUP@SERVER; ConfigError where it is not that."""
        try:
            group_id, server_id = split(text.strip().removeprefix("#"))
        except ValueError as error:
            raise ConfigError(f"{text!r} is no group: {error}") from None
        if not group_id or not server_id:
            raise ConfigError(f"{text!r} is no group: write #GROUP@SERVER, as in #crew@alpha")
        return cls(group_id, server_id)

    @classmethod
    def of(cls, message: pb.Group) -> Group:
        """The value of a payload's Group."""
        return cls(message.groupId, message.serverId)

    def to_pb(self) -> pb.Group:
        """The payload's Group."""
        return pb.Group(groupId=self.group_id, serverId=self.server_id)

    @property
    def is_complete(self) -> bool:
        """Whether both parts are there, and not absurdly long."""
        return 0 < len(self.group_id) <= MAX_ID and 0 < len(self.server_id) <= MAX_ID


Recipient = User | Group
"""The recipient of a message."""


def parse_recipient(text: str) -> Recipient:
    """Read USER@SERVER or #GROUP@SERVER; ConfigError where it is neither."""
    return Group.parse(text) if text.strip().startswith("#") else User.parse(text)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a process serves a feature: address, TCP port, and UDP port (0: none)."""

    host: str
    port: int
    udp_port: int = 0
    answered: bool = field(default=False, compare=False)
    """Whether it was heard there in answer to a request of ours, and not only claimed."""

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


class Mark(NamedTuple):
    """The part of an announcement by which a Parley is known: no other program has it."""

    version: str
    instance_id: str
    capabilities: int
    """Bits of capabilities.py."""


@dataclass(frozen=True, slots=True)
class Server:
    """A server as discovered: each feature it offers, and where; nearest address first."""

    server_id: str
    features: dict[str, tuple[Endpoint, ...]]
    mark: Mark | None = field(default=None, compare=False)
    """None: no Parley, or one that is older than the mark."""
    heard: bool = field(default=False, compare=False)
    """Whether it announced itself; else a program of ours names it, and means it to be dialled."""
    key: bytes = b""
    """The node's identity key, as it announced it; empty: it never did, and is spoken to in plain."""

    @property
    def is_unmarked(self) -> bool:
        """Whether nothing of it says that it is a Parley: existing programs announce themselves so."""
        return not self.key and self.mark is None

    def endpoints(self, feature: str) -> tuple[Endpoint, ...]:
        """Where it offers `feature`; empty when it does not."""
        return self.features.get(feature, ())


ServerList = tuple[Server, ...]
"""The result of `discover_servers()`, in the order in which the servers were first heard."""
