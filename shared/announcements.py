"""What a SERVER_ANNOUNCE says, and to whom a process says it.

The address of a server is its datagram's source, never what its content says (protocol.md).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from shared.addresses import Endpoint, Server
from shared.datagrams import Address, UdpSocket
from shared.errors import MalformedMessage
from shared.framing import MAX_DATAGRAM, Frame
from shared.messages import decode, encode, pb

Linked = Mapping[str, Sequence[str]]
"""Feature → the servers that it is linked with."""


def read_announcement(frame: Frame, source: str) -> Server:
    """The server that a SERVER_ANNOUNCE from an address speaks of.

    Raises:
        MalformedMessage: it is none, or names nobody, or a port that is no port.

    """
    announcement = decode(frame, pb.ServerAnnounce)
    if not announcement.serverId:
        raise MalformedMessage("an announcement without a serverId")
    features: dict[str, tuple[Endpoint, ...]] = {}
    for feature in announcement.feature:
        if not 0 < feature.port <= 65535 or feature.udpPort > 65535:  # noqa: PLR2004 - the range of ports
            raise MalformedMessage(f"{announcement.serverId} announces no port for {feature.featureName}")
        features[feature.featureName] = (Endpoint(source, feature.port, feature.udpPort),)
    return Server(announcement.serverId, features)


def read_linked(frame: Frame) -> dict[str, frozenset[str]]:
    """For each feature that an announcement speaks of, whom it says to be linked with (ours)."""
    announcement = decode(frame, pb.ServerAnnounce)
    return {feature.featureName: frozenset(feature.linked) for feature in announcement.feature}


def encode_announcement(
    server_id: str, endpoints: Sequence[pb.Endpoint], linked: Linked = MappingProxyType({})
) -> bytes:
    """The SERVER_ANNOUNCE datagram for what a server offers; and with whom each is linked, where that fits in."""
    message = pb.ServerAnnounce(serverId=server_id)
    for e in endpoints:
        names = linked.get(e.feature, ())
        message.feature.add(featureName=e.feature, port=e.port, udpPort=e.udpPort, linked=names)
    datagram = encode("SERVER_ANNOUNCE", message)
    if len(datagram) > MAX_DATAGRAM and linked:
        return encode_announcement(server_id, endpoints)
    return datagram


def announce(
    server_id: str,
    endpoints: Sequence[pb.Endpoint],
    to: Address,
    local_host: str,
    linked: Linked = MappingProxyType({}),
) -> None:
    """Answer an asker once, from `local_host` (empty: the address that reaches it)."""
    sock = UdpSocket(local_host or "0.0.0.0", 0, "announcing")  # noqa: S104 - the system chooses by route
    sock.send(encode_announcement(server_id, endpoints, linked), to)
    sock.close()


def merge(servers: dict[str, Server], heard: Server) -> None:
    """Add what was heard of a server: one heard at several addresses is one server."""
    known = servers.get(heard.server_id)
    features = dict(known.features) if known is not None else {}
    for feature, endpoints in heard.features.items():
        before = features.get(feature, ())
        features[feature] = before + tuple(e for e in endpoints if e not in before)
    servers[heard.server_id] = Server(heard.server_id, features)
