"""Signed announcements: a node's key signs its name, instance, abilities and ports, for one asker's nonce. Pure.

    parley/announce/1: serverId, key, the nonce of the request, version, instanceId, capabilities,
                       the number of features, and of each in order: its name, port, udpPort

No address and no time are signed: a place is the datagram's source, and the nonce is new for each request. So
nobody announces another's key, repeats an old announcement, or takes a port out of one on its way.
"""

from __future__ import annotations

from typing import Final

from parley.shared.trust.keys import PrivateKey, is_signed_by
from parley.shared.trust.signed_bytes import signed_bytes
from parley.shared.wire.messages import pb

TAG: Final = "parley/announce/1"


def announcement_bytes(message: pb.ServerAnnounce, key: bytes) -> bytes:
    """The bytes that the node of that key signs: features in order, however they stand in the message."""
    mark = message.mark
    features = sorted((each.featureName, each.port, each.udpPort) for each in message.feature)
    return signed_bytes(
        TAG,
        message.serverId,
        key,
        message.nonce,
        mark.version,
        mark.instanceId,
        mark.capabilities,
        len(features),
        *(field for feature in features for field in feature),
    )


def sign(message: pb.ServerAnnounce, identity: PrivateKey) -> None:
    """Put key and signature into an announcement that is complete otherwise."""
    signature = identity.sign(announcement_bytes(message, identity.public))
    message.identity.CopyFrom(pb.KeyProof(key=identity.public, signature=signature))


def is_signed(message: pb.ServerAnnounce) -> bool:
    """Whether the key that is announced signed this announcement, for this nonce (60 µs)."""
    proof = message.identity
    return is_signed_by(proof.key, proof.signature, announcement_bytes(message, proof.key))
