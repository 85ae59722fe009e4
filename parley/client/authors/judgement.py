"""The judgement of a received message: who wrote it, as far as it is known here. Pure.

| the message | its author's keys | judgement |
|---|---|---|
| is not signed | none are known | UNSIGNED: an existing program, or a name without a key |
| is not signed | are known | MISSING: a program without the key, or somebody took the signature away |
| is signed, and the signature is wrong | | FORGED: not shown as its author's |
| is signed | not known: the home server's key was never seen on a link to it; or none owns the name | UNPROVEN |
| is signed by one of them | are known | SIGNED |
| is signed by one that was revoked since | are known | REVOKED: the server took it before that, or lies |
| is signed by another key | are known | FORGED |
| was changed while it waited | | as the worse of the message as it was, and its edit |
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from parley.shared.wire.messages import pb

Keys = Collection[bytes]
"""A user's device keys; empty: it is known that there are none. None in place of it: nothing is known."""
UNSIGNED, SIGNED = pb.ChatMessage.UNSIGNED, pb.ChatMessage.SIGNED
UNPROVEN, MISSING, FORGED = pb.ChatMessage.UNPROVEN, pb.ChatMessage.MISSING, pb.ChatMessage.FORGED
REVOKED = pb.ChatMessage.REVOKED
_WORST_FIRST: Final = (FORGED, REVOKED, UNPROVEN, SIGNED)


def keys_in(message: pb.ChatMessage) -> list[bytes]:
    """The keys by which a message says to be signed: of one that was changed while it waited, the edit's, too."""
    if not message.HasField("proof"):
        return []
    own, edit = message.proof.key, message.revised.proof.key
    return [own, edit] if message.HasField("revised") and edit != own else [own]


def judge(
    message: pb.ChatMessage, *, is_valid: bool, keys: Keys | None, revoked: Keys = ()
) -> pb.ChatMessage.Assurance:
    """The judgement of a message; `is_valid`: its proof holds for the key that the proof names.

    `revoked`: keys that were the author's before. When a revoked device signed is not asked: its clock is its own.
    A home server takes nothing from it any more, so what it says now reaches nobody.
    """
    if not message.HasField("proof"):
        return MISSING if keys else UNSIGNED
    if not is_valid:
        return FORGED
    found = _judge_key(message.proof.key, keys, revoked)
    if message.HasField("revised"):
        found = min(found, _judge_key(message.revised.proof.key, keys, revoked), key=_WORST_FIRST.index)
    return found


def _judge_key(key: bytes, keys: Keys | None, revoked: Keys) -> pb.ChatMessage.Assurance:
    if key in revoked:
        return REVOKED
    if not keys:
        return UNPROVEN
    return SIGNED if key in keys else FORGED
