"""FEDERATION_LIST: members tell each other the newest list, over their TLS links of MESSAGES.

A list goes to a member that has an older one, by the number that it showed in HELLO or CONNECT_SERVER. A list that
came is judged cheaply first; one that may count is verified and written on a thread, one after the other.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from parley.services.chat.federation.federation_metrics import WRITING, FederationMetrics
from parley.shared.errors import StorageError
from parley.shared.limits.token_buckets import Buckets
from parley.shared.link.link import Link
from parley.shared.trust.federation.changes import FederationRefused
from parley.shared.trust.federation.signed_list import SignedList
from parley.shared.trust.federation.state import Verdict
from parley.shared.trust.keys import fingerprint
from parley.shared.trust_storage.federation_acts import FederationActs
from parley.shared.wire.capabilities import FEDERATION
from parley.shared.wire.framing import Frame
from parley.shared.wire.messages import decode, encode, pb

if TYPE_CHECKING:
    from parley.services.chat.service import ChatService

RATE, BURST = 0.2, 10.0
"""Lists a second that are verified of one member."""
MOST: Final = 8
"""Lists that wait to be verified at most."""
AGAIN: Final = 60.0
"""Seconds between two tries to sign the list again."""


class FederationLists:
    """Those of one chat process."""

    def __init__(self, service: ChatService, metrics: FederationMetrics) -> None:
        self._service = service
        self._metrics = metrics
        self._each = Buckets(RATE, BURST)
        self._under_way = 0
        self._turn = asyncio.Lock()
        self._next = 0.0

    # Telling -------------------------------------------------------------------------------------------------

    def peer_connected(self, link: Link) -> None:
        """A member that has an older list gets ours. Two signers compare theirs: they may have one number."""
        federation, state = self._service.federation, self._service.federation.state
        if state is None or not self._is_member(link):
            return
        if federation.is_behind(link.peer_id) or state.is_signer(link.assurance.key):
            self._tell(link)

    def changed(self) -> None:
        """The list is another one: tell each linked member that has an older one."""
        for link in list(self._service.peering.links):
            if self._is_member(link) and self._service.federation.is_behind(link.peer_id):
                self._tell(link)

    def _tell(self, link: Link) -> None:
        state = self._service.federation.state
        if state is not None and state.newest is not None and link.identity.capabilities & FEDERATION:
            link.send(encode("FEDERATION_LIST", state.newest.message()))
            self._service.federation.has_number(link.peer_id, state.number)

    def _is_member(self, link: Link) -> bool:
        key = link.assurance.key
        return bool(key) and self._service.federation.key_of(link.peer_id) == key

    # Hearing -------------------------------------------------------------------------------------------------

    def came(self, link: Link, frame: Frame) -> bool:
        """Take a member's list; False: who sent it is none, and the list does not say otherwise.

        After a join each side may hear of it from the other before it has read its own files again: where we are in
        no federation yet, the list is passed by, and a newer one than ours may be the one that takes its sender in.
        """
        state, acts = self._service.federation.state, self._service.federation.acts
        if state is None or acts is None:
            self._service.guard.counts(link, "requests", 1)
            return True
        shown = SignedList.of(decode(frame, pb.FederationList))
        if not self._is_member(link) and shown.number <= state.number:
            return False
        self._service.federation.has_number(link.peer_id, shown.number)
        if (early := _early(shown, state.federation, state.newest)) is not None:
            self._judged(link, shown, early)
            if early is Verdict.OLDER and self._each.consume(link.peer_id, self._now()):
                self._tell(link)
        elif self._under_way >= MOST or not self._each.consume(link.peer_id, self._now()):
            self._service.metrics.limited("signatures", "trust")
        else:
            self._under_way += 1
            self._service.spawn(self._take(link, shown, acts))
        return True

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()

    async def _take(self, link: Link, shown: SignedList, acts: FederationActs) -> None:
        try:
            async with self._turn:
                verdict = await asyncio.to_thread(acts.take, shown)
        except (StorageError, FederationRefused) as error:
            self._service.faults.failed(WRITING, error, may_be_bug=False)
            return
        finally:
            self._under_way -= 1
        self._service.faults.well(WRITING)
        self._judged(link, shown, verdict)
        self._service.federation.look()

    def _judged(self, link: Link, shown: SignedList, verdict: Verdict) -> None:
        """Count it; say what an operator has to know."""
        self._metrics.came(verdict)
        log, fields = self._service.log, {"peer_id": link.peer_id, "number": shown.number}
        if verdict is Verdict.NEW:
            log.info("federation_list_taken", **fields)
        elif verdict not in {Verdict.SAME, Verdict.OLDER}:
            signer = fingerprint(shown.key)
            self._service.guard.complain(
                "federation_list_refused",
                lambda: log.warning("federation_list_refused", verdict=verdict.value, signer=signer, **fields),
            )

    # Signing again ---------------------------------------------------------------------------------------------

    def sign_if_due(self) -> None:
        """Sign the list again where it is due."""
        federation, now = self._service.federation, self._now()
        if federation.acts is None or not federation.is_due or now < self._next:
            return
        self._next = now + AGAIN
        self._service.spawn(self._sign(federation.acts))

    async def _sign(self, acts: FederationActs) -> None:
        try:
            async with self._turn:
                await asyncio.to_thread(acts.sign_if_due)
        except (StorageError, FederationRefused) as error:
            self._service.faults.failed(WRITING, error, may_be_bug=False)
        else:
            self._service.faults.well(WRITING)
        self._service.federation.look()


def _early(shown: SignedList, federation: bytes, newest: SignedList | None) -> Verdict | None:
    """The verdict that takes no signature; None: it has to be looked at."""
    if shown.federation != federation:
        return Verdict.FOREIGN
    if newest is not None and shown.number <= newest.number:
        if shown.number < newest.number:
            return Verdict.OLDER
        return Verdict.SAME if shown.content == newest.content else None
    return None
