"""The pairings of a chat process on its links: who takes part, and what is sent and closed (pairings.py)."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Collection, Sequence

from parley.services.chat.pairing.pairings import RESULTS, Pairings, Steps
from parley.shared.addresses import User
from parley.shared.link.events import Identity
from parley.shared.link.link import Link
from parley.shared.runtime.supervised import Faults, SupervisedTimer
from parley.shared.telemetry.metrics import Metrics
from parley.shared.wire.framing import Frame
from parley.shared.wire.messages import decode, encode, pb


class PairingRelay:
    """`keys_of` tells which keys own a user's name, `links_of` which links the user has."""

    def __init__(
        self,
        metrics: Metrics,
        faults: Faults,
        *,
        keys_of: Callable[[User], Collection[bytes]],
        links_of: Callable[[User], Sequence[Link]],
    ) -> None:
        self._keys_of = keys_of
        self._links_of = links_of
        self._pairings = Pairings(lambda what: metrics.limited(what, "pairing"))
        self._timer = SupervisedTimer("ending pairings", self._timed_out, faults)
        self._results: Counter[str] = Counter()
        metrics.watch_counter(
            "parley_pairings",
            "Pairings of two devices of a user that are over",
            lambda: [((result,), self._results[result]) for result in RESULTS],
            ("result",),
        )
        metrics.watch_value("parley_pairings_open", "New devices that show a code now", lambda: len(self._pairings))

    def refusal(self, link: Link, identity: Identity) -> pb.ConnectResponse.Refusal | None:
        """Why a new device may not wait to be paired; None: it may."""
        user, key = identity.user, link.assurance.key
        if user is None or not key:
            return pb.ConnectResponse.NO_PROOF
        owners = self._keys_of(user)
        if not owners or key in owners:
            return (
                pb.ConnectResponse.SESSION_OVER
            )  # nobody could add it, or nobody needs to: it connects as others do
        if not self._pairings.may_begin(user, link.remote_host, _now()):
            return pb.ConnectResponse.SLOW_DOWN
        return None

    def link_opened(self, link: Link, user: User) -> None:
        """A new device is connected, and waits."""
        earlier = [each for each in self._links_of(user) if self._is_device(each, user)]
        self._do(self._pairings.begin(user, link, link.assurance.key, earlier, _now()))

    def device_connected(self, link: Link, user: User) -> None:
        """A client of a user's is connected: it hears of a device that waits."""
        if self._pairings and self._is_device(link, user):
            self._do(self._pairings.waits(user, link))

    def handle(self, link: Link, user: User, frame: Frame) -> bool:
        """A client's PAIR. False: it may have no part in a pairing."""
        pair = decode(frame, pb.Pair)
        if link.identity.is_pairing:
            self._do(self._pairings.from_new(user, link, pair))
        elif self._is_device(link, user):
            self._do(self._pairings.from_earlier(user, link, pair))
        else:
            return False
        return True

    def devices_changed(self, user: User) -> None:
        """A user has other devices."""
        if self._pairings:
            self._do(self._pairings.changed(user, self._keys_of(user)))

    def closed(self, link: Link, user: User) -> None:
        """A link of a user's is over."""
        if self._pairings:
            self._do(self._pairings.lost(user, link))

    def stop(self) -> None:
        """End no more of them: the links end."""
        self._timer.cancel()

    def _is_device(self, link: Link, user: User) -> bool:
        """Whether one of the user's devices is there, and proved it."""
        return bool(link.assurance.key) and link.assurance.key in self._keys_of(user)

    def _timed_out(self) -> None:
        for steps in self._pairings.handle_timeout(_now()):
            self._do(steps)

    def _do(self, steps: Steps) -> None:
        for link, pair in steps.send:
            if link.is_open:
                link.send(encode("PAIR", pair))
        for link in steps.close:
            link.hang_up()
        if steps.result:
            self._results[steps.result] += 1
        self._timer.set(self._pairings.next_timeout())


def _now() -> float:
    return asyncio.get_running_loop().time()
