"""The state machine of one link, the same for clients and servers, for who dials and who accepts.

No I/O and no clock: bytes go in with `receive_data`, `next_event` tells what they mean, `data_to_send` is
what must go out; time comes in as an argument (seconds, monotonic) and `next_timeout` says when to call
`handle_timeout`. The rules are those of protocol.md, "How a link lives", as a table.
"""

from __future__ import annotations

import sys
from collections import deque
from dataclasses import dataclass
from typing import Any, Final, TypedDict

from parley.shared.addresses import User
from parley.shared.errors import (
    FrameTooLarge,
    InsecureLink,
    LocalProtocolError,
    MalformedMessage,
    RemoteProtocolError,
)
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
from parley.shared.link.transitions import TRANSITIONS, Effect, Input, State
from parley.shared.trust.devices import LONGEST
from parley.shared.wire.framing import Frame, FrameReader
from parley.shared.wire.messages import decode, encode, pb

HangUp = pb.HangUp
Result = pb.ConnectResponse

EARLY_LIMIT: Final = 64 * 1024
"""Bytes of payload that a side may send before it is connected: nobody knows yet who it is."""
FRAME: Final = 128
"""Bytes of memory that a frame takes, at least."""
RUN: Final = 256
"""Messages that are told together at most."""
PING_GRACE: Final = 0.5
"""Seconds beyond twice the timeout before a silent side is given up: an answer may be on its way."""


_INPUTS: Final[dict[str, Input]] = {
    "HELLO": Input.HELLO,
    "CONNECT_CLIENT": Input.CONNECT,
    "CONNECT_SERVER": Input.CONNECT,
    "CONNECTED": Input.CONNECTED,
    "HANGUP": Input.HANGUP,
    "PING": Input.PING,
    "PONG": Input.PONG,
    "UNSUPPORTED_MESSAGE": Input.UNSUPPORTED,
}

_CONTROL: Final = frozenset(_INPUTS)

_PONG: Final = encode("PONG")

_UNDECIDED: Final = (State.DECIDING, State.PROVING)
"""Nothing is told of such a link until our side has decided."""

_REASONS: Final = {
    HangUp.UNKNOWN_REASON: "unknown",
    HangUp.EXIT: "exit",
    HangUp.TIMEOUT: "timeout",
    HangUp.PAYLOAD_LIMIT_EXCEEDED: "too_large",
    HangUp.MESSAGE_MALFORMED: "malformed",
}


