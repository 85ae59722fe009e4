"""The events that a session tells its owner: who is there, and what happened."""

from __future__ import annotations

from dataclasses import dataclass

from parley.shared.addresses import User
from parley.shared.wire.framing import Frame
from parley.shared.wire.messages import pb


@dataclass(frozen=True, slots=True)
class Identity:
    """The other end of a link, from its CONNECT_CLIENT, CONNECT_SERVER or CONNECTED."""

    user: User | None = None
    udp_port: int = 0
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
    """The link is over. `reason`: exit, timeout, handshake_timeout, refused, malformed, too_large, lost, ended.

    `by_us` tells who ended it; `result` is the answer's when CONNECT was refused.
    """

    reason: str
    by_us: bool
    result: int = pb.ConnectResponse.CONNECTED


Event = ConnectRequested | Opened | MessagesReceived | Rejected | Closed
