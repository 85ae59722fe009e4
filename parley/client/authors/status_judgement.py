"""The judgement of a status that is told of a message of ours: whose word it is, as far as it is known here. Pure.

| the status | is signed by | judgement |
|---|---|---|
| any | nobody | UNSIGNED: the word of our own server, whose link proved its key |
| DELIVERED | no device of the recipient's, and devices are known | MISSING: the same, and no device's |
| any | somebody, and the signature is wrong | FORGED: not believed |
| any | a device of the recipient's, or one that was revoked since | SIGNED |
| not DELIVERED | the recipient's server, the group's, or our own | SERVER |
| DELIVERED | another key, and the recipient's devices are known | FORGED |
| any | another key, and the recipient's devices are known, and the keys of those servers | FORGED |
| any | another key | UNPROVEN: the word of our own server; it may be the key of a server that is not known here |

Our own server's word is believed: it has the message, and may drop it anyhow. So a status without a signature ends
a message as it always did; what it is worth stands beside it. MISSING is no alarm: a session that began with a
password signs nothing, and a status that is told again after a lost link is the server's own word.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import Enum

from parley.shared.wire.messages import pb

DELIVERED = pb.ChatMessageResponse.DeliveryStatus.DELIVERED


class StatusAssurance(Enum):
    """The worth of a status to the author."""

    UNSIGNED = "unsigned"
    MISSING = "missing"
    SIGNED = "signed"
    SERVER = "server"
    UNPROVEN = "unproven"
    FORGED = "forged"


@dataclass(frozen=True, slots=True)
class Signers:
    """The keys that may sign a status: those of the recipient's devices, now and before, and of servers."""

    devices: Collection[bytes] = ()
    revoked: Collection[bytes] = ()
    servers: Collection[bytes] = ()
    are_servers_known: bool = True
    """Whether these are the keys of all servers that may sign it."""


def judge_status(status: int, key: bytes, signers: Signers, *, is_valid: bool) -> StatusAssurance:
    """The judgement of a status; `key`: the proof's, empty: it has none; `is_valid`: its signature holds."""
    is_missed = status == DELIVERED and bool(signers.devices)
    if not key:
        return StatusAssurance.MISSING if is_missed else StatusAssurance.UNSIGNED
    if not is_valid:
        return StatusAssurance.FORGED
    if key in signers.devices or key in signers.revoked:
        return StatusAssurance.SIGNED
    if key in signers.servers:
        return StatusAssurance.MISSING if is_missed else StatusAssurance.SERVER
    is_known = bool(signers.devices) and signers.are_servers_known
    return StatusAssurance.FORGED if is_known or is_missed else StatusAssurance.UNPROVEN
