"""Proofs of messages and statuses: good for what was signed, however it came, and for nothing else."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parley.services.chat.groups.groups import copies
from parley.services.chat.message.life import Envelope
from parley.shared.addresses import Group, User
from parley.shared.dialects.dialect import OLD_SERVER
from parley.shared.dialects.rewriting import rewrite
from parley.shared.spellings import Spellings
from parley.shared.trust.authors import (
    AUTHOR_PROOF,
    STATUS_PROOF,
    content_digest,
    is_message_signed,
    is_status_signed,
    message_bytes,
    proof_fields,
    sign_message,
    sign_status,
    status_bytes,
)
from parley.shared.trust.keys import PrivateKey
from parley.shared.wire.framing import read_datagram
from parley.shared.wire.messages import decode, encode, pb

VECTORS = json.loads(Path(__file__).parents[1].joinpath("data", "trust_vectors.json").read_text(encoding="utf-8"))
DEVICE, OTHER = (PrivateKey(bytes([n]) * 32) for n in (3, 4))
ALICE, BOB = User("alice", "alpha"), User("bob", "beta")
CREW = Group("crew", "gamma")
TIME = 1_800_000_000_000


def place():
    location = pb.Location(latitude=48.1, longitude=11.5)
    return pb.LiveLocation(author=ALICE.to_pb(), timestamp=1.5, expiry_at=2.5, location=location, user=BOB.to_pb())


def contents():
    document = pb.Document(documentId="1", filename="a.txt", mimeType="text/plain", data=b"data")
    return ({"textContent": "zoë\n"}, {"document": document}, {"live_location": place()}, {})


def written(to=BOB, number=7, previous=3, **content):
    recipient = {"group": to.to_pb()} if isinstance(to, Group) else {"user": to.to_pb()}
    message = pb.ChatMessage(messageSnowflake=number, author=ALICE.to_pb(), **recipient, **content)
    sign_message(DEVICE, message, previous, TIME)
    return message


def changed(message, path, value):
    other = pb.ChatMessage.FromString(message.SerializeToString())
    *inner, name = path.split(".")
    at = other
    for each in inner:
        at = getattr(at, each)
    setattr(at, name, value)
    return other


CHANGES = [
    ("messageSnowflake", 8),
    ("author.userId", "alicia"),
    ("author.serverId", "beta"),
    ("user.userId", "carol"),
    ("user.serverId", "gamma"),
    ("group.groupId", "bob"),
    ("userOfGroup.group.groupId", "bob"),
    ("textContent", "zoe\n"),
    ("textContent", ""),
    ("document.filename", "b.txt"),
    ("document.mimeType", "text/html"),
    ("document.data", b"date"),
    ("live_location.author.userId", "carol"),
    ("live_location.timestamp", 1.25),
    ("live_location.expiry_at", 3.0),
    ("live_location.location.latitude", 48.2),
    ("live_location.location.longitude", 11.4),
    ("live_location.stopped", True),
    ("live_location.messageSnowflake", 9),
    ("live_location.device", 9),
    ("proof.key", OTHER.public),
    ("proof.key", b""),
    ("proof.previous", 0),
    ("proof.time", TIME + 1),
    ("proof.signature", b""),
    ("proof.signature", bytes(64)),
]
"""Whatever a server between may try, on each kind of message."""


@pytest.mark.parametrize("content", contents(), ids=lambda content: "".join(content) or "nothing")
@pytest.mark.parametrize(("path", "value"), CHANGES, ids=lambda each: str(each)[:24])
def test_any_change_of_what_was_signed_breaks_it(content, path, value):
    message = written(**content)
    assert is_message_signed(message)
    other = changed(message, path, value)
    assert other != message
    assert not is_message_signed(other)


@given(st.binary(min_size=1, max_size=40), st.data())
def test_any_change_of_a_byte_breaks_it_or_is_not_of_what_was_signed(text, data):
    message = written(textContent=text.hex())
    raw = bytearray(message.SerializeToString())
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    try:
        other = pb.ChatMessage.FromString(bytes(raw))
    except Exception:  # noqa: BLE001 - it does not even parse
        return
    assert not is_message_signed(other) or message_bytes(other) == message_bytes(message)


def test_each_part_stands_for_itself_alone():
    digests = {content_digest(pb.ChatMessage(**content)) for content in contents()}
    digests |= {
        content_digest(pb.ChatMessage(document=pb.Document(filename=f, mimeType=m, data=d)))
        for f, m, d in (("ab", "c", b""), ("a", "bc", b""), ("a", "b", b"c"), ("", "abc", b""))
    }
    assert len(digests) == 8
    assert message_bytes(written(User("a", "b"), textContent="")) != message_bytes(
        written(Group("a", "b"), textContent="")
    )


def test_a_message_of_one_conversation_is_none_of_another():
    message = written(textContent="yes")
    for name, recipient in (
        ("user", User("carol", "beta")),
        ("group", Group("bob", "beta")),
        ("userOfGroup", pb.UserOfGroup(user=BOB.to_pb(), group=CREW.to_pb())),
    ):
        moved = pb.ChatMessage.FromString(message.SerializeToString())
        getattr(moved, name).CopyFrom(recipient if name == "userOfGroup" else recipient.to_pb())
        assert not is_message_signed(moved), name


@pytest.mark.parametrize("content", contents()[:3], ids="".join)
def test_a_copy_for_a_member_is_signed_as_the_message_to_the_group_was(content):
    message = written(CREW, **content)
    original = Envelope(ALICE, 7, CREW, b"", key=b"", origin="alpha")
    for copy in copies(message, CREW, [BOB, ALICE], [b"1", b"2"], original):
        came = decode(read_datagram(copy.raw), pb.ChatMessage)
        assert came.WhichOneof("recipient") == "userOfGroup"
        assert is_message_signed(came)
        came.userOfGroup.group.groupId = "other"
        assert not is_message_signed(came)


def test_a_server_spelt_otherwise_leaves_it_valid():
    message = written(User("bob", "BETA"), textContent="hi")
    spellings = Spellings()
    spellings.learn(["alpha", "beta"])
    assert spellings.correct(message)
    assert message.user.serverId == "beta"
    assert is_message_signed(message)


@pytest.mark.parametrize("content", contents(), ids="".join)
def test_existing_programs_see_no_proof(content):
    raw, bare = encode("MESSAGE", written(**content)), written(**content)
    bare.ClearField("proof")
    [plain] = rewrite(OLD_SERVER, raw)
    came = decode(read_datagram(plain), pb.ChatMessage)
    assert not came.HasField("proof")
    came.DiscardUnknownFields()
    if content:  # what is only a head may end in other bytes
        came.live_location.CopyFrom(bare.live_location) if "live_location" in content else None
        assert came == bare


def test_proofs_have_one_length_whatever_they_hold_and_end_in_no_line_feed():
    for number, time in ((0, -5), (1, 1), (1 << 63, 1 << 62), (7, TIME)):
        message = pb.ChatMessage(messageSnowflake=1, author=ALICE.to_pb(), user=BOB.to_pb())
        bare = message.ByteSize()
        sign_message(DEVICE, message, number, time)
        raw = message.SerializeToString()
        assert len(raw) == bare + AUTHOR_PROOF
        assert raw.endswith(b"\0")
        proof = sign_status(OTHER, message, BOB, 1, time)
        ack = pb.ChatMessageResponse(proofs=[proof])
        assert ack.ByteSize() == STATUS_PROOF
        ack.statuses.add(status="DELIVERED")
        assert proof_fields(ack) == [pb.ChatMessageResponse(proofs=[proof]).SerializeToString()]
        ack.proofs[0].key = b"no key"
        assert proof_fields(ack) == [b""]
        ack.proofs.add()
        assert proof_fields(ack) == [b""]


def test_a_status_is_of_one_message_one_recipient_one_signer():
    message = written(textContent="hi")
    proof = sign_status(OTHER, message, BOB, 1, TIME)
    assert is_status_signed(message, BOB, 1, proof)
    assert not is_status_signed(message, BOB, 3, proof)
    assert not is_status_signed(message, User("carol", "beta"), 1, proof)
    for other in (
        written(number=8, textContent="hi"),
        written(textContent="ho"),
        written(CREW, textContent="hi"),
        changed(message, "author.userId", "carol"),
    ):
        assert not is_status_signed(other, BOB, 1, proof)
    for name, value in (("key", DEVICE.public), ("time", TIME + 1), ("signature", b""), ("key", b"")):
        bad = pb.StatusProof(key=proof.key, signature=proof.signature, time=proof.time)
        setattr(bad, name, value)
        assert not is_status_signed(message, BOB, 1, bad)


@pytest.mark.parametrize("vector", VECTORS["authors"], ids=lambda vector: vector["name"])
def test_messages_and_statuses_are_those_of_the_vectors(vector):
    message = pb.ChatMessage.FromString(bytes.fromhex(vector["message"]))
    assert message_bytes(message).hex() == vector["bytes"]
    assert is_message_signed(message)
    bare = pb.ChatMessage.FromString(message.SerializeToString())
    bare.ClearField("proof")
    sign_message(PrivateKey(bytes.fromhex(vector["private"])), bare, message.proof.previous, message.proof.time)
    assert bare == message
    proof = pb.StatusProof.FromString(bytes.fromhex(vector["status_proof"]))
    assert status_bytes(message, BOB, 1, proof).hex() == vector["status_bytes"]
    assert is_status_signed(message, BOB, 1, proof)
