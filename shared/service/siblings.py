"""Links on which somebody says to be a process of this node: nobody, until the proof is there (proofs.py)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, Protocol, cast

from parley.shared.link.events import Identity
from parley.shared.link.link import Link
from parley.shared.service.data_directory import DataDirectory
from parley.shared.service.proofs import Accepting
from parley.shared.telemetry.metrics import Metrics
from parley.shared.wire.framing import Frame
from parley.shared.wire.messages import decode, pb

WITHIN: Final = 5.0
"""Seconds within which the proof must come."""


class SiblingsOwner(Protocol):
    """The part of the dialled process that is needed."""

    server_id: str
    instance_id: str
    metrics: Metrics

    def sibling_proven(self, link: Link) -> None:
        """The other side is a process of our node."""

    def message_rejected(self, link: Link, reason: str, detail: str) -> None:
        """The other side gave no proof."""


class Siblings:
    """All such links of one process. `secret()` gives the node's secret; None: there is none yet."""

    def __init__(self, owner: SiblingsOwner, secret: Callable[[], bytes | None]) -> None:
        self._owner = owner
        self._accepting = Accepting(secret, self._given_up)
        self._proven: set[Link] = set()

    def challenge(self, link: Link, identity: Identity) -> pb.Proof | None:
        """The challenge in CONNECTED; None: refuse the dialler."""
        owner = self._owner
        challenge = self._accepting.challenge(link, identity, owner.server_id, owner.instance_id)
        if challenge is not None:
            asyncio.get_running_loop().call_later(WITHIN, self._too_late, link)
        return challenge

    def is_proven(self, link: Link) -> bool:
        """Whether it is a process of our node."""
        return link in self._proven

    def handle(self, link: Link, frame: Frame) -> bool:
        """Handle what a link says that has proven nothing yet; False: it is not supported."""
        if frame.name != "PROOF" or not self._accepting.is_expected(link):
            return False
        if self._accepting.check(link, decode(frame, pb.Proof).proof):
            self._proven.add(link)
            self._owner.sibling_proven(link)
        else:
            self._fail(link, "it does not know this node's secret")
        return True

    def closed(self, link: Link) -> None:
        """The link is over."""
        self._proven.discard(link)
        self._accepting.forget(link)

    def _fail(self, link: Link, detail: str) -> None:
        self._owner.metrics.limited("proofs", "registration")
        self._owner.message_rejected(link, "no_proof", detail)
        link.hang_up()

    def _too_late(self, link: Link) -> None:
        if self._accepting.forget(link):
            self._fail(link, f"no proof came within {WITHIN:g} s")

    def _given_up(self, link: object) -> None:
        self._fail(cast("Link", link), "too many others are waited for")


def read_secret(directory: DataDirectory) -> bytes | None:
    """The secret, for a process that only knows it: one that cannot be read is none."""
    try:
        return directory.secret()
    except OSError:
        return None
