"""Which announcements are believed of a name that has a key, or announces one. Times are seconds, monotonic.

    announced                    the name has no key here     the name has this key     it has another
    no key                       plain                        –                         refused
    a key, signed for our nonce  has that key from now on     believed                  refused
    a key, not signed by it      refused                      refused                   refused
    a key, for no nonce of ours  not looked at                not looked at             not looked at

A signature is verified when anything that it covers is new for a source, besides the nonce: not at each of the same
announcements that come every few seconds. How many are verified is bounded for each source, and for all together.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from typing import Final, Protocol

from parley.shared.addresses import Server
from parley.shared.config import SecurityConfig
from parley.shared.discovery.announcements import Announcement
from parley.shared.limits.token_buckets import Buckets
from parley.shared.names import fold
from parley.shared.trust.announcements import is_signed
from parley.shared.trust.pins import How, Pin, Pins, Verdict
from parley.shared.trust.refusals import BAD_SIGNATURE
from parley.shared.wire.messages import pb

EACH_RATE, EACH_BURST = 2.0, 20.0
"""Signatures a second that are verified of one source."""
ALL_RATE, ALL_BURST = 200.0, 400.0
"""… and of all sources together: 26 ms of each second at most."""
ALL: Final = ""
"""The key of the bucket that all sources share."""
MOST: Final = 4096
"""Announcements that are remembered as verified."""


class Judge(Protocol):
    """The keys of names: shared/service/server_keys.py, or a client's."""

    def judge_server(self, name: str, key: bytes, host: str = "") -> Verdict:
        """The verdict on a key that signed for that name."""

    def may_be_plain(self, name: str, host: str = "") -> bool:
        """Whether a program without a key may use that name."""

    def refuse(self, name: str, key: bytes, what: str, host: str) -> None:
        """That was refused the name."""


class FirstKeys:
    """The judge of who keeps nothing: the first key of a name has it."""

    def __init__(self, security: SecurityConfig) -> None:
        self._security = security
        self._pins = Pins()

    def judge_server(self, name: str, key: bytes, host: str = "") -> Verdict:  # noqa: ARG002 - nobody is told
        """The verdict on a key that signed for that name; a new one is remembered while there is room."""
        verdict = self._pins.judge(name, key)
        if verdict is Verdict.NEW and len(self._pins.by_name) < MOST:
            self._pins.put(Pin(name, key, How.SEEN, 0.0))
        return verdict

    def may_be_plain(self, name: str, host: str = "") -> bool:  # noqa: ARG002 - as above
        """Whether a program without a key may use that name."""
        return self._security.allows_plain and self._pins.may_be_plain(name)

    def refuse(self, name: str, key: bytes, what: str, host: str) -> None:
        """Nobody is told."""


class AnnouncedKeys:
    """The announcements of one asker. `limited` hears of a signature that was not verified: there were too many."""

    def __init__(
        self,
        judge: Judge,
        limited: Callable[[], None] = lambda: None,
        verify: Callable[[pb.ServerAnnounce], bool] = is_signed,
    ) -> None:
        self._judge = judge
        self._limited = limited
        self._verify = verify
        self._each = Buckets(EACH_RATE, EACH_BURST)
        self._all = Buckets(ALL_RATE, ALL_BURST)
        self._verified: OrderedDict[tuple[str, str], tuple[object, ...]] = OrderedDict()
        """(folded name, source) → all that was signed there, besides the nonce."""

    def forget(self) -> None:
        """Verify all once more: the keys of names are others now."""
        self._verified.clear()

    def believed(self, heard: Announcement, source: str, now: float, *, answered: bool) -> Server | None:
        """The server as it is to be spoken to, with its key where it has one; None: not believed."""
        server = heard.server
        if not server.key:
            return server if self._judge.may_be_plain(server.server_id, source) else None
        if not answered or not self._is_verified(heard, source, now):
            return None
        verdict = self._judge.judge_server(server.server_id, server.key, source)
        if verdict in {Verdict.NEW, Verdict.SAME}:
            return server
        if verdict is Verdict.PLAIN_HELD and self._judge.may_be_plain(server.server_id, source):
            return replace(server, key=b"")
        return None

    def is_proven(self, heard: Announcement, source: str, now: float, key: bytes) -> bool:
        """Whether the holder of that key announces this, just now: it answers a request of ours."""
        return heard.server.key == key and self._is_verified(heard, source, now)

    def _is_verified(self, heard: Announcement, source: str, now: float) -> bool:
        place = fold(heard.server.server_id), source
        said = _signed(heard.server)
        if self._verified.get(place) == said:
            self._verified.move_to_end(place)
            return True
        if not (self._each.consume(source, now) and self._all.consume(ALL, now)):
            self._limited()
            return False
        if not self._verify(heard.message):
            self._judge.refuse(heard.server.server_id, heard.server.key, BAD_SIGNATURE, source)
            return False
        self._verified[place] = said
        self._verified.move_to_end(place)
        if len(self._verified) > MOST:
            self._verified.popitem(last=False)
        return True


def _signed(server: Server) -> tuple[object, ...]:
    """All that a signature covers, besides the nonce."""
    return server.server_id, server.key, server.mark, server.features