class _Terms(TypedDict):
    """The part of an Identity that a CONNECT's Terms and KeyProof tell."""

    expects: str
    capabilities: int
    key: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds: until the handshake must be over; of silence until PING."""

    connect: float
    ping: float


class Session:
    """One link's state. `hello` is the CONNECT frame of the side that dials, None for the side that accepts.

    `is_securing`: we dial with TLS, and our CONNECT is made when the acceptor's HELLO is there.
    """

    def __init__(
        self,
        *,
        timeouts: Timeouts,
        limit: int,
        now: float,
        hello: bytes | None = None,
        is_securing: bool = False,
    ) -> None:
        self.identity = Identity()
        self.rtt: float | None = None
        """Seconds from the last PING to its PONG."""
        self.timeouts = timeouts
        self._state = State.SECURING if is_securing else State.ACCEPTED if hello is None else State.DIALLED
        self.dialled = is_securing or hello is not None
        self.reader = FrameReader(limit, _CONTROL)
        self.reader.allowed = min(limit, EARLY_LIMIT)
        self._limit = limit
        self.reader.fed_at = now
        self._frames: deque[Frame] = deque()
        self._events: list[Event] = []  # one or two at a time, mostly none: a deque takes 700 bytes for none
        self._out: list[bytes] = [] if hello is None else [hello]
        self._began = now
        self._ping_sent: float | None = None
        self.pings = 0
        """PINGs that were answered, for who counts them."""

    def __repr__(self) -> str:
        return f"<Session {self._state.name} with {self.identity.name or 'nobody yet'}>"

    @property
    def state(self) -> State:
        """Where the link stands."""
        return self._state

    @property
    def is_open(self) -> bool:
        """Whether messages may be sent."""
        return self._state is State.OPEN

    @property
    def is_closed(self) -> bool:
        """Whether it is over."""
        return self._state is State.CLOSED

    def is_silent(self, now: float) -> bool:
        """Whether nothing came for `ping_timeout`."""
        return now - self.reader.fed_at >= self.timeouts.ping

    # In ------------------------------------------------------------------------

    def receive_data(self, data: bytes, now: float) -> list[Frame]:
        """Take what was read; then take events until `next_event` returns None. The frames, for who counts them."""
        self.reader.fed_at = now
        frames = self.reader.feed(data)
        self.queue(frames)
        return frames

    def queue(self, frames: list[Frame]) -> None:
        """Take frames, to be told as events."""
        self._frames.extend(frames)

    @property
    def held(self) -> int:
        """Bytes that were read and not handled, about: a frame is counted as a short one."""
        return self.reader.buffered + FRAME * len(self._frames)

    def put_back(self, frames: list[Frame]) -> None:
        """Take frames that were told and had to wait: they are told again, before all others."""
        self._frames.extendleft(reversed(frames))

    @property
    def has_events(self) -> bool:
        """Whether something happened that was not told yet."""
        return bool(self._events)

    @property
    def has_more(self) -> bool:
        """Whether something was read that was not handled yet, and can be."""
        if self._state in _UNDECIDED or self._state is State.CLOSED:
            return bool(self._events)
        return bool(self._events or self._frames) or self.reader.error is not None

    @property
    def is_plain(self) -> bool:
        """Whether the link is open and nothing waits to be told: then messages need not be queued."""
        return self._state is State.OPEN and not self._frames and not self._events and self.reader.error is None

    def receive_eof(self) -> None:
        """The connection ended or broke without a HANGUP."""
        self._step(Input.LOST, None)

    def close(self) -> None:
        """Let go of what was read and not handled: nothing more happens."""
        self._frames.clear()
        self.reader.close()

    def note_alive(self, now: float) -> None:
        """Anything received is a sign of life, a client's datagrams too."""
        self.reader.fed_at = now

    def next_event(self, most: int = sys.maxsize) -> Event | None:
        """The next event, or None; a link of which our side has to decide tells nothing until then.

        No more than `most` frames are looked at: whether there are others is told by `has_more`.
        """
        while not self._events and self._state not in (*_UNDECIDED, State.CLOSED) and most > 0:
            if not self._take_frames():
                break
            most -= 1
        return self._events.pop(0) if self._events else None

    def _take_frames(self) -> bool:
        """Advance by one control frame or one run of messages; False when there is nothing left."""
        if not self._frames:
            if self.reader.error is None:
                return False
            self._step(Input.FAULT, self.reader.error)
            return True
        if self._state is State.OPEN and self._frames[0].name not in _INPUTS:
            self._events.append(MessagesReceived(self._take_run()))
            return True
        frame = self._frames.popleft()
        try:
            self._receive_frame(frame)
        except RemoteProtocolError as error:
            self._step(Input.FAULT, error)
        return True

    def _take_run(self) -> list[Frame]:
        """The frames up to the next control frame, a RUN of them at most."""
        frames = self._frames
        run: list[Frame] = []
        while frames and len(run) < RUN and frames[0].name not in _INPUTS:
            run.append(frames.popleft())
        return run

    def _receive_frame(self, frame: Frame) -> None:
        """Step with one frame."""
        what = _INPUTS.get(frame.name, Input.MESSAGE)
        if what is Input.MESSAGE and frame.name == "JOIN_FEDERATION":
            what = Input.JOIN
        if what is Input.CONNECTED and decode(frame, pb.ConnectResponse).result != Result.CONNECTED:
            what = Input.REFUSED
        self._step(what, frame)

    # Our decisions ---------------------------------------------------------------

    def prove(self, connect: bytes) -> None:
        """The acceptor is the one that is expected: send this CONNECT, with our proof."""
        self._step(Input.PROVE, connect)

    def distrust(self, why: str) -> None:
        """The acceptor is not the one that is expected: close."""
        self._step(Input.DISTRUST, why)

    def accept(
        self,
        *,
        server_id: str = "",
        instance_id: str = "",
        capabilities: int = 0,
        proof: pb.Proof | None = None,
        token: pb.SessionToken | None = None,
        devices: pb.DeviceList | None = None,
    ) -> None:
        """Answer CONNECTED; our additions tell who we are, and what we can, and a client its session."""
        answer = pb.ConnectResponse(
            result=Result.CONNECTED,
            serverId=server_id,
            instanceId=instance_id,
            proof=proof,
            token=token,
            devices=devices,
        )
        if capabilities:
            answer.terms.capabilities = capabilities
        self._step(Input.ACCEPT, answer)

    def refuse(
        self,
        result: pb.ConnectResponse.Result,
        *,
        server_id: str = "",
        refusal: pb.ConnectResponse.Refusal = Result.NO_REFUSAL,
    ) -> None:
        """Answer CONNECTED with an error; the link stays as it was, unconnected.

        `server_id` tells who we are where the dialler expected another; `refusal` why a client is not let in.
        """
        self._step(Input.REFUSE, pb.ConnectResponse(result=result, serverId=server_id, refusal=refusal))

    def hang_up(self, reason: pb.HangUp.Reason = HangUp.EXIT) -> None:
        """Send HANGUP and be closed; nothing happens on a link that is closed already."""
        self._step(Input.HANG_UP, reason)

    def fail(self, error: RemoteProtocolError) -> None:
        """A message that was passed on turned out to be malformed."""
        self._step(Input.FAULT, error)

    def probe(self, now: float) -> None:
        """Send PING now, so that a dead link is noticed."""
        if self.is_open and not self._waits_for_pong():
            self._ping(now)

    # Time ------------------------------------------------------------------------

    def next_timeout(self) -> float | None:
        """When `handle_timeout` must be called, or None."""
        if self._state is State.CLOSED:
            return None
        if self._state is not State.OPEN:
            return self._began + self.timeouts.connect
        if self._waits_for_pong():
            return max(self.reader.fed_at + self.timeouts.ping, self._ping_sent or 0.0) + self._patience
        return self.reader.fed_at + self.timeouts.ping

    @property
    def _patience(self) -> float:
        """Seconds from our PING to giving up."""
        return self.timeouts.ping + min(PING_GRACE, self.timeouts.ping)

    def _waits_for_pong(self) -> bool:
        """Whether nothing came since our PING."""
        return self._ping_sent is not None and self.reader.fed_at < self._ping_sent

    def handle_timeout(self, now: float) -> None:
        """Do what is due at `now`.

        A timer that comes very late tells that we ourselves were stopped, not that the other side is
        dead: what it sent may wait to be read. It is then asked once more.
        """
        due = self.next_timeout()
        if due is None or now < due:
            return
        if self._state is not State.OPEN:
            self._step(Input.HANDSHAKE_EXPIRED, None)
        elif not self._waits_for_pong() or now - due > self.timeouts.ping / 2:
            self._step(Input.SILENT, now)
        else:
            self._step(Input.DEAD, None)

    # Out ---------------------------------------------------------------------------

    def frames_to_send(self) -> list[bytes]:
        """The frames that must be written now; they are handed out once."""
        out, self._out = self._out, []
        return out

    def data_to_send(self) -> bytes:
        """The same as the bytes that they are."""
        return b"".join(self.frames_to_send())

    # The effects of TRANSITIONS ------------------------------------------------------

    def _step(self, what: Input, detail: object) -> None:
        """Make one transition of the table."""
        entry = TRANSITIONS[self._state].get(what)
        if entry is None:
            raise LocalProtocolError(f"{what.name} cannot happen to a link that is {self._state.name}")
        self._state, effect = entry
        _EFFECTS[effect](self, detail)

    def _ignore(self, _detail: object) -> None:
        pass

    def _greet(self, frame: Frame) -> None:
        self._events.append(Greeted(decode(frame, pb.Hello)))

    def _say_connect(self, connect: bytes) -> None:
        self._out.append(connect)

    def _say_unproven(self, why: str) -> None:
        self._close(HangUp.EXIT, "unproven", why)

    def _ask(self, frame: Frame) -> None:
        self.identity = _identify(frame)
        self._events.append(ConnectRequested(self.identity))

    def _admit(self, answer: pb.ConnectResponse) -> None:
        self.reader.allowed = self._limit
        self._out.append(encode("CONNECTED", answer))
        self._events.append(Opened(self.identity))

    def _deny(self, answer: pb.ConnectResponse) -> None:
        self._out.append(encode("CONNECTED", answer))
        self.identity = Identity()

    def _deny_second(self, frame: Frame) -> None:
        _identify(frame)
        self._out.append(encode("CONNECTED", pb.ConnectResponse(result=Result.IS_ALREADY_CONNECTED_ERROR)))
        self._events.append(Rejected("second_connect", frame.name))

    def _begin(self, frame: Frame) -> None:
        answer = decode(frame, pb.ConnectResponse)
        self.identity = _answerer(answer)
        self.reader.allowed = self._limit
        self._events.append(Opened(self.identity))

    def _was_refused(self, frame: Frame) -> None:
        self._out.append(encode("HANGUP", pb.HangUp(reason=HangUp.EXIT)))
        answer = decode(frame, pb.ConnectResponse)
        self.identity = _answerer(answer)
        self._events.append(Closed("refused", by_us=True, result=answer.result, refusal=answer.refusal))

    def _pong(self, frame: Frame) -> None:
        if frame.payload:
            decode(frame, pb.Ping)
        self._out.append(_PONG)
        self.pings += 1

    def _measure(self, frame: Frame) -> None:
        decode(frame, pb.Pong)
        if self._ping_sent is not None:
            self.rtt = self.reader.fed_at - self._ping_sent
            self._ping_sent = None

    def _pass_on(self, frame: Frame) -> None:
        self._events.append(MessagesReceived([frame]))

    def _not_supported(self, frame: Frame) -> None:
        self._out.append(unsupported(frame.name))
        self._events.append(Rejected("unexpected", frame.name))

    def _note_unsupported(self, frame: Frame) -> None:
        name = decode(frame, pb.UnsupportedMessage).message_name
        self._events.append(Rejected("unsupported_there", name[:64]))

    def _ping(self, now: float) -> None:
        self._out.append(encode("PING"))
        self._ping_sent = now

    def _hung_up(self, frame: Frame) -> None:
        try:
            reason = _REASONS.get(decode(frame, pb.HangUp).reason, "unknown")
        except MalformedMessage:
            reason = "unknown"
        self._events.append(Closed(reason, by_us=False))

    def _say_exit(self, reason: pb.HangUp.Reason) -> None:
        self._close(reason, _REASONS[reason])

    def _say_timeout(self, _detail: object) -> None:
        self._close(HangUp.TIMEOUT, "timeout")

    def _say_handshake_timeout(self, _detail: object) -> None:
        self._close(HangUp.TIMEOUT, "handshake_timeout")

    def _say_fault(self, error: RemoteProtocolError) -> None:
        too_large = isinstance(error, FrameTooLarge)
        reason = HangUp.PAYLOAD_LIMIT_EXCEEDED if too_large else HangUp.MESSAGE_MALFORMED
        self._events.append(Rejected(error.reason, str(error)))
        if isinstance(error, InsecureLink):
            self._close(HangUp.UNKNOWN_REASON, "insecure", str(error))
        else:
            self._close(reason, error.reason)

    def _close(self, reason: pb.HangUp.Reason, word: str, detail: str = "") -> None:
        self._out.append(encode("HANGUP", pb.HangUp(reason=reason)))
        self._events.append(Closed(word, by_us=True, detail=detail))

    def _lose(self, _detail: object) -> None:
        self._events.append(Closed("lost", by_us=False))


