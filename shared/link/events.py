"""The events that a session tells its owner: who is there, and what happened."""

from __future__ import annotations

from dataclasses import dataclass, field

from parley.shared.addresses import User
from parley.shared.wire.framing import Frame
from parley.shared.wire.messages import pb


@dataclass(frozen=True, slots=True)
class Identity:
    """The other end of a link, from its CONNECT_CLIENT, CONNECT_SERVER or CONNECTED."""

    user: User | None = None
    udp_port: int = 0
    events_on_link: bool = False
    """Whether a client has its events come and go over this link, and not in datagrams."""
    window: int = 0
    """How many messages a client wants unacknowledged on their way to it; 0: it does not mind."""
    server_id: str = ""
    features: tuple[str, ...] = ()
    endpoints: tuple[pb.Endpoint, ...] = ()
    instance_id: str = ""
    expects: str = ""
    """Which server the dialler means to reach; empty: whoever is there."""
    capabilities: int = 0
    """The side's abilities beyond the fixed protocol: capabilities.py. 0: no Parley, or an old one."""
    nonce: bytes = b""
    proof: bytes = b""
    """Of a process that says to be of our node: proofs.py."""
    membership: pb.Membership | None = None
    """The place in a federation that a server shows."""
    key: bytes = b""
    signature: bytes = b""
    """The key that it says to have, and its proof of that: of its CONNECT, shared/trust/proofs.py."""
    token: pb.SessionToken | None = None
    """The session token that a client shows, or that its home server gives it: shared/trust/tokens.py."""
    password: str = field(default="", repr=False)
    is_pairing: bool = False
    """Whether a client wants nothing but to be paired with another device of its user."""
    device_name: str = ""
    """Of a client's device, for people."""
    devices: pb.DeviceList | None = None
    """The devices of our user, as the home server tells a client in CONNECTED."""

    @property
    def is_client(self) -> bool:
        """Whether a user's client, and not a server, is there."""
        return self.user is not None

    @property
    def name(self) -> str:
        """For people: USER@SERVER or the serverId."""
        return str(self.user) if self.user is not None else self.server_id

    @property
    def is_parley(self) -> bool:
        """Whether that is a Parley: existing programs send no field from 100 up."""
        return bool(self.capabilities if self.is_client else self.instance_id)


@dataclass(frozen=True, slots=True)
class Greeted:
    """The acceptor's HELLO came over TLS: the owner calls `prove` or `distrust` before anything else happens."""

    hello: pb.Hello


@dataclass(frozen=True, slots=True)
class ConnectRequested:
    """The other side wants in: the owner calls `accept` or `refuse` before it takes the next event."""

    identity: Identity


@dataclass(frozen=True, slots=True)
class Opened:
    """The handshake is over; `identity` is who answered it or asked for it."""

    identity: Identity


@dataclass(frozen=True, slots=True)
class MessagesReceived:
    """A run of messages for the feature, in order."""

    frames: list[Frame]


@dataclass(frozen=True, slots=True)
class Rejected:
    """Something was received that may not be; `reason` is a short constant."""

    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class Closed:
    """The link is over. `reason`: one of CLOSES (shared/telemetry/metrics.py).

    `by_us` tells who ended it; `result` is the answer's when CONNECT was refused.
    """

    reason: str
    by_us: bool
    result: int = pb.ConnectResponse.CONNECTED
    detail: str = ""
    """One sentence, where the reason says too little."""
    refusal: int = pb.ConnectResponse.NO_REFUSAL
    """Why CONNECT was refused, as far as the acceptor says."""


Event = Greeted | ConnectRequested | Opened | MessagesReceived | Rejected | Closed
