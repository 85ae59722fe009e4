"""The token of a node's pages, where they ask for one: who shows it may see them from anywhere. Pure.

A program shows it as `Authorization: Bearer TOKEN`, as Prometheus does with `credentials_file`. A browser asks its
user, who gives it as the password; any user name will do.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Callable, Hashable
from typing import Final, NamedTuple

from parley.shared.trust.guesses import Guesses

LONGEST_WAIT: Final = 60.0
"""Seconds that an address waits at most after wrong tokens: others may be behind it."""


class Refusal(NamedTuple):
    """A page is not for who asked."""

    status: int
    """Of HTTP."""
    reason: str
    """One of REFUSALS in shared/telemetry/metrics.py."""
    line: str
    """The answer, for people."""


NO_TOKEN: Final = Refusal(
    401, "no_token", "from another machine the token is needed: it is in DATA_DIR/NAME/http.token of this node"
)
WRONG_TOKEN: Final = Refusal(
    401, "wrong_token", "that is not the token: it is in DATA_DIR/NAME/http.token of this node"
)
TOO_MANY: Final = Refusal(429, "too_many_tokens", "too many wrong tokens from this address: wait a minute")


def shown_token(authorization: bytes) -> bytes:
    """The token in a request's Authorization; empty: there is none."""
    scheme, _, credentials = authorization.strip().partition(b" ")
    credentials = credentials.strip()
    if scheme.lower() == b"bearer":
        return credentials
    if scheme.lower() != b"basic":
        return b""
    try:
        return base64.b64decode(credentials, validate=True).partition(b":")[2]
    except binascii.Error:
        return b""


class TokenCheck:
    """Whether a request shows the token. `token()`: None while it is not known yet; `now()`: seconds, monotonic."""

    def __init__(self, token: Callable[[], bytes | None], now: Callable[[], float]) -> None:
        self._token = token
        self._now = now
        self._guesses = Guesses(LONGEST_WAIT)

    def judge(self, asker: Hashable, authorization: bytes) -> Refusal | None:
        """Why who shows that is refused; None: it is the token."""
        shown = shown_token(authorization)
        if not shown:
            return NO_TOKEN
        if self._guesses.wait(asker, self._now()) > 0:
            return TOO_MANY
        token = self._token()
        if token is None or not hmac.compare_digest(shown, token):
            self._guesses.failed(asker, self._now())
            return WRONG_TOKEN
        self._guesses.succeeded(asker)
        return None
