"""The one link of clients and servers: the asyncio Protocol that drives a Session and performs its effects.

It does the I/O and nothing else: what bytes mean is the session's, what messages mean is the owner's.
What is sent in one turn of the loop goes out as one write (a write costs 3 to 7 µs, a frame 0.2).
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import socket
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Protocol, cast

from parley.shared.addresses import SocketAddress
from parley.shared.dialects.dialect import UNKNOWN, Dialect, Recognized
from parley.shared.dialects.rewriting import for_stream
from parley.shared.errors import (
    HandshakeTimeout,
    InsecureLink,
    PeerError,
    PeerRefused,
    PeerUnproven,
    PeerUnreachable,
    RemoteProtocolError,
)
from parley.shared.limits.rates import Used
from parley.shared.link.backlog import LinkBacklog
from parley.shared.link.credentials import Acceptor, Credentials
from parley.shared.link.events import (
    Closed,
    ConnectRequested,
    Event,
    Greeted,
    Identity,
    MessagesReceived,
    Opened,
    Rejected,
)
from parley.shared.link.pacing import Pacing
from parley.shared.link.secure_transport import SecureTransport
from parley.shared.link.session import Session, Timeouts
from parley.shared.link.transitions import State
from parley.shared.link.turn import SEND_LIMIT, turn_of
from parley.shared.runtime.timer import Timer, clock
from parley.shared.sockets import tcp
from parley.shared.sockets.segments import may_have_stalled
from parley.shared.telemetry.tallies import Frames
from parley.shared.trust.assurance import ENCRYPTED, PLAIN, Assurance
from parley.shared.wire.capabilities import AUTHORS, OURS, PIECES, READ_RECEIPTS, SEARCH, SHARED_COPIES
from parley.shared.wire.framing import Frame
from parley.shared.wire.messages import pb

if TYPE_CHECKING:
    from parley.shared.trust.proofs import Channel

_link_ids = itertools.count(1)
_NOTHING: Final[frozenset[str]] = frozenset()
"""One for all links: else Python makes each empty set again."""

CONTROL_FRAMES: Final = 64
"""Control frames that are handled between two looks at what the turn may cost."""
BUFFER_LIMIT = 16 * 1024 * 1024
"""Bytes in that buffer, of answers to what it goes on sending, at which a side that never reads is given up."""
LINGER = 2.0
"""Seconds for the last words to be read before the connection is cut."""


def _nothing(_link: Link, _frame: Frame) -> None:
    """The owner of most links sends nothing that could be too long."""


class LinkOwner(Protocol):
    """The object that a link tells what happens: ServiceBase, FeatureBase."""

    def connect_requested(self, link: Link, identity: Identity) -> None:
        """Call `link.accept` or `link.refuse` before returning."""

    def link_opened(self, link: Link) -> None:
        """The handshake is over."""

    def messages_received(self, link: Link, frames: list[Frame]) -> int | None:
        """One read's messages; how many were handled, where `link.had_its_turn` came before the last, or None.

        Raise RemoteProtocolError to have the link hung up.
        """

    def message_rejected(self, link: Link, reason: str, detail: str) -> None:
        """Something came that may not; it has been answered."""

    def link_writable(self, link: Link) -> None:
        """A buffer that was full has room again."""

    def link_closed(self, link: Link, closed: Closed) -> None:
        """The link is over; it was open before if `link.was_open`."""


class Track(Protocol):
    """The set that holds a link for as long as there is a connection."""

    def add(self, link: Link, /) -> None:
        """The connection was made."""

    def discard(self, link: Link, /) -> None:
        """The connection is gone."""


class Link(LinkBacklog, asyncio.Protocol):
    """One TCP connection and its session."""

    __slots__ = (  # more than thirty attributes, and Python gives each instance a dict of its own: 1.5 KB
        "__weakref__",
        "_closed",
        "_counts",
        "_gone",
        "_is_gone",
        "_is_wanted",
        "_last_resort",
        "_loop",
        "_opening",
        "_pacing",
        "_resets",
        "_security",
        "_timer",
        "_track",
        "assurance",
        "channel",
        "end",
        "is_parley",
        "is_proven",
        "link_id",
        "logged_faults",
        "opened_at",
        "peer_id",
        "recognized",
        "used",
        "was_open",
    )

    def __init__(
        self,
        owner: LinkOwner,
        *,
        timeouts: Timeouts,
        limit: int,
        hello: bytes | None = None,
        is_wanted: Callable[[], bool] = lambda: True,
        track: Track | None = None,
        tally: Frames | None = None,
        counts: Callable[[Link, str, int], None] | None = None,
        security: Credentials | Acceptor | None = None,
    ) -> None:
        """`hello` is our CONNECT when we dial; it is sent if `is_wanted()` still holds once connected.

        `security`: with Credentials we dial over TLS, and they have our CONNECT; an Acceptor accepts TLS.
        `track` holds the link for as long as it is connected. `tally` counts its frames.
        `counts` hears of what has a rate (rates.py), and of 0 connections when there is one.
        """
        self._loop = asyncio.get_running_loop()
        now = clock(self._loop)
        super().__init__(
            owner,
            Session(
                timeouts=timeouts,
                limit=limit,
                now=now(),
                hello=hello,
                is_securing=isinstance(security, Credentials),
            ),
            turn_of(self._loop),
            now,
            tally.received if tally is not None else None,
            tally.sent if tally is not None else None,
        )
        self._track: Track = track if track is not None else set()
        self.link_id = next(_link_ids)
        self.peer_id = ""
        """The serverId at the other end: expected when we dial, named by it when it dials; empty: a client."""
        self.was_open = False
        self.end: Closed | None = None
        """How it ended, once it has."""
        self.logged_faults = _NOTHING
        """The faults that were logged about this link already: a flood of them is one line."""
        self.assurance: Assurance = PLAIN
        """The other side, as far as it is proven."""
        self.channel: Channel | None = None
        """The TLS connection, since HELLO; None: the link is plain, or HELLO did not come yet."""
        self.is_proven = False
        """Whether the proof that its channel allows was given: there is one."""
        self.recognized = UNKNOWN
        """The dialect of the other side, and why it is taken for that."""
        self.is_parley = True
        """Whether that is a Parley's: names of ours go to nobody else (protocol.md, "Ours")."""
        self._pacing: Pacing | None = None
        self._resets = False
        """Whether its connection is reset when it is closed, as it is when this process is killed."""
        self._is_wanted = is_wanted
        self._security = security
        self.opened_at = now()
        self.used = Used()
        """The link's token buckets, of what has a rate."""
        self._counts = counts
        self._timer: Timer | None = None
        self._opening: asyncio.Future[None] | None = None
        self._closed: asyncio.Future[Closed] | None = None
        self._is_gone = False
        self._gone: asyncio.Future[None] | None = None
        self._last_resort: asyncio.TimerHandle | None = None

    def __repr__(self) -> str:
        return f"<Link {self.link_id} {self.session!r}>"

    # What the owner calls ----------------------------------------------------------

    @property
    def identity(self) -> Identity:
        """The identity of the other end."""
        return self.session.identity

    def identify(self, identity: Identity) -> Identity:
        """Take who asks to be connected for somebody spelt otherwise, before it is decided."""
        self.session.identity = identity
        return identity

    @property
    def dialect(self) -> Dialect:
        """The dialect that the other side speaks."""
        return self.recognized.dialect

    def recognize(self, recognized: Recognized, not_taken: Callable[[Link, Frame], None] = _nothing) -> None:
        """Speak to the other side in its dialect from now on.

        `not_taken` hears, a little later, of each message that is not written, as the other side never takes it.
        """
        self.recognized = recognized
        dialect, pacing = recognized.dialect, self._pacing
        self.is_parley = dialect.is_parley
        waits = pacing.rest() if pacing is not None else b""
        self._translates_all, self._pacing = dialect.write_gap > 0, None
        if dialect.write_gap:
            give_up = partial(self.hang_up, pb.HangUp.TIMEOUT)
            self._pacing = Pacing(dialect, self._write_now, give_up, partial(not_taken, self))
            self._translate = self._pacing.take
        else:

            def tell(frame: Frame) -> None:
                asyncio.get_running_loop().call_soon(not_taken, self, frame)

            self._translate = None if dialect.is_parley else for_stream(dialect, tell)
        if waits:
            self.send(waits)  # as it was before it was written for a dialect
        self._guard_port()

    def _guard_port(self) -> None:
        """See to it that our port can be had again after we were killed, where the other side keeps dead links."""
        if self.dialled and self.dialect.keeps_dead_links and (sock := self._socket()) is not None:
            tcp.reset_when_killed(sock)
            self._resets = True

    def _socket(self) -> socket.socket | None:
        """That of its connection; a test's may have none."""
        return self._transport.get_extra_info("socket") if self._transport is not None else None

    def answered(self) -> None:
        """The other side acknowledged a message: the next may follow, where it takes them one by one."""
        if self._pacing is not None:
            self._pacing.answered()

    def _write_now(self, raw: bytes) -> None:
        """Write what waited for its turn as it is."""
        translate, self._translate = self._translate, None
        self.send(raw)
        self._translate = translate

    @property
    def window(self) -> int:
        """How many messages a client wants unacknowledged on their way to it; 0: it does not mind."""
        return self.identity.window

    @property
    def takes_pieces(self) -> bool:
        """Whether the other side takes what is large in pieces."""
        return bool(self.identity.capabilities & PIECES)

    @property
    def answers_searches(self) -> bool:
        """Whether the other side is a Parley that answers SEARCH_USERS."""
        return self.is_parley and bool(self.identity.capabilities & SEARCH)

    @property
    def takes_read_receipts(self) -> bool:
        """Whether the other side is a Parley that is told what was read."""
        return self.is_parley and bool(self.identity.capabilities & READ_RECEIPTS)

    @property
    def takes_shared_copies(self) -> bool:
        """Whether the other side is a Parley that takes one MESSAGE for several members of a group."""
        return self.is_parley and bool(self.identity.capabilities & SHARED_COPIES)

    @property
    def tells_devices(self) -> bool:
        """Whether the other side answers DEVICES_OF: nobody does in plain."""
        return self.is_parley and bool(self.identity.capabilities & AUTHORS) and self.assurance.is_encrypted

    @property
    def dialled(self) -> bool:
        """Whether it was we who dialled."""
        return self.session.dialled

    @property
    def is_open(self) -> bool:
        """Whether messages may be sent."""
        return self.session.is_open

    @property
    def is_handshaking(self) -> bool:
        """Whether our CONNECT is on its way and not answered yet."""
        return self._transport is not None and self.session.state is State.DIALLED

    @property
    def was_connected(self) -> bool:
        """Whether there ever was a connection."""
        return self._transport is not None or self.end is not None

    @property
    def is_silent(self) -> bool:
        """Whether the other side has been silent for `ping_timeout`."""
        return self.session.is_silent(self._now())

    @property
    def has_arrived(self) -> bool:
        """Whether all that was written has arrived at the other side's machine, be it read there or not."""
        return self._descriptor >= 0 and not self._buffered() and tcp.unarrived(self._descriptor) == 0

    def heard_since(self, moment: float) -> bool:
        """Whether anything came after that moment."""
        return self.session.reader.fed_at > moment

    @property
    def age(self) -> float:
        """Seconds since the connection was made."""
        return self._now() - self.opened_at

    @property
    def unsent(self) -> int:
        """Bytes that the other side did not take."""
        return self._buffered() + self._queued

    @property
    def remote_host(self) -> str:
        """The other side's address."""
        return self._address("peername")

    @property
    def descriptor(self) -> int:
        """Of its connection; negative where there is none."""
        return self._descriptor

    @property
    def local_host(self) -> str:
        """Our address on this connection."""
        return self._address("sockname")

    @property
    def ends(self) -> tuple[SocketAddress, SocketAddress] | None:
        """Our address and port, and the other side's; None where there is no connection."""
        if self._transport is None:
            return None
        local, remote = (self._transport.get_extra_info(each) for each in ("sockname", "peername"))
        return (local[0], local[1]), (remote[0], remote[1])

    def _address(self, which: str) -> str:
        address = self._transport.get_extra_info(which) if self._transport else None
        return str(address[0]) if address else ""

    def accept(
        self,
        *,
        server_id: str = "",
        instance_id: str = "",
        proof: pb.Proof | None = None,
        token: pb.SessionToken | None = None,
        devices: pb.DeviceList | None = None,
    ) -> None:
        """Answer a CONNECT with CONNECTED; `proof` is for a process of our own node, the last two for a client."""
        if not self.is_parley:
            self.session.accept()
            return
        self.session.accept(
            server_id=server_id,
            instance_id=instance_id,
            capabilities=OURS,
            proof=proof,
            token=token,
            devices=devices,
        )

    def refuse(
        self,
        result: pb.ConnectResponse.Result,
        *,
        server_id: str = "",
        refusal: pb.ConnectResponse.Refusal = pb.ConnectResponse.NO_REFUSAL,
    ) -> None:
        """Answer a CONNECT with an error; `server_id`: who we are, where another was expected; `refusal`: why."""
        self.session.refuse(result, server_id=server_id, refusal=refusal)

    @property
    def is_deciding(self) -> bool:
        """Whether the other side asked to be connected and has no answer yet."""
        return self.session.state is State.DECIDING

    def decided(self) -> None:
        """Go on: the answer to CONNECT was given after `connect_requested` had returned."""
        self._perform()

    def set_ping_timeout(self, ping_timeout: float) -> None:
        """Servers are asked sooner than clients (seconds)."""
        self.session.timeouts = Timeouts(self.session.timeouts.connect, ping_timeout)

    def probe(self) -> None:
        """Ask the other side for a sign of life now."""
        self.session.probe(self._now())
        self._perform()

    def note_alive(self) -> None:
        """A datagram of this client's is a sign of life."""
        self.session.note_alive(self._now())

    def limit_unsent(self, most: int) -> None:
        """Have no room for more (`writable`) once so many bytes wait to be sent, here or in the system."""
        if self._transport is not None:
            self._transport.set_write_buffer_limits(high=most)
        if (sock := self._socket()) is not None:
            tcp.limit_unsent(sock, most)

    def take_back(self, raw: bytes) -> bool:
        """Do not write a message that was sent here and waits for its turn; False: it may have been written."""
        return self._pacing is not None and self._pacing.take_back(raw)

    def hang_up(self, reason: pb.HangUp.Reason = pb.HangUp.EXIT) -> None:
        """Send what waits and HANGUP, and close."""
        self.session.hang_up(reason)
        self._perform()

    def abort(self) -> None:
        """Cut the connection, with all that waits to be written."""
        if self._transport is not None:
            self._transport.abort()
        elif self._is_lost:
            self._drop_backlog()
            self._is_lost = False
            self._end()

    def abandon(self) -> None:
        """End a link whose dial was given up: the loop may close its connection without a word to it."""
        self.abort()
        if self._transport is not None:
            self.connection_lost(None)

    async def wait_open(self) -> None:
        """Wait for the handshake of a link that we dialled.

        Raises:
            HandshakeTimeout: no answer within `connect_timeout`.
            PeerUnreachable: refused, or gone before it answered.

        """
        self._opening = self._opening or self._loop.create_future()
        self._settle()
        try:
            await self._opening
        finally:
            self._opening = None  # an error in it would hold this frame, and so the link

    # Most links are waited for by nobody: the futures are made when somebody does.

    @property
    def closed(self) -> asyncio.Future[Closed]:
        """Done once it has ended."""
        self._closed = self._closed or self._loop.create_future()
        self._settle()
        return self._closed

    @property
    def disconnected(self) -> asyncio.Future[None]:
        """Done once the connection itself is gone."""
        self._gone = self._gone or self._loop.create_future()
        self._settle()
        return self._gone

    def _settle(self) -> None:
        """Tell those who wait what is certain by now."""
        if self.was_open:
            _tell(self._opening, None)
        if self.end is not None:
            _tell(self._opening, _why_not(self.end, is_plain=self._security is None))
            _tell(self._closed, self.end)
        if self._is_gone:
            _tell(self._gone, None)

    # TLS -------------------------------------------------------------------------------

    def protocol(self) -> asyncio.Protocol:
        """The protocol of its connection: the link itself, or what encrypts for it."""
        return self if self._security is None else self._security.protocol(self)

    def encrypt(self, transport: SecureTransport) -> None:
        """The first byte that came is one of TLS: write by way of this transport from now on."""
        self._transport = transport
        self._is_plain_tcp = False

    def secured(self, transport: SecureTransport) -> None:
        """TLS stands; the acceptor greets."""
        self.assurance = ENCRYPTED
        if isinstance(self._security, Acceptor):
            hello, self.channel = self._security.greet(transport)
            self.send(hello)

    def insecure(self, error: InsecureLink) -> None:
        """TLS did not come to be, or broke, or is missing: close."""
        self.session.fail(error)
        self._perform()

    def _greeted(self, hello: pb.Hello) -> None:
        """The acceptor proved its key: send our CONNECT, if it is the one, and if the link is still wanted."""
        if not isinstance(self._security, Credentials) or not self._is_wanted():
            self.session.hang_up()
            return
        try:
            greeting = self._security.greeted(cast("SecureTransport", self._transport), hello)
        except PeerUnproven as error:
            self._owner.message_rejected(self, error.reason, str(error))
            self.session.distrust(str(error))
        else:
            self.channel, self.assurance = greeting.channel, greeting.assurance
            self.session.prove(greeting.connect)

    # What asyncio calls --------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin: the dialling side's CONNECT goes out."""
        self._timer = Timer(self._timer_fired)
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=SEND_LIMIT)
        if (sock := self._socket()) is not None:
            tcp.prepare(sock, self._loop, self.remote_host)
            self._descriptor = sock.fileno()
            self._is_plain_tcp = transport.get_extra_info("sslcontext") is None
            self._guard_port()
        self._track.add(self)
        if self._counts is not None and not self.dialled:
            self._counts(self, "connections", 0)
        if not self._is_wanted():
            self.session.frames_to_send()  # our CONNECT is not for this link any more
            self.session.hang_up()
        self._perform()

    def _take_frames(self, frames: list[Frame]) -> None:
        self.session.queue(frames)
        self._perform()

    def connection_lost(self, exc: Exception | None) -> None:
        """End: whatever the reason, the session is told, once."""
        if self._is_gone:
            return
        if isinstance(exc, TimeoutError):  # what we sent did not arrive for too long
            tcp.segments_of(self._loop).stalled(self.remote_host, self._now())
        self._transport = None
        self._descriptor = -1
        if self._last_resort is not None:
            self._last_resort.cancel()
        self._is_gone = True
        self._settle()
        if self._has_backlog and self.is_open and self._resting is None:
            self._is_lost = self._is_paused = True  # what came before is handled in its turn
            self._wait()
        else:
            self._end()

    def _end(self) -> None:
        self._drop_backlog()
        self.session.receive_eof()
        self._perform()
        self._track.discard(self)
        self._settle()
        self._let_go()

    def _let_go(self) -> None:
        """Hold nothing that holds us: an ended link goes at once, the collector looks at what is old too late."""
        if self._timer is not None:
            self._timer.close()
        self._is_wanted = _never
        self._security = None
        if self._pacing is not None:
            self._pacing.close()
            self._pacing = self._translate = None
        self.session.close()
        self.close()

    def pause_writing(self) -> None:
        """The other side does not read: stop writing to it."""
        self._is_paused = True

    def resume_writing(self) -> None:
        """The other side reads again."""
        self._is_paused = False
        self._tell_writable()
        self._have_room()

    def _have_room(self) -> None:
        """Listen again to a side that was not listened to because it did not read."""
        self._answered = 0
        if self._has_backlog and self._transport is not None:
            self._wait()

    def _tell_writable(self) -> None:
        if self.is_open and self.writable:
            self._owner.link_writable(self)

    # Effects -----------------------------------------------------------------------------

    def _perform(self) -> None:
        """Take all events, then write what the session has to say, then set the timer."""
        if self._is_performing:  # an effect led back here: whoever performs goes on with it
            self._again = True
            return
        self._is_performing = True
        try:
            self._take_events()
        finally:
            self._is_performing = self._again = False
        self._is_plain = self.session.is_plain
        self._write_session()
        if self.session.has_more:
            self._wait()
        if self._timer is not None:
            self._timer.set(self.session.next_timeout())

    def _take_events(self) -> None:
        """Until there are none, or this link had its turn."""
        while True:
            event = self.session.next_event(CONTROL_FRAMES)
            if event is not None:
                self._take(event)
            self._write_session()
            if self.session.pings:
                pings, self.session.pings = self.session.pings, 0
                if self._counts is not None:
                    self._counts(self, "pings", pings)
            if not self.session.has_more or (not self.session.has_events and self.had_its_turn):
                return

    def _take(self, event: Event) -> None:
        match event:
            case MessagesReceived(frames):
                self._pass_on(frames)
            case Rejected(reason, detail):
                self._owner.message_rejected(self, reason, detail)
            case Greeted(hello):
                self._greeted(hello)
            case ConnectRequested(identity):
                self._owner.connect_requested(self, identity)
            case Opened():
                self._open()
            case Closed():
                self._close(event)

    def _failed(self, error: BaseException) -> bool:
        if not isinstance(error, RemoteProtocolError):
            return False
        self.session.fail(error)
        self._again = True
        return True

    def _open(self) -> None:
        self.was_open = True
        self._write_session()
        self._settle()
        self._owner.link_opened(self)

    def _close(self, closed: Closed) -> None:
        """Write the last words, close, and tell the owner."""
        if self._timer is not None:
            self._timer.cancel()
        self._write_session()
        if self._transport is not None:
            self._note_stall(closed)
            self._close_in_order(closed)
            self._last_resort = self._loop.call_later(LINGER, self._transport.abort)
        if self._pacing is not None:
            self._stop_reading()
            self._pacing.end(self._part)
        else:
            self._part()
        self._drop_backlog()
        self.end = self.end or closed
        self._settle()
        self._owner.link_closed(self, closed)

    def _part(self) -> None:
        """Write what there is, and close the connection."""
        with contextlib.suppress(RuntimeError):  # uvloop: it is closed, and we hear of that next
            self.flush()
        if self._transport is not None:
            self._descriptor = -1
            self._transport.close()

    def _close_in_order(self, closed: Closed) -> None:
        """Have our last words arrive; who is silent does not read them, and would keep our port from us."""
        is_silent = closed.by_us and closed.reason == "timeout"
        if self._resets and not is_silent and (sock := self._socket()) is not None:
            tcp.close_in_order(sock)

    def _note_stall(self, closed: Closed) -> None:
        """Where a link ended by silence because something could not pass, the next has smaller packets."""
        if closed.reason == "timeout" and self.was_open and self._descriptor >= 0:
            unarrived = self._buffered() + tcp.unarrived(self._descriptor)
            if may_have_stalled(unarrived, by_us=closed.by_us):
                tcp.segments_of(self._loop).stalled(self.remote_host, self._now())

    def _write_session(self) -> None:
        """Queue what the session has to say, in order with what the owner sent."""
        for frame in self.session.frames_to_send():
            self.answer(frame)

    def _flushed(self, was_full: bool) -> None:
        if self._is_paused and self.is_open and self._buffered() > BUFFER_LIMIT:
            self.hang_up(pb.HangUp.TIMEOUT)
        elif was_full and not self._is_paused:
            self._tell_writable()
            self._have_room()

    def _buffered(self) -> int:
        return self._transport.get_write_buffer_size() if self._transport is not None else 0

    def _timer_fired(self) -> None:
        if self._has_backlog and not self._is_full:
            self.session.note_alive(self._now())  # something came, and waits for its turn
        try:
            self.session.handle_timeout(self._now())
            self._perform()
        except Exception:
            self._break_off()
            raise


def _never() -> bool:
    """A link that is over is wanted by nobody."""
    return False


def _tell(future: asyncio.Future[Any] | None, outcome: object) -> None:
    """Tell those who wait; nobody has to."""
    if future is None or future.done():
        return
    if isinstance(outcome, Exception):
        future.set_exception(outcome)
        future.exception()
    else:
        future.set_result(outcome)


def _why_not(closed: Closed, *, is_plain: bool) -> PeerError:
    """Why a link that we dialled, perhaps in plain, was never open."""
    if closed.reason == "handshake_timeout":
        return HandshakeTimeout("no answer to CONNECT")
    if closed.reason in ("unproven", "insecure"):
        return PeerUnproven(closed.detail)
    text = f"closed before it was connected: {closed.reason}"
    if closed.reason == "unknown" and is_plain:
        text += "; perhaps its security.mode is strict, and it takes no server without a key"
    return PeerRefused(text, closed.refusal) if closed.reason == "refused" else PeerUnreachable(text)
