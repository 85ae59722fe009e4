"""Keeps one link to one place alive: dial, shake hands, wait until it is over, back off, again.

The only reconnect there is: for peers, for the registration with discovery and for clients.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Final
from weakref import WeakKeyDictionary, WeakValueDictionary

from parley.shared.addresses import Endpoint
from parley.shared.errors import PeerError, PeerRefused, PeerUnreachable, bare
from parley.shared.link.link import Link
from parley.shared.peering.dial_limits import Dials
from parley.shared.runtime.backoff import Backoff
from parley.shared.runtime.supervised import Faults, forever
from parley.shared.runtime.timer import clock
from parley.shared.sockets import tcp

STEADY = 5.0
"""Seconds a link must have lived for its end to count as the first failure and not one more."""

DIALS: Final = 32
"""Dials to one place at a time: so many handshakes take a second at most, and each may take ten."""
_Turns = WeakValueDictionary[tuple[str, int], asyncio.Semaphore]
_turns: Final[WeakKeyDictionary[asyncio.AbstractEventLoop, _Turns]] = WeakKeyDictionary()

FindEndpoints = Callable[[], Awaitable[Sequence[Endpoint]]]
MakeLink = Callable[[Endpoint], Link]


def _turn(endpoint: Endpoint) -> asyncio.Semaphore:
    """The turn of a dial to a place: it is another's when that dial is over."""
    turns = _turns.setdefault(asyncio.get_running_loop(), WeakValueDictionary())
    place = endpoint.host, endpoint.port
    turn = turns.get(place)
    if turn is None:
        turn = turns[place] = asyncio.Semaphore(DIALS)
    return turn


async def dial(make_link: Callable[[], Link], endpoint: Endpoint, *, local_host: str, timeout: float) -> Link:
    """Connect to an endpoint and wait for the handshake; `timeout` (seconds) is for the connection alone.

    At most DIALS of a process do so at one place; a program with thousands of clients would else let all of their
    handshakes run out of time together.

    Raises:
        PeerUnreachable: nothing accepts connections there, or it closed at once or refused.
        HandshakeTimeout: it did not answer.

    """
    async with _turn(endpoint):
        return await _dial(make_link, endpoint, local_host=local_host, timeout=timeout)


async def _dial(make_link: Callable[[], Link], endpoint: Endpoint, *, local_host: str, timeout: float) -> Link:
    loop = asyncio.get_running_loop()
    local = (local_host, 0) if local_host else None
    links: list[Link] = []

    def protocol() -> asyncio.Protocol:
        links.append(make_link())
        return links[0].protocol()

    largest = tcp.segments_of(loop).largest(endpoint.host, clock(loop)())
    try:
        async with asyncio.timeout(timeout):
            if largest is not None:
                sock = await tcp.connect(loop, endpoint, local, largest)
                await loop.create_connection(protocol, sock=sock)
            else:
                await loop.create_connection(
                    protocol, endpoint.host, endpoint.port, local_addr=local, family=socket.AF_INET
                )
    except (OSError, TimeoutError) as error:
        for link in links:
            link.abandon()
        raise PeerUnreachable(f"{endpoint} does not accept connections ({_reason(error)})") from None
    except asyncio.CancelledError:
        for link in links:
            link.abandon()
        raise
    (link,) = links
    try:
        await link.wait_open()
    except asyncio.CancelledError:
        link.hang_up()
        raise
    return link


def _reason(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return "no answer"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.splitlines()[0].lower()
    return str(error) or type(error).__name__


async def resolve(host: str, port: int) -> list[Endpoint]:
    """Every IPv4 address that a name stands for.

    Raises:
        PeerUnreachable: the name is not known now.

    """
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host, port, family=socket.AF_INET, type=socket.SOCK_STREAM)
    except (OSError, ValueError):  # what can be no name is a UnicodeError, or another ValueError
        raise PeerUnreachable(f"{host} is no name that can be resolved now") from None
    return [Endpoint(str(address[0]), port) for *_, address in found]


