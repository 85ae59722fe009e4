"""Whose fault an error is, and which payload goes with which name."""

import pytest
from google.protobuf.json_format import ParseDict
from google.protobuf.message import Message

from parley.shared import errors
from parley.shared.errors import (
    ConfigError,
    FrameTooLarge,
    HandshakeTimeout,
    InsecureLink,
    LocalProtocolError,
    MalformedMessage,
    ParleyError,
    PeerError,
    PeerRefused,
    PeerUnproven,
    PeerUnreachable,
    ProtocolError,
    RemoteProtocolError,
    ServerNotFound,
    StorageError,
    UnexpectedMessage,
)
from parley.shared.telemetry.metrics import REJECTIONS
from parley.shared.wire import messenger_pb2
from parley.shared.wire.framing import Frame, read_datagram
from parley.shared.wire.messages import FEATURES, REGISTRY, decode, encode, pb, protobuf_is_fast

FIXED = {
    "DISCOVER_SERVER": "DiscoverServer",
    "SERVER_ANNOUNCE": "ServerAnnounce",
    "CONNECT_CLIENT": "ConnectClient",
    "CONNECT_SERVER": "ConnectServer",
    "CONNECTED": "ConnectResponse",
    "HANGUP": "HangUp",
    "PING": "Ping",
    "PONG": "Pong",
    "UNSUPPORTED_MESSAGE": "UnsupportedMessage",
    "MESSAGE": "ChatMessage",
    "MESSAGE_ACK": "ChatMessageResponse",
    "TYPING_EVENT": "TypingEvent",
    "TYPING_EVENTS": "TypingEvents",
    "LIVE_LOCATION": "LiveLocation",
    "LIVE_LOCATIONS": "LiveLocations",
    "TRANSLATE": "Translate",
    "TRANSLATED": "Translated",
    "DOWNLOAD_DOCUMENT": "DownloadDocument",
    "DOWNLOADING_DOCUMENT": "DownloadingDocument",
    "SEARCH_USERS": "QueryUsers",
    "SEARCH_USERS_RESP": "QueryUsersResponse",
    "JOIN_GROUP": "JoinGroup",
    "LEAVE_GROUP": "LeaveGroup",
    "QUERY_GROUP_MEMBERS": "QueryGroupMembers",
    "GROUP_MEMBERS": "GroupMembers",
}
"""The names of protocol.md, with those of the common sheet that are Parley's, too."""
OURS_FROM = 100
"""The field numbers of our additions begin here."""

TREE = {
    ConfigError: ParleyError,
    StorageError: ParleyError,
    ProtocolError: ParleyError,
    PeerError: ParleyError,
    LocalProtocolError: ProtocolError,
    RemoteProtocolError: ProtocolError,
    FrameTooLarge: RemoteProtocolError,
    MalformedMessage: RemoteProtocolError,
    UnexpectedMessage: RemoteProtocolError,
    InsecureLink: RemoteProtocolError,
    PeerUnreachable: PeerError,
    PeerRefused: PeerUnreachable,
    ServerNotFound: PeerUnreachable,
    PeerUnproven: PeerUnreachable,
    HandshakeTimeout: PeerError,
}


@pytest.mark.parametrize(("error", "parent"), TREE.items())
def test_the_tree_of_errors(error, parent):
    assert error.__bases__ == (parent,)


def test_every_error_is_in_the_tree_with_a_reason_of_its_own():
    every = {e for e in vars(errors).values() if isinstance(e, type) and issubclass(e, ParleyError)}
    assert every == {*TREE, ParleyError}
    assert len({error.reason for error in every}) == len(every)


def test_a_frame_that_is_too_large_says_by_how_much():
    error = FrameTooLarge(3 << 30, 1000)
    assert (error.size, error.limit, error.reason) == (3 << 30, 1000, "too_large")
    assert str(error) == "a payload of 3221225472 bytes is over the limit of 1000"


def test_what_others_do_wrong_is_counted_under_its_reason():
    assert {e.reason for e in TREE if issubclass(e, RemoteProtocolError)} - {"remote_protocol"} <= REJECTIONS


@pytest.mark.parametrize(("name", "type_name"), FIXED.items())
def test_every_name_of_the_protocol_has_its_payload(name, type_name):
    assert REGISTRY[name].DESCRIPTOR.name == type_name


def test_our_own_names_are_no_others():
    assert set(REGISTRY) - set(FIXED) == {
        "SERVER_LIST", "ANNOUNCE_TO", "LINKED_SERVERS", "PROOF", "STATUS_RECEIVED", "CONVERSATIONS",
        "CONVERSATIONS_RESP", "HISTORY", "HISTORY_RESP", "SEARCH_HISTORY", "SEARCH_HISTORY_RESP", "READ_RECEIPT",
        "READ_RECEIPT_ACK", "RELAY_READ_RECEIPT",
        "CLEAR_HISTORY", "CLEAR_HISTORY_RESP", "SYNC", "SYNC_RESP", "SYNC_NEWS",
        "PIECE", "PIECE_RECEIVED",
        "CHANGE_GROUP", "BLOCK_USER", "UNBLOCK_USER", "ASK_BLOCKED_USERS", "BLOCKED_USERS",
        "HEARD", "VISITORS", "FROM_VISITOR", "TO_VISITORS",
        "HELLO", "CHANGE_DEVICES", "DEVICES", "DEVICES_OF", "DEVICE_LIST", "PAIR",
        "JOIN_FEDERATION", "FEDERATION_ANSWER", "FEDERATION_LIST",
    }  # fmt: skip


