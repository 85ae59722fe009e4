"""Session tokens: the home server's signed word that it let a client in, for all who know the home's key.

The home's chat process gives one in CONNECTED. The client shows it to the other processes of its home, and to other
servers' typing and location: they need the home's public key and nothing else. A token that names a device counts
only from a link that proves this device's key; one without a device, of a session that began with a password, is
good for whoever has it, and so is shown inside of TLS only.

A clock may be off by a day. One from before this program was written is not set: then running time counts alone.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from parley.shared.addresses import User
from parley.shared.trust.keys import PrivateKey, is_signed_by
from parley.shared.trust.signed_bytes import signed_bytes
from parley.shared.wire.messages import pb

LASTS: Final = 7 * 86400
"""Seconds for which a token is good."""
DAY: Final = 86400
"""Seconds by which clocks may differ."""
WRITTEN: Final = 1_790_000_000
"""Seconds since 1970 at which this program was being written: a clock before that is not set."""


def _token_bytes(token: pb.SessionToken) -> bytes:
    return signed_bytes(
        "parley/session/1",
        token.user.userId,
        token.user.serverId,
        token.device,
        token.issued,
        token.expires,
        token.number,
    )


def issue(identity: PrivateKey, user: User, device: bytes, number: int, now: float) -> pb.SessionToken:
    """A token for a user of ours; `device`: the key that was proven, or empty; `now`: seconds since 1970."""
    issued = max(0, int(now))
    token = pb.SessionToken(
        user=pb.User(userId=user.user_id, serverId=user.server_id),
        device=device,
        issued=issued,
        expires=issued + LASTS,
        number=number,
    )
    token.signature = identity.sign(_token_bytes(token))
    return token


def is_issued_by(home: bytes, token: pb.SessionToken, user: User, proven: bytes) -> bool:
    """Whether that home's key gave the token to this user, and to the device of the key that the link proved."""
    if not user.is_same(User.of(token.user)) or (token.device and token.device != proven):
        return False
    if not 0 <= token.expires - token.issued <= LASTS:
        return False
    return is_signed_by(home, token.signature, _token_bytes(token))


class TokenClock:
    """Whether a token's time is over, by this machine's clock and by running time.

    Of more than `most` tokens the one that was shown first is forgotten.
    """

    def __init__(self, most: int = 10_000) -> None:
        self._most = most
        self._first_shown: OrderedDict[bytes, float] = OrderedDict()

    def is_over(self, token: pb.SessionToken, now: float, running: float) -> bool:
        """`now`: seconds since 1970; `running`: seconds, monotonic."""
        shown = self._first_shown.setdefault(token.signature, running)
        if len(self._first_shown) > self._most:
            self._first_shown.popitem(last=False)
        if running - shown > token.expires - token.issued:
            return True
        if now < WRITTEN:
            return False
        return not token.issued - DAY <= now <= token.expires + DAY
