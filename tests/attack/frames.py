"""Frames that attackers send, made before they are needed, or quickly for each number."""

from __future__ import annotations

import itertools
import secrets
import time
from typing import Final

from parley.services.chat.groups.asks import ASKS, set_number
from parley.shared.wire.framing import encode_frame
from parley.shared.wire.messages import MESSAGES, encode, pb

NUMBER: Final = "00000000"
"""Stands in a name for a number of eight digits."""
PING: Final = encode_frame("PING")
TERMS: Final = pb.Terms(capabilities=1 << 63)
"""Of a Parley that takes no pieces: all questions are answered to a Parley."""
EXIT: Final = encode("HANGUP", pb.HangUp(reason=pb.HangUp.EXIT))


def user(name: str) -> pb.User:
    """The payload of USER@SERVER."""
    user_id, _, server_id = name.rpartition("@")
    return pb.User(userId=user_id, serverId=server_id)


def client(name: str, udp_port: int = 0) -> bytes:
    """A client's CONNECT."""
    return encode("CONNECT_CLIENT", pb.ConnectClient(user=user(name), udpPort=udp_port, terms=TERMS))


def server(name: str, feature: str = MESSAGES, instance: str = "", port: int = 0) -> bytes:
    """A server's CONNECT, as Parley's servers say it."""
    hello = pb.ConnectServer(serverId=name, features=[feature], instanceId=instance or secrets.token_hex(8))
    hello.endpoints.add(feature=feature, port=port)
    return encode("CONNECT_SERVER", hello)


def group_request(name: str, group: str, asker: str = "") -> bytes:
    """JOIN_GROUP, LEAVE_GROUP or QUERY_GROUP_MEMBERS."""
    group_id, _, server_id = group.rpartition("@")
    ask = ASKS[name](group=pb.Group(groupId=group_id, serverId=server_id))
    set_number(ask, 7)
    if asker:
        ask.user.CopyFrom(user(asker))
    return encode(name, ask)


def block_request(name: str, whom: str = "") -> bytes:
    """BLOCK_USER, UNBLOCK_USER or ASK_BLOCKED_USERS."""
    return encode(name, pb.ChangeBlock(user=user(whom) if whom else None, request=7))


def search_request(query: str) -> bytes:
    """SEARCH_USERS."""
    return encode("SEARCH_USERS", pb.QueryUsers(handle=7, query=query))


def announcement(name: str, port: int = 6666, feature: str = MESSAGES) -> bytes:
    """SERVER_ANNOUNCE, as a Parley sends it: who is no Parley is not dialled."""
    mark = pb.Mark(version="0.1.0", instanceId="0" * 16, capabilities=1)
    message = pb.ServerAnnounce(serverId=name, mark=mark)
    message.feature.add(featureName=feature, port=port)
    return encode("SERVER_ANNOUNCE", message)


class Numbered:
    """A frame whose NUMBER is another one each time."""

    def __init__(self, frame: bytes) -> None:
        mark = NUMBER.encode()
        self._times = frame.count(mark)
        self._template = frame.replace(b"%", b"%%").replace(mark, b"%08d")
        self._numbers = itertools.count(1)

    def next(self, count: int = 1) -> bytes:
        """So many frames, each with a number of its own."""
        if self._times == 1:
            return b"".join([self._template % number for number in itertools.islice(self._numbers, count)])
        times = self._times
        return b"".join([self._template % ((n,) * times) for n in itertools.islice(self._numbers, count)])


class Messages:
    """MESSAGEs that differ in their snowflake and, with NUMBER in a name, in that."""

    def __init__(self, author: str, to: str, *, text: str = "", document: bytes = b"", group: str = "") -> None:
        """`group`: the message is of that group, handed on to the member `to`; with `to` empty for all of it."""
        message = pb.ChatMessage(author=user(author))
        if group and to:
            message.userOfGroup.user.CopyFrom(user(to))
        elif to:
            message.user.CopyFrom(user(to))
        if group:
            group_id, _, server_id = group.rpartition("@")
            place = message.userOfGroup.group if to else message.group
            place.CopyFrom(pb.Group(groupId=group_id, serverId=server_id))
        if document:
            message.document.CopyFrom(pb.Document(documentId="d", filename="f.bin", data=document))
        else:
            message.textContent = text or "x" * 60
        self._tail = message.SerializeToString()
        self._is_numbered = NUMBER.encode() in self._tail
        first = (time.time_ns() // 1_000_000 << 22) + secrets.randbelow(1 << 20)
        self._snowflakes = itertools.count(first)

    def next(self, count: int = 1) -> bytes:
        """So many frames."""
        return b"".join([self.one(number) for number in itertools.islice(self._snowflakes, count)])

    def one(self, snowflake: int) -> bytes:
        """The frame with this snowflake."""
        tail = self._tail
        if self._is_numbered:
            tail = tail.replace(NUMBER.encode(), b"%08d" % (snowflake % 100_000_000))
        return encode_frame("MESSAGE", b"\x08" + varint(snowflake) + tail)


def acknowledgement(snowflake: int, author: str, status: str = "DELIVERED", whose: str = "") -> bytes:
    """A MESSAGE_ACK with one status."""
    ack = pb.ChatMessageResponse(messageSnowflake=snowflake, author=user(author))
    ack.statuses.add(user=user(whose) if whose else None, status=status)
    return encode("MESSAGE_ACK", ack)


def varint(value: int) -> bytes:
    """A number as protobuf writes it."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
