"""JOIN_FEDERATION: a server that is no member asks to be one, over TLS and before any CONNECT.

It shows an invitation's secret, or goes through a spoken code's exchange. What waits for the disk or computes for
long is done on a thread, one request after the other.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from parley.services.chat.federation.federation_metrics import JOINED, WRITING, FederationMetrics
from parley.shared.errors import StorageError
from parley.shared.limits.token_buckets import Buckets
from parley.shared.link.link import Link
from parley.shared.names import spell
from parley.shared.printable import harmless
from parley.shared.service.guard import Complaint
from parley.shared.trust.federation.changes import FederationRefused
from parley.shared.trust.federation.entries import Admitted
from parley.shared.trust.federation.membership import FEATURE, purpose_of
from parley.shared.trust.federation.signed_list import SignedList
from parley.shared.trust.keys import fingerprint
from parley.shared.trust.pairing import Offer, PairingRefused, Party
from parley.shared.trust.proofs import SERVER, Channel, Dialler, is_proven
from parley.shared.trust_storage.federation_acts import FederationActs
from parley.shared.wire.framing import Frame
from parley.shared.wire.messages import decode, encode, pb

if TYPE_CHECKING:
    from parley.services.chat.service import ChatService

EACH_RATE, EACH_BURST = 0.5, 10.0
"""Requests a second that are looked at from one address."""
ALL_RATE, ALL_BURST = 5.0, 50.0
"""… and from all."""
ALL: Final = ""
"""The key of the bucket that all share."""
MOST: Final = 16
"""Requests that are under way at most, and exchanges that were begun."""
NONE: Final = frozenset({"none", "no_signer"})
"""Reasons of ours that the asker is told as `unknown`: nobody is invited by this server."""


@dataclass(slots=True)
class _Exchange:
    """A spoken code's exchange, between its two requests."""

    offer: Offer
    code: str


class Joins:
    """Those of one chat process."""

    def __init__(self, service: ChatService, metrics: FederationMetrics) -> None:
        self._service = service
        self._metrics = metrics
        self._each = Buckets(EACH_RATE, EACH_BURST)
        self._all = Buckets(ALL_RATE, ALL_BURST)
        self._under_way = 0
        self._turn = asyncio.Lock()
        self._exchanges: dict[int, _Exchange] = {}
        """Link → the exchange that it began."""

    def asked(self, link: Link, frame: Frame) -> bool:
        """Answer, soon; False: not here, or not on such a link."""
        acts, channel = self._service.federation.acts, link.channel
        if link.is_open or link.dialled or channel is None or acts is None:
            return False
        request = decode(frame, pb.JoinFederation)
        now = asyncio.get_running_loop().time()
        has_room = self._under_way < MOST and self._all.consume(ALL, now)
        if not has_room or not self._each.consume(link.remote_host, now):
            self._service.metrics.limited("requests", "trust")
            self._answer(link, request, pb.FederationAnswer(refusal="busy"))
            return True
        self._under_way += 1
        self._service.spawn(self._join(link, channel, request, acts))
        return True

    async def _join(self, link: Link, channel: Channel, request: pb.JoinFederation, acts: FederationActs) -> None:
        try:
            async with self._turn:
                answer = await asyncio.to_thread(self._decide, link.link_id, channel, request, acts)
        except (FederationRefused, PairingRefused) as refused:
            answer = pb.FederationAnswer(refusal="unknown" if refused.reason in NONE else refused.reason)
        except StorageError as error:
            self._service.faults.failed(WRITING, error, may_be_bug=False)
            answer = pb.FederationAnswer(refusal="busy")
        else:
            self._service.faults.well(WRITING)
        finally:
            self._under_way -= 1
        self._service.federation.look()
        self._answer(link, request, answer)

    def _answer(self, link: Link, request: pb.JoinFederation, answer: pb.FederationAnswer) -> None:
        """Count it, tell it, send it."""
        link.send(encode("FEDERATION_ANSWER", answer))
        result = answer.refusal or (JOINED if answer.HasField("list") else "answered")
        self._metrics.joined(result)
        if result == "answered":
            return
        event: Complaint = "federation_joined" if result == JOINED else "federation_join_refused"
        name, key = harmless(spell(request.serverId[:64])), fingerprint(request.identity.key)
        self._service.guard.complain(
            event,
            lambda: self._service.log.warning(event, peer_id=name, key=key, host=link.remote_host, reason=result),
        )

    # On the thread -----------------------------------------------------------------------------------------------

    def _decide(
        self, link_id: int, channel: Channel, request: pb.JoinFederation, acts: FederationActs
    ) -> pb.FederationAnswer:
        """The answer. FederationRefused, PairingRefused, StorageError."""
        if request.confirmation:
            return self._confirmed(link_id, request.confirmation, acts)
        dialler = Dialler(SERVER, FEATURE, request.serverId, "")
        if not request.serverId or not is_proven(request.identity, channel, dialler):
            raise FederationRefused("malformed", "its key is not proven")
        key = request.identity.key
        if request.element:
            return self._begun(link_id, channel, request, acts)
        return _with(acts.redeem(request.federation, request.secret[:64], request.serverId, key))

    def _begun(
        self, link_id: int, channel: Channel, request: pb.JoinFederation, acts: FederationActs
    ) -> pb.FederationAnswer:
        """Answer the element of whoever enters the code; it uses up a try, which is on disk before."""
        acts.check_signer()
        code = acts.invitations.try_code().code
        offer = Offer(purpose_of(request.federation), Party(channel.server_id, channel.key), 0.0, code)
        answer = offer.answer(Party(request.serverId, request.identity.key), request.element, 0.0)
        while len(self._exchanges) >= MOST:
            self._exchanges.pop(next(iter(self._exchanges)))
        self._exchanges[link_id] = _Exchange(offer, code)
        return pb.FederationAnswer(element=answer.element, confirmation=answer.confirmation)

    def _confirmed(self, link_id: int, confirmation: bytes, acts: FederationActs) -> pb.FederationAnswer:
        """Admit who entered the right code, which lets one in; it is used up in any case."""
        exchange = self._exchanges.pop(link_id, None)
        if exchange is None:
            raise FederationRefused("malformed", "no exchange was begun on this link")
        party, _ = exchange.offer.confirm(confirmation)
        if not acts.invitations.end_code(exchange.code):  # before all else: two may have begun with one code
            raise FederationRefused("used", "that code was used already, or is shown no longer")
        return _with(acts.admit(party.name, party.key, Admitted.SPOKEN))


def _with(shown: SignedList) -> pb.FederationAnswer:
    return pb.FederationAnswer(list=shown.message())
