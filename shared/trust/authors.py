"""Authors sign what they write, and whoever gives a status signs that: nobody between can put in other words. Pure.

A message is signed once, by the device that made it; a retry keeps the bytes. What the author meant is signed, and
nothing that a server may change on the way: a copy for a member of a group (`userOfGroup`) is signed as the message
to the group was, a server's name counts however it is spelt, and fields that a dialect leaves out do not count
(docs/protocol.md has the lists of fields).

A message that was changed while it waited has its author's proof of what it said first, and that of the edit: the
edit names the first content by its hash, so both can be verified, and nobody needs to see what was taken back.

    message   parley/author/1: author, device key, conversation, number, time, the device's previous number in this
              conversation, SHA-256 of the content
    status    parley/status/1: author, conversation, number and signature of the message, signer's key, recipient,
              status, time
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection
from struct import Struct
from typing import Final, NamedTuple

from parley.shared.addresses import Group, Recipient, User
from parley.shared.compiled import same_as_compiled
from parley.shared.names import fold
from parley.shared.trust.keys import KEY, SIGNATURE, PrivateKey, is_signed_by
from parley.shared.trust.signed_bytes import signed_bytes
from parley.shared.wire.messages import pb

AUTHOR_PROOF: Final = 125
"""Bytes of ChatMessage's field 140, tag and length included."""
STATUS_PROOF: Final = 115
"""Bytes of one of ChatMessageResponse's field 140."""
same_as_compiled(AUTHOR_PROOF=AUTHOR_PROOF, STATUS_PROOF=STATUS_PROOF)
_PROOF_HEAD: Final = 3
"""Bytes of its tag and length."""
_MOST_TIME: Final = (1 << 56) - 1
"""A time's highest byte, which stands last, is 0."""
_DOUBLES: Final = Struct(">4d")
_USER, _GROUP = "user", "group"
_FIELDS: Final = {name: field.number for name, field in pb.ChatMessage.DESCRIPTOR.fields_by_name.items()}


def conversation_of(message: pb.ChatMessage) -> Recipient:
    """To whom the author wrote: a user, or a group; of a copy for members the group."""
    which = message.WhichOneof("recipient")
    if which is None and message.HasField("members"):
        return Group.of(message.members.group)
    if which == "group":
        return Group.of(message.group)
    return Group.of(message.userOfGroup.group) if which == "userOfGroup" else User.of(message.user)


def content_digest(message: pb.ChatMessage) -> bytes:
    """SHA-256 of what a message says: its kind, and the text, the document, the place or the edit."""
    kind = message.WhichOneof("content") or ""
    fields: tuple[bytes | str | int, ...] = ()
    if kind == "textContent":
        fields = (message.textContent,)
    elif kind == "document":
        document = message.document
        fields = document.filename, document.mimeType, hashlib.sha256(document.data).digest()
    elif kind == "live_location":
        fields = _place(message.live_location)
    elif kind == "edit":
        edit = message.edit
        fields = edit.target, edit.content, edit.revision, edit.text, int(edit.deletes)
    return hashlib.sha256(signed_bytes("parley/content/1", _FIELDS.get(kind, 0), *fields)).digest()


def signed_content(message: pb.ChatMessage) -> bytes:
    """SHA-256 of what a message said when its author signed it: where it was changed while it waited, of that."""
    return message.revised.content if message.HasField("revised") else content_digest(message)


def edit_in(message: pb.ChatMessage) -> pb.ChatMessage:
    """The edit by which a message was changed while it waited, as its author sent it."""
    revised, edit = message.revised, pb.ChatMessage(author=message.author)
    edit.messageSnowflake = revised.messageSnowflake
    which = message.WhichOneof("recipient")
    if which is not None:
        getattr(edit, which).CopyFrom(getattr(message, which))
    edit.edit.target, edit.edit.content = message.messageSnowflake, revised.content
    edit.edit.revision, edit.edit.text = revised.revision, message.textContent
    if revised.HasField("proof"):
        edit.proof.CopyFrom(revised.proof)
    return edit


def _place(place: pb.LiveLocation) -> tuple[bytes | str | int, ...]:
    point = place.location
    numbers = _DOUBLES.pack(place.timestamp, place.expiry_at, point.latitude, point.longitude)
    flags = place.HasField("location") | place.stopped << 1
    return *_named(place.author), numbers, flags, place.messageSnowflake, place.device


def _named(name: pb.User | Recipient) -> tuple[str, str]:
    user_id, server_id = (name.userId, name.serverId) if isinstance(name, pb.User) else name
    return user_id, fold(server_id)


def _conversation(conversation: Recipient) -> tuple[str, str, str]:
    return (_GROUP if isinstance(conversation, Group) else _USER, *_named(conversation))


# Messages -------------------------------------------------------------------------------------------


def message_bytes(message: pb.ChatMessage) -> bytes:
    """The bytes that the author's device signs: all of it but the signature is filled in."""
    proof = message.proof
    return signed_bytes(
        "parley/author/1",
        *_named(message.author),
        proof.key,
        *_conversation(conversation_of(message)),
        message.messageSnowflake,
        proof.time,
        proof.previous,
        signed_content(message),
    )