_EFFECTS: Final[dict[Effect, Any]] = {effect: getattr(Session, f"_{effect.name.lower()}") for effect in Effect}


def unsupported(name: str) -> bytes:
    """The answer to a message that is not known, or not here, or not now."""
    return encode("UNSUPPORTED_MESSAGE", pb.UnsupportedMessage(message_name=name))


def _identify(frame: Frame) -> Identity:
    """The identity of a side that asks to be connected; MalformedMessage where the payload does not parse."""
    if frame.name == "CONNECT_CLIENT":
        client = decode(frame, pb.ConnectClient)
        if not 0 <= client.udpPort <= 65535:  # noqa: PLR2004 - the range of ports
            raise MalformedMessage(f"{client.udpPort} is no port")
        return Identity(
            user=User.of(client.user),
            udp_port=client.udpPort,
            events_on_link=client.eventsOnLink and bool(client.terms.capabilities),
            window=client.window if client.terms.capabilities else 0,
            token=client.token if client.HasField("token") else None,
            password=client.password.text,
            is_pairing=client.pairing,
            device_name=client.deviceName[:LONGEST],
            **_terms(client.terms, client.identity),
        )
    server = decode(frame, pb.ConnectServer)
    return Identity(
        server_id=server.serverId,
        features=tuple(server.features),
        endpoints=tuple(server.endpoints),
        instance_id=server.instanceId,
        nonce=server.proof.nonce,
        membership=server.membership if server.HasField("membership") else None,
        **_terms(server.terms, server.identity),
    )


def _answerer(answer: pb.ConnectResponse) -> Identity:
    """The identity of the side that answers our CONNECT: an existing program says nothing of itself."""
    return Identity(
        server_id=answer.serverId,
        instance_id=answer.instanceId,
        capabilities=answer.terms.capabilities,
        nonce=answer.proof.nonce,
        proof=answer.proof.proof,
        token=answer.token if answer.HasField("token") else None,
        devices=answer.devices if answer.HasField("devices") else None,
    )


def _terms(terms: pb.Terms, proof: pb.KeyProof) -> _Terms:
    return {
        "expects": terms.serverId,
        "capabilities": terms.capabilities,
        "key": proof.key,
        "signature": proof.signature,
    }
