"""Sessions without a socket: one alone, or two joined so that what one sends the other reads."""

from __future__ import annotations

from collections.abc import Callable

from parley.shared.addresses import User
from parley.shared.link.events import Closed, ConnectRequested, Event, Identity, MessagesReceived
from parley.shared.link.session import Session, Timeouts
from parley.shared.wire.framing import Frame, FrameReader
from parley.shared.wire.messages import encode, pb

ALICE = User("alice", "alpha")
HELLO_CLIENT = encode("CONNECT_CLIENT", pb.ConnectClient(user=ALICE.to_pb()))
HELLO_SERVER = encode("CONNECT_SERVER", pb.ConnectServer(serverId="beta", features=["MESSAGES"]))
ACCEPTED = encode("CONNECTED", pb.ConnectResponse(result=pb.ConnectResponse.CONNECTED))
ALREADY = encode("CONNECTED", pb.ConnectResponse(result=pb.ConnectResponse.IS_ALREADY_CONNECTED_ERROR))
EXIT = encode("HANGUP", pb.HangUp(reason=pb.HangUp.EXIT))
TIMEOUT = encode("HANGUP", pb.HangUp(reason=pb.HangUp.TIMEOUT))
TOO_LARGE = encode("HANGUP", pb.HangUp(reason=pb.HangUp.PAYLOAD_LIMIT_EXCEEDED))
MALFORMED = encode("HANGUP", pb.HangUp(reason=pb.HangUp.MESSAGE_MALFORMED))
PING = encode("PING")
PONG = encode("PONG")

CONNECT_TIMEOUT = 10.0
PING_TIMEOUT = 5.0
LIMIT = 4096

Decide = Callable[[Session, Identity], None]


def text(number: int) -> bytes:
    """A MESSAGE frame that can be told from others."""
    return encode("MESSAGE", pb.ChatMessage(messageSnowflake=number))


def unsupported(name: str) -> bytes:
    return encode("UNSUPPORTED_MESSAGE", pb.UnsupportedMessage(message_name=name))


def accept(session: Session, _identity: Identity) -> None:
    session.accept()


def refuse(session: Session, _identity: Identity) -> None:
    session.refuse(pb.ConnectResponse.IS_ALREADY_CONNECTED_ERROR)


def raw_frames(data: bytes) -> list[bytes]:
    """Cut what a session sent into its frames; it never sends anything else."""
    reader = FrameReader(1 << 30)
    frames = [frame.raw for frame in reader.feed(data)]
    assert reader.error is None
    assert reader.buffered == 0
    return frames


def names(frames: list[Frame]) -> list[str]:
    return [frame.name for frame in frames]


class Side:
    """A session, and an owner that decides at once and writes down what it is told."""

    def __init__(
        self, hello: bytes | None = None, *, decide: Decide = accept, now: float = 0.0, is_securing: bool = False
    ) -> None:
        timeouts = Timeouts(CONNECT_TIMEOUT, PING_TIMEOUT)
        self.session = Session(timeouts=timeouts, limit=LIMIT, now=now, hello=hello, is_securing=is_securing)
        self.now = now
        self.decide = decide
        self.events: list[Event] = []
        self.received: list[bytes] = []
        """Every message, as it came."""

    @classmethod
    def open(cls, *, dialled: bool = False, now: float = 0.0) -> Side:
        """A session whose handshake is over, with nothing left to send or tell."""
        side = cls(HELLO_CLIENT if dialled else None, now=now)
        side.feed(ACCEPTED if dialled else HELLO_CLIENT)
        assert side.session.is_open
        side.events.clear()
        side.sent()
        return side

    def feed(self, data: bytes, now: float | None = None) -> list[Event]:
        """Read data, now or at another time, and take all events."""
        self.now = self.now if now is None else now
        self.session.receive_data(data, self.now)
        return self.take()

    def wait(self, now: float) -> list[Event]:
        """Let the timer fire at a time."""
        self.now = now
        self.session.handle_timeout(now)
        return self.take()

    def take(self) -> list[Event]:
        """All events that there are; those before are in `events` with them."""
        taken: list[Event] = []
        while (event := self.session.next_event()) is not None:
            taken.append(event)
            if isinstance(event, ConnectRequested):
                self.decide(self.session, event.identity)
            elif isinstance(event, MessagesReceived):
                self.received += [frame.raw for frame in event.frames]
        self.events += taken
        return taken

    def sent(self) -> list[bytes]:
        """The frames that went out since the last time."""
        return raw_frames(self.session.data_to_send())

    @property
    def closed(self) -> Closed | None:
        """How it ended, or None."""
        ends = [event for event in self.events if isinstance(event, Closed)]
        assert len(ends) <= 1, f"closed more than once: {ends}"
        return ends[0] if ends else None


class Joined:
    """A dialler and a listener, and the bytes on their way in each direction."""

    def __init__(self, hello: bytes = HELLO_CLIENT, *, decide: Decide = accept) -> None:
        self.dialler = Side(hello)
        self.listener = Side(decide=decide)
        self.wires = {self.dialler: bytearray(), self.listener: bytearray()}
        """What is on its way to each side."""

    def other(self, side: Side) -> Side:
        return self.listener if side is self.dialler else self.dialler

    def flush(self, side: Side) -> None:
        """Put what a side has to say on the wire."""
        self.wires[self.other(side)] += side.session.data_to_send()

    def deliver(self, side: Side, size: int | None = None) -> None:
        """Let a side read up to `size` bytes of what is on its way, and answer."""
        wire = self.wires[side]
        data = bytes(wire[:size])
        del wire[: len(data)]
        if data:
            side.feed(data)
            self.flush(side)

    def run(self) -> None:
        """Go on until nothing is on its way any more."""
        for side in self.wires:
            self.flush(side)
        while any(self.wires.values()):
            for side in self.wires:
                self.deliver(side)

    def connect(self) -> None:
        """Shake hands, and forget that it happened."""
        self.run()
        for side in self.wires:
            assert side.session.is_open
            side.events.clear()
