"""The registry of messages: which payload type goes with which name (protocol.md, "Messages").

The generated classes are re-exported as `pb`, so that the rest of Parley names one module.
"""

from __future__ import annotations

from typing import Final, TypeVar

from google.protobuf.internal import api_implementation
from google.protobuf.message import DecodeError, Message

from parley.shared.errors import LocalProtocolError, MalformedMessage
from parley.shared.wire import messenger_pb2 as pb
from parley.shared.wire.framing import Frame, encode_frame

__all__ = ["REGISTRY", "decode", "encode", "pb", "protobuf_is_fast"]

MESSAGES: Final = "MESSAGES"
TYPING_INDICATOR: Final = "TYPING_INDICATOR"
LIVE_LOCATION: Final = "LIVE_LOCATION"
FEATURES: Final = (MESSAGES, TYPING_INDICATOR, LIVE_LOCATION)

REGISTRY: Final[dict[str, type[Message]]] = {
    "DISCOVER_SERVER": pb.DiscoverServer,
    "SERVER_ANNOUNCE": pb.ServerAnnounce,
    "CONNECT_CLIENT": pb.ConnectClient,
    "CONNECT_SERVER": pb.ConnectServer,
    "CONNECTED": pb.ConnectResponse,
    "HELLO": pb.Hello,
    "HANGUP": pb.HangUp,
    "PING": pb.Ping,
    "PONG": pb.Pong,
    "UNSUPPORTED_MESSAGE": pb.UnsupportedMessage,
    "MESSAGE": pb.ChatMessage,
    "MESSAGE_ACK": pb.ChatMessageResponse,
    "TYPING_EVENT": pb.TypingEvent,
    "TYPING_EVENTS": pb.TypingEvents,
    "LIVE_LOCATION": pb.LiveLocation,
    "LIVE_LOCATIONS": pb.LiveLocations,
    "TRANSLATE": pb.Translate,
    "TRANSLATED": pb.Translated,
    "DOWNLOAD_DOCUMENT": pb.DownloadDocument,
    "DOWNLOADING_DOCUMENT": pb.DownloadingDocument,
    "SEARCH_USERS": pb.QueryUsers,
    "SEARCH_USERS_RESP": pb.QueryUsersResponse,
    "JOIN_GROUP": pb.JoinGroup,
    "LEAVE_GROUP": pb.LeaveGroup,
    "QUERY_GROUP_MEMBERS": pb.QueryGroupMembers,
    "GROUP_MEMBERS": pb.GroupMembers,
    # Ours: chat.
    "CHANGE_GROUP": pb.ChangeGroup,
    "STATUS_RECEIVED": pb.StatusReceived,
    "PIECE": pb.Piece,
    "PIECE_RECEIVED": pb.PieceReceived,
    "BLOCK_USER": pb.ChangeBlock,
    "UNBLOCK_USER": pb.ChangeBlock,
    "ASK_BLOCKED_USERS": pb.ChangeBlock,
    "BLOCKED_USERS": pb.BlockedUsers,
    # Ours: history.
    "CONVERSATIONS": pb.QueryConversations,
    "CONVERSATIONS_RESP": pb.ConversationsAnswer,
    "HISTORY": pb.QueryHistory,
    "HISTORY_RESP": pb.HistoryAnswer,
    "SEARCH_HISTORY": pb.QueryText,
    "SEARCH_HISTORY_RESP": pb.HistoryAnswer,
    "READ_RECEIPT": pb.ReadReceipt,
    "READ_RECEIPT_ACK": pb.ReadReceiptAck,
    "RELAY_READ_RECEIPT": pb.RelayReadReceipt,
    "CLEAR_HISTORY": pb.ClearHistory,
    "CLEAR_HISTORY_RESP": pb.HistoryAnswer,
    "SYNC": pb.QuerySync,
    "SYNC_RESP": pb.SyncAnswer,
    "SYNC_NEWS": pb.SyncNews,
    # Ours: users' devices.
    "CHANGE_DEVICES": pb.ChangeDevices,
    "DEVICES": pb.Devices,
    "DEVICE_LIST": pb.DeviceList,
    "DEVICES_OF": pb.DevicesOf,
    "PAIR": pb.Pair,
    # Ours: typing and location.
    "HEARD": pb.Heard,
    "VISITORS": pb.Visitors,
    "FROM_VISITOR": pb.VisitorDatagrams,
    "TO_VISITORS": pb.VisitorDatagrams,
    # Ours: a federation.
    "JOIN_FEDERATION": pb.JoinFederation,
    "FEDERATION_ANSWER": pb.FederationAnswer,
    "FEDERATION_LIST": pb.FederationList,
    # Ours, between the processes of one node.
    "PROOF": pb.Proof,
    "SERVER_LIST": pb.ServerList,
    "ANNOUNCE_TO": pb.AnnounceTo,
    "LINKED_SERVERS": pb.LinkedServers,
}

_M = TypeVar("_M", bound=Message)


def encode(name: str, payload: Message | None = None) -> bytes:
    """Frame a payload under its name; None is an empty payload.

    Raises:
        LocalProtocolError: the payload is not of the type that the name stands for.

    """
    if payload is None:
        return encode_frame(name)
    if type(payload) is not REGISTRY.get(name):
        raise LocalProtocolError(f"{name} does not carry a {type(payload).__name__}")
    return encode_frame(name, payload.SerializeToString())


def decode(frame: Frame, payload_type: type[_M]) -> _M:
    """Parse a frame's payload; MalformedMessage where it does not parse."""
    try:
        return payload_type.FromString(frame.payload)
    except DecodeError:
        raise MalformedMessage(f"the payload of a {frame.name} does not parse") from None


def protobuf_is_fast() -> bool:
    """Whether protobuf's compiled implementation (upb) is in use; without it a parse takes 25 times as long."""
    return bool(api_implementation.Type() == "upb")
