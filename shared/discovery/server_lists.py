"""SERVER_LIST: how a node's processes hear of the directory: whole once, then what is different. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

from parley.shared.addresses import Endpoint, Mark, Server, ServerList
from parley.shared.wire.messages import encode, pb

PER_MESSAGE: Final = 50
"""Servers in one message: with all their places they stay far below a frame's limit."""


@dataclass(frozen=True, slots=True)
class ServerListChange:
    """The content of one SERVER_LIST."""

    servers: ServerList
    """All there are, or those that are new or different."""
    gone: tuple[str, ...] = ()
    is_whole: bool = True


def read_change(message: pb.ServerList) -> ServerListChange:
    """The change as SERVER_LIST carries it."""
    return ServerListChange(read_server_list(message), tuple(message.gone), not message.isDifference)


def read_server_list(message: pb.ServerList) -> ServerList:
    """The servers that it speaks of."""
    return tuple(_read_server(server) for server in message.servers)


def _read_server(server: pb.ServerList.Server) -> Server:
    features: dict[str, tuple[Endpoint, ...]] = {}
    for e in server.endpoints:
        features[e.feature] = (*features.get(e.feature, ()), Endpoint(e.host, e.port, e.udpPort, e.answered))
    mark = server.mark
    known = Mark(mark.version, mark.instanceId, mark.capabilities) if server.HasField("mark") else None
    return Server(server.serverId, features, known, heard=True, key=server.key)


def write_server_list(
    servers: ServerList, own: Sequence[pb.Endpoint], gone: Sequence[str] = (), *, is_difference: bool = False
) -> pb.ServerList:
    """The payload of SERVER_LIST."""
    message = pb.ServerList(own=own, gone=gone, isDifference=is_difference)
    for server in servers:
        entry = message.servers.add(serverId=server.server_id, mark=_write_mark(server.mark), key=server.key)
        for feature, endpoints in server.features.items():
            for e in endpoints:
                entry.endpoints.add(
                    feature=feature, host=e.host, port=e.port, udpPort=e.udp_port, answered=e.answered
                )
    return message


def _write_mark(mark: Mark | None) -> pb.Mark | None:
    if mark is None:
        return None
    return pb.Mark(version=mark.version, instanceId=mark.instance_id, capabilities=mark.capabilities)


def encode_change(change: ServerListChange, own: Sequence[pb.Endpoint]) -> list[bytes]:
    """The frames that tell a process of a change: of many servers, several."""
    rest: Iterator[Server] = iter(change.servers)
    parts = [tuple(islice(rest, PER_MESSAGE))]
    while part := tuple(islice(rest, PER_MESSAGE)):
        parts.append(part)
    return [
        encode(
            "SERVER_LIST",
            write_server_list(
                part,
                own,
                change.gone if number == 0 else (),
                is_difference=number > 0 or not change.is_whole,
            ),
        )
        for number, part in enumerate(parts)
    ]