@pytest.mark.parametrize("name", REGISTRY)
def test_every_name_encodes_and_decodes_its_payload(name):
    frame = read_datagram(encode(name, REGISTRY[name]()))
    assert (frame.name, decode(frame, REGISTRY[name])) == (name, REGISTRY[name]())
    assert encode(name) == frame.raw


@pytest.mark.parametrize("name", REGISTRY)
@pytest.mark.parametrize("payload", [pb.User(), pb.Ping(), pb.HangUp()])
def test_a_payload_of_another_type_is_our_bug(name, payload):
    if type(payload) is REGISTRY[name]:
        return
    with pytest.raises(LocalProtocolError, match=f"{name} does not carry a {type(payload).__name__}"):
        encode(name, payload)


def test_an_unknown_name_is_our_bug():
    with pytest.raises(LocalProtocolError):
        encode("FOO_BAR", pb.Ping())


@pytest.mark.parametrize("payload", [b"\xff", b"\x0a\x05ab", b"\x0a\x01\xff", b"\x08"])
def test_a_payload_that_does_not_parse_is_malformed(payload):
    frame = Frame("CONNECT_SERVER", b"CONNECT_SERVER %d %b\n" % (len(payload), payload), len("CONNECT_SERVER n "))
    with pytest.raises(MalformedMessage, match="the payload of a CONNECT_SERVER does not parse"):
        decode(frame, pb.ConnectServer)


TRUST = range(140, 160)
"""The fields of trust: the protocol's page has each one (test_readme.py)."""


FIXED_FIELDS = {
    "User": "userId=1 serverId=2",
    "Group": "groupId=1 serverId=2",
    "UserOfGroup": "user=1 group=2",
    "DiscoverServer": "",
    "ServerAnnounce": "serverId=1 feature=2",
    "ConnectClient": "user=1 udpPort=22",
    "ConnectServer": "serverId=1 features=2",
    "ConnectResponse": "result=1",
    "HangUp": "reason=1",
    "Ping": "",
    "Pong": "",
    "UnsupportedMessage": "message_name=1",
    "Document": "documentId=1 filename=2 mimeType=3 data=4",
    "ChatMessage": "messageSnowflake=1 author=2 user=3 group=4 userOfGroup=5"
    " textContent=11 document=12 live_location=22",
    "ChatMessageResponse": "messageSnowflake=1 statuses=2",
    "TypingEvent": "user=1 timestamp=2",
    "TypingEvents": "typing_events=1",
    "Location": "latitude=1 longitude=2",
    "LiveLocation": "author=1 user=2 group=3 userOfGroup=4 timestamp=5 expiry_at=6 location=7",
    "ExtendedLiveLocation": "live_location=1 messageSnowflake=2",
    "LiveLocations": "extended_live_locations=1",
    "Translate": "target_language=1 original_text=2 translated_text=3",
    "Translated": "target_language=1 original_text=2 translated_text=3",
    "DocumentStatus": "documentSnowflake=1 result=2 expiry=3",
    "DownloadDocument": "documentSnowflake=1",
    "DownloadingDocument": "documentSnowflake=1 result=2 data=3",
    "QueryUsers": "handle=1 query=2",
    "QueryUsersResponse": "handle=1 users=2",
    "JoinGroup": "handle=1 group=2 user=3",
    "LeaveGroup": "group=1 user=2",
    "QueryGroupMembers": "group=1",
    "GroupMembers": "group=1 result=2 user=3",
}
"""Payload → its fields of protocol.md, which existing programs speak: no other field of it is below 100."""


@pytest.mark.parametrize("name", FIXED_FIELDS)
def test_fields_of_ours_are_numbered_from_100_up(name):
    fields = messenger_pb2.DESCRIPTOR.message_types_by_name[name].fields
    assert (
        " ".join(f"{field.name}={field.number}" for field in fields if field.number < OURS_FROM)
        == FIXED_FIELDS[name]
    )


def test_fields_of_ours_are_skipped_by_who_does_not_know_them():
    """What an existing server reads of our CONNECT_SERVER: the same bytes, without the fields from 100 up."""
    ours = ParseDict({"serverId": "alpha", "features": ["MESSAGES"], "instanceId": "a1"}, pb.ConnectServer())
    theirs = pb.ConnectServer(serverId="alpha", features=["MESSAGES"])
    assert ours.SerializeToString().startswith(theirs.SerializeToString())


def test_the_features_are_the_fixed_names():
    assert FEATURES == ("MESSAGES", "TYPING_INDICATOR", "LIVE_LOCATION")


def test_the_compiled_protobuf_is_in_use():
    assert protobuf_is_fast()
    assert issubclass(pb.Ping, Message)
