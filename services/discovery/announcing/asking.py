"""The questions of discovery: the places that are asked, how often, how. Pure; times are seconds, monotonic.

A round asks each network by broadcast, and by unicast the static peers and the servers that asked us. Each
request has a nonce, which tells an answer from a claim. One that leaves our networks is as long as its answer may
be: so nobody has our answers sent to somebody else, larger than what they sent themselves.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from parley.shared.addresses import SocketAddress
from parley.shared.discovery.networks import EVERYONE, Networks
from parley.shared.discovery.nonces import Nonces, encode_request
from parley.shared.limits.token_buckets import TokenBucket

FIRST_ROUNDS: Final = 3
"""Rounds in which both broadcast addresses of a wire are asked. Later each has every second round: some existing
servers dial everybody again at each request that they hear."""
EXTRA_BURST: Final = 10
EXTRA_RATE: Final = 0.5
"""Rounds out of turn: at once, and in a second."""
MOST_ASKERS: Final = 256
"""Servers that asked us, remembered to be asked in turn."""


@dataclass(frozen=True, slots=True)
class Sending:
    """A request to send: to whom, and where all on a wire are meant, by which interface and from which address."""

    data: bytes
    to: SocketAddress
    interface: str = ""
    source: str = ""


class Asking:
    """The requests of each round. `port` is ours, and the others'."""

    def __init__(self, port: int, remembered: float) -> None:
        """`remembered`: seconds for which who asked us is asked in turn."""
        self._port = port
        self._remembered = remembered
        self._rounds = 0
        self._extra: TokenBucket | None = None
        self._askers: OrderedDict[SocketAddress, float] = OrderedDict()
        self._once: set[SocketAddress] = set()
        """Those that are no Parleys: at each request some dial everybody again, and broadcast reaches them."""
        self.nonces = Nonces()

    def may_ask_now(self, now: float) -> bool:
        """Whether a round out of turn is allowed: each draws an answer from everybody."""
        self._extra = self._extra or TokenBucket(EXTRA_RATE, EXTRA_BURST, now)
        return self._extra.consume(now)

    def round(
        self, networks: Networks, unicast: Iterable[SocketAddress], now: float, *, out_of_turn: bool
    ) -> list[Sending]:
        """The requests of a round; `out_of_turn`: also to those who asked us, whom broadcast may not reach."""
        both = out_of_turn or self._rounds < FIRST_ROUNDS
        narrow = both or self._rounds % 2 == 0
        wide = both or self._rounds % 2 == 1
        self._rounds += 1
        sendings = self._broadcasts(networks, now, narrow=narrow, wide=wide)
        hosts = [*unicast, *(self.askers(now) if out_of_turn else ())]
        others = [to for to in dict.fromkeys(hosts) if not (to[0] in networks.own and to[1] == self._port)]
        return sendings + [self.request(to, networks, now) for to in others]

    def _broadcasts(self, networks: Networks, now: float, *, narrow: bool, wide: bool) -> list[Sending]:
        """One nonce for both broadcasts of a wire: who hears both answers once."""
        sendings = []
        for interface in networks.interfaces:
            if not interface.broadcast:
                continue
            to = interface.broadcast, self._port
            data = encode_request(self.nonces.issue(to, now))
            if narrow or not interface.is_wire:
                sendings.append(Sending(data, to))
            if interface.is_wire and wide:
                sendings.append(Sending(data, (EVERYONE, self._port), interface.name, interface.address))
        return list({(s.to, s.interface): s for s in sendings}.values())

    def request(self, to: SocketAddress, networks: Networks, now: float) -> Sending:
        """A request to one host."""
        return Sending(encode_request(self.nonces.issue(to, now), is_padded=not networks.have(to[0])), to)

    # Who asked us ------------------------------------------------------------------------------

    def is_stranger(self, asker: SocketAddress, now: float) -> bool:
        """Whether that server is not known as one that asked us."""
        return now - self._askers.get(asker, -self._remembered) >= self._remembered

    def remember(self, asker: SocketAddress, now: float, *, is_parley: bool = True) -> None:
        """A server asked us, and is where it says; one that is no Parley is asked in turn this once."""
        self._askers[asker] = now
        self._askers.move_to_end(asker)
        if is_parley:
            self._once.discard(asker)
        else:
            self._once.add(asker)
        if len(self._askers) > MOST_ASKERS:
            self._once.discard(self._askers.popitem(last=False)[0])

    def askers(self, now: float) -> Sequence[SocketAddress]:
        """The Parleys that asked us of late."""
        found = [asker for asker, at in self._askers.items() if now - at < self._remembered]
        return [asker for asker in found if asker not in self._once]