def sign_message(device: PrivateKey, message: pb.ChatMessage, previous: int, milliseconds: int) -> None:
    """Sign a message that is complete otherwise, at that time (since 1970): about 50 µs.

    `previous`: the number of this device's last message in this conversation; 0: it is the first.
    """
    time = min(max(milliseconds, 1), _MOST_TIME)
    message.proof.CopyFrom(pb.AuthorProof(key=device.public, previous=previous, time=time))
    message.proof.signature = device.sign(message_bytes(message))


def is_message_signed(message: pb.ChatMessage) -> bool:
    """Whether the device that the proof names signed the message (140 µs, and 1 ms for each MiB of a document).

    Not whether that is a device of the author's. Of one that was changed while it waited the edit is signed, too.
    """
    if message.HasField("revised"):
        is_text = message.WhichOneof("content") == "textContent"
        return is_text and _is_signed(message) and _is_signed(edit_in(message))
    return _is_signed(message)


def _is_signed(message: pb.ChatMessage) -> bool:
    proof = message.proof
    if len(proof.key) != KEY or len(proof.signature) != SIGNATURE:
        return False
    return is_signed_by(proof.key, proof.signature, message_bytes(message))


# Edits ----------------------------------------------------------------------------------------------


class DeviceKeys(NamedTuple):
    """The keys of a user's devices."""

    now: Collection[bytes]
    """Those that speak for the user."""
    revoked: Collection[bytes] = ()
    """Those that did."""


KeysOf = Callable[[User], DeviceKeys | None]
"""A user's device keys; None: none are known here."""


class EditChecks:
    """Whether an edit is as certainly its author's as the message that it changes.

    A message without a proof may be changed by whoever is let in under the author's name. Of one that is signed the
    edit is signed, too, by the same device or by another that is known as the author's, and by none that is known
    to be revoked. `keys` is asked on the caller's thread.
    """

    def __init__(self, keys: KeysOf) -> None:
        self._keys = keys
        self._signed: tuple[bytes, bytes, bool] = b"", b"", False
        """The last edit that was verified, by its signature and all that is signed: copies for a group have one."""

    def allows(self, edit: pb.ChatMessage, message: pb.ChatMessage) -> bool:
        """Whether the author of both may change it so, as far as it is known."""
        if not message.HasField("proof"):
            return True
        if edit.HasField("revised"):
            return False  # its signature would be for something else
        proof, known = edit.proof, self._keys(User.of(message.author)) or DeviceKeys(())
        if proof.key in known.revoked or (proof.key != message.proof.key and proof.key not in known.now):
            return False
        signed = message_bytes(edit)
        if self._signed[:2] != (proof.signature, signed):
            self._signed = proof.signature, signed, is_message_signed(edit)
        return self._signed[2]


# Statuses -------------------------------------------------------------------------------------------


def status_bytes(message: pb.ChatMessage, recipient: User, status: int, proof: pb.StatusProof) -> bytes:
    """The bytes that whoever gives a status signs: of the message its author, number, recipient and proof count."""
    return signed_bytes(
        "parley/status/1",
        *_named(message.author),
        *_conversation(conversation_of(message)),
        message.messageSnowflake,
        message.proof.signature,
        proof.key,
        *_named(recipient),
        status,
        proof.time,
    )


def sign_status(
    key: PrivateKey, message: pb.ChatMessage, recipient: User, status: int, milliseconds: int
) -> pb.StatusProof:
    """The proof of a status of a message for that recipient, at that time (since 1970)."""
    time = min(max(milliseconds, 1), _MOST_TIME)
    proof = pb.StatusProof(key=key.public, time=time)
    proof.signature = key.sign(status_bytes(message, recipient, status, proof))
    return proof


def is_status_signed(message: pb.ChatMessage, recipient: User, status: int, proof: pb.StatusProof) -> bool:
    """Whether the holder of the key that the proof names gave this status (140 µs)."""
    if len(proof.key) != KEY or len(proof.signature) != SIGNATURE:
        return False
    return is_signed_by(proof.key, proof.signature, status_bytes(message, recipient, status, proof))


def proof_fields(ack: pb.ChatMessageResponse) -> list[bytes]:
    """Field 140 for each status of an acknowledgement, as in a payload; empty: no proof of the one shape."""
    if len(ack.proofs) != len(ack.statuses):
        return [b""] * len(ack.statuses)
    return [_field(proof) for proof in ack.proofs]


def are_whole(ack: pb.ChatMessageResponse) -> bool:
    """Whether each status of an acknowledgement has a proof of the one shape."""
    size = STATUS_PROOF - _PROOF_HEAD
    return len(ack.proofs) == len(ack.statuses) and all(
        proof.ByteSize() == size
        and len(proof.key) == KEY
        and len(proof.signature) == SIGNATURE
        and 0 < proof.time <= _MOST_TIME
        for proof in ack.proofs
    )


def _field(proof: pb.StatusProof) -> bytes:
    field = pb.ChatMessageResponse(proofs=[proof]).SerializeToString()
    has_shape = len(field) == STATUS_PROOF and len(proof.key) == KEY and len(proof.signature) == SIGNATURE
    return field if has_shape and 0 < proof.time <= _MOST_TIME else b""