class Connector:
    """The task that dials one server, or one of several places, for as long as a link is needed.

    `find_endpoints` gives the endpoints to try, in order; `make_link` builds the link to one; `is_needed` tells
    whether there is no link yet (another side may have dialled us); `not_before` gives the loop's time before which
    no dial begins, whatever wakes it; `before_dial` is awaited before each; `failed` hears of each round's last
    error; `dials` keeps all connectors of a process in turns; `what` names it in `faults`.
    """

    def __init__(
        self,
        *,
        find_endpoints: FindEndpoints,
        make_link: MakeLink,
        backoff: Backoff,
        local_host: str,
        dial_timeout: float,
        is_needed: Callable[[], bool] = lambda: True,
        not_before: Callable[[], float] = lambda: 0.0,
        before_dial: Callable[[], Awaitable[None]] | None = None,
        failed: Callable[[PeerError], None] = lambda _error: None,
        what: str = "connecting",
        faults: Faults | None = None,
        dials: Dials | None = None,
    ) -> None:
        self._find_endpoints = find_endpoints
        self._make_link = make_link
        self._backoff = backoff
        self._local_host = local_host
        self._dial_timeout = dial_timeout
        self._is_needed = is_needed
        self._not_before = not_before
        self._before_dial = before_dial
        self._failed = failed
        self._what = what
        self._faults = faults or Faults()
        self._dials = dials
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.attempts = 0
        self.last_error = ""
        self.failed_at = 0.0
        """When that was (seconds, monotonic)."""

    def start(self) -> None:
        """Begin; a connector that runs goes on."""
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(forever(self._what, self._run, self._faults))

    async def stop(self) -> None:
        """End, also in the middle of a dial; an open link is left to its owner."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])
            self._faults.well(self._what)

    def note_error(self, text: str) -> None:
        """A dial failed, or a link was lost."""
        self.last_error, self.failed_at = text, time.monotonic()

    def forget_error(self) -> None:
        """A link stands: what was wrong before is over."""
        self.last_error = ""

    def wake(self) -> None:
        """Look again now: a link came or went."""
        self._wake.set()

    def heard_from(self) -> None:
        """The other side gave a sign of life: dial now if need be."""
        self._backoff.reset()
        self._wake.set()

    async def _run(self) -> None:
        """One link from when it is needed until the pause behind its end; or a round of dials that brought none."""
        self._wake.clear()
        if not self._is_needed():
            await self._wake.wait()
            return
        loop = asyncio.get_running_loop()
        if (early := self._not_before() - loop.time()) > 0:
            await self._pause(loop, early)
            return
        link = await self._dial_any()
        if link is not None:
            self._faults.well(self._what)
            await asyncio.shield(link.closed)
            self._wake.clear()  # it was this link that came and went: no reason to dial without a pause
            if link.age >= STEADY:
                self._backoff.reset()
        if self._is_needed():
            await self._pause(loop, self._backoff.next_delay())

    async def _dial_any(self) -> Link | None:
        """Try each place once; the first that becomes a link, or None."""
        error: PeerError | None = None
        try:
            endpoints = await self._find_endpoints()
        except PeerError as unknown:
            endpoints, error = (), bare(unknown)
        for endpoint in endpoints:
            if not self._is_needed():
                return None
            try:
                link = await self._dial(endpoint) if self._dials is None else await self._dial_in_turn(endpoint)
            except PeerError as failure:
                error = bare(failure)
            else:
                if link is not None:
                    return link
        if error is not None:
            if self._is_needed():  # else a link came meanwhile, and the dial was given up for it
                self.note_error(str(error))
            self._failed(error)
        return None

    async def _dial_in_turn(self, endpoint: Endpoint) -> Link | None:
        """Dial when it is this place's turn; None where it is left alone, or a link came meanwhile."""
        dials = self._dials
        if dials is None or not dials.may(endpoint):
            return None
        async with dials.turn(endpoint):
            if not self._is_needed() or not dials.may(endpoint):
                return None
            try:
                link = await self._dial(endpoint)
            except PeerError as failure:
                if not self._is_needed():
                    raise  # given up because there is a link: that says nothing of the place
                dials.ended(endpoint, well=isinstance(failure, PeerRefused))
                raise
            dials.ended(endpoint, well=True)
            return link

    async def _dial(self, endpoint: Endpoint) -> Link:
        if self._before_dial is not None:
            await self._before_dial()
        self.attempts += 1
        return await dial(
            lambda: self._make_link(endpoint), endpoint, local_host=self._local_host, timeout=self._dial_timeout
        )

    async def _pause(self, loop: asyncio.AbstractEventLoop, delay: float) -> None:
        """Wait out the backoff, or until woken."""
        timer = loop.call_later(delay, self._wake.set)
        try:
            await self._wake.wait()
        finally:
            timer.cancel()
