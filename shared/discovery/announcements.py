"""The text of a SERVER_ANNOUNCE, and the addresses that a process sends it to.

The address of a server is its datagram's source, never what its content says (protocol.md). What anybody sends has
bounds: a name has MAX_ID characters at most, a server FEATURES_EACH features, a feature LINKED_EACH linked servers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from types import MappingProxyType
from typing import Final

from parley.shared.addresses import MAX_ID, Endpoint, Mark, Server, SocketAddress
from parley.shared.dialects.dialect import PLAIN_CLIENT
from parley.shared.dialects.rewriting import rewrite
from parley.shared.errors import MalformedMessage
from parley.shared.sockets.datagrams import UdpSocket
from parley.shared.trust.announcements import sign
from parley.shared.trust.keys import KEY, PrivateKey
from parley.shared.wire.capabilities import OURS
from parley.shared.wire.framing import MAX_DATAGRAM, Frame
from parley.shared.wire.messages import FEATURES, decode, encode, pb

Linked = Mapping[str, Sequence[str]]
"""Feature → the servers that it is linked with."""

FEATURES_EACH: Final = 16
LINKED_EACH: Final = 128
LONGEST_FEATURE: Final = 64
"""Characters of a feature's name."""


@dataclass(frozen=True, slots=True)
class Announcement:
    """All that one says."""

    server: Server
    linked: Mapping[str, frozenset[str]]
    """For each feature of ours, whom it says to be linked with."""
    nonce: bytes
    ask: bytes
    message: pb.ServerAnnounce = field(default_factory=pb.ServerAnnounce, repr=False)
    """As it came: its key, which `server` has, too, is not verified yet."""


def read(frame: Frame, source: str) -> Announcement:
    """Read a SERVER_ANNOUNCE that came from an address.

    Raises:
        MalformedMessage: it is none, or names nobody, or somebody absurdly long, or a port that is no port.

    """
    announcement = decode(frame, pb.ServerAnnounce)
    if not 0 < len(announcement.serverId) <= MAX_ID:
        raise MalformedMessage(f"an announcement with a serverId of {len(announcement.serverId)} characters")
    features: dict[str, tuple[Endpoint, ...]] = {}
    linked = {}
    for feature in announcement.feature:
        if not 0 < feature.port <= 65535 or feature.udpPort > 65535:  # noqa: PLR2004 - the range of ports
            raise MalformedMessage(f"{announcement.serverId} announces no port for a feature")
        name = feature.featureName
        if len(name) <= LONGEST_FEATURE and (len(features) < FEATURES_EACH or name in features):
            features[name] = (Endpoint(source, feature.port, feature.udpPort),)
            if name in FEATURES:
                linked[name] = frozenset(islice(feature.linked, LINKED_EACH))
    key = announcement.identity.key[: KEY + 1]
    server = Server(announcement.serverId, features, _mark(announcement), heard=True, key=key)
    return Announcement(server, linked, announcement.nonce, announcement.ask, announcement)


def _mark(announcement: pb.ServerAnnounce) -> Mark | None:
    if not announcement.HasField("mark"):
        return None
    mark = announcement.mark
    return Mark(mark.version[:LONGEST_FEATURE], mark.instanceId[:LONGEST_FEATURE], mark.capabilities)


def read_announcement(frame: Frame, source: str) -> Server:
    """The server that a SERVER_ANNOUNCE speaks of; its key is only said. MalformedMessage as above."""
    return read(frame, source).server


def our_mark(version: str, instance_id: str) -> pb.Mark:
    """That of a process of ours: never empty, so that a Parley is known before it is dialled."""
    return pb.Mark(version=version, instanceId=instance_id, capabilities=OURS)


def encode_announcement(
    server_id: str,
    endpoints: Sequence[pb.Endpoint],
    linked: Linked = MappingProxyType({}),
    *,
    mark: pb.Mark | None = None,
    nonce: bytes = b"",
    ask: bytes = b"",
    limit: int = MAX_DATAGRAM,
    identity: PrivateKey | None = None,
) -> bytes:
    """The SERVER_ANNOUNCE datagram for what a server offers; and with whom each is linked, where that fits in.

    `nonce` is that of the request: without one an existing program asked, and the answer has no field of ours.
    `ask`: ours, for the answer to be asked for. `limit`: bytes. `identity` signs; without one there is no key.
    """
    if not nonce:
        mark, linked, ask, identity = None, {}, b"", None
    message = pb.ServerAnnounce(serverId=server_id, mark=mark, nonce=nonce, ask=ask)
    may_fit = sum(len(names) for names in linked.values()) <= limit // 3  # a name takes two bytes more than it has
    for e in endpoints:
        names = linked.get(e.feature, ()) if may_fit else ()
        message.feature.add(featureName=e.feature, port=e.port, udpPort=e.udpPort, linked=names)
    if identity is not None:
        sign(message, identity)
    datagram = encode("SERVER_ANNOUNCE", message)
    if len(datagram) > limit and linked and may_fit:
        return encode_announcement(server_id, endpoints, mark=mark, nonce=nonce, ask=ask, identity=identity)
    return datagram if nonce else b"".join(rewrite(PLAIN_CLIENT, datagram))


def announce(datagram: bytes, to: SocketAddress, local_host: str) -> None:
    """Answer an asker once, from `local_host` (empty: the address that reaches it)."""
    sock = UdpSocket(local_host or "0.0.0.0", 0, "announcing")  # noqa: S104 - the system chooses by route
    sock.send(datagram, to)
    sock.close()


def merge(servers: dict[str, Server], heard: Server) -> None:
    """Add what was heard of a server: one heard at several addresses is one server.

    Who has a key is not at an address where its name was heard without.
    """
    known = servers.get(heard.server_id)
    if known is not None and known.key and not heard.key:
        return
    features = dict(known.features) if known is not None and known.key == heard.key else {}
    for feature, endpoints in heard.features.items():
        before = features.get(feature, ())
        features[feature] = before + tuple(e for e in endpoints if e not in before)
    servers[heard.server_id] = Server(heard.server_id, features, heard.mark, heard=True, key=heard.key)
