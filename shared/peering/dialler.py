"""The side that dials one lasting link: to a client's server, to the node's discovery process, to its chat process.

It keeps one link alive and hands each message on; a subclass says where to dial, and which CONNECT to send.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from parley.shared.addresses import Endpoint
from parley.shared.config import Config
from parley.shared.dialects.dialect import UNKNOWN, Recognized
from parley.shared.errors import PeerError
from parley.shared.link.credentials import Credentials
from parley.shared.link.events import Closed, Identity
from parley.shared.link.link import Link
from parley.shared.link.session import Timeouts, unsupported
from parley.shared.peering.connector import Connector
from parley.shared.runtime.backoff import Backoff
from parley.shared.runtime.supervised import Faults
from parley.shared.telemetry.logs import Log
from parley.shared.wire.framing import Frame
from parley.shared.wire.messages import pb


class Dialler:
    """Owns the link that it dials, and dials again when that is over. `log()` is where faults are written."""

    def __init__(self, config: Config, log: Callable[[], Log]) -> None:
        self.config = config
        self.link: Link | None = None
        """The link that is open now."""
        self._log = log
        self._connector: Connector | None = None

    # For a subclass -------------------------------------------------------------------------

    async def find_endpoints(self) -> Sequence[Endpoint]:
        """Where to dial, in order. PeerError where that is not known now."""
        raise NotImplementedError

    def connect_message(self, endpoint: Endpoint) -> bytes:
        """Our CONNECT to that endpoint."""
        raise NotImplementedError

    def credentials(self, endpoint: Endpoint) -> Credentials | None:  # noqa: ARG002 - a seam
        """Ours for that endpoint, which have our CONNECT; None: it is dialled in plain."""
        return None

    @property
    def recognized(self) -> Recognized:
        """The dialect of who is dialled: most often a process of a Parley."""
        return UNKNOWN

    @property
    def ping_timeout(self) -> float:
        """Seconds of silence before we ask for a sign of life."""
        return self.config.link.peer_ping_timeout

    def is_needed(self) -> bool:
        """Whether there is to be a link now."""
        return True

    def not_before(self) -> float:
        """The loop's time before which no dial begins."""
        return 0.0

    async def before_dial(self) -> None:
        """Awaited before each dial."""

    def dial_failed(self, error: PeerError) -> None:
        """A round over all endpoints brought no link."""

    def handle_message(self, frame: Frame) -> bool:  # noqa: ARG002 - a seam
        """Handle what came over the link; False: it is not supported."""
        return False

    def link_lost(self, closed: Closed) -> None:
        """The link that was open is over; the connector dials again."""

    # Dialling -------------------------------------------------------------------------------

    def dial(self, what: str, backoff_max: float, faults: Faults | None = None) -> None:
        """Have a link from now on; at most `backoff_max` seconds between two tries, `what` names it in `faults`."""
        link = self.config.link
        self._connector = self._connector or Connector(
            find_endpoints=self.find_endpoints,
            make_link=self._make_link,
            backoff=Backoff(min(link.backoff_min, backoff_max), backoff_max),
            local_host=self.config.address,
            dial_timeout=link.dial_timeout,
            is_needed=self.is_needed,
            not_before=self.not_before,
            before_dial=self.before_dial,
            failed=self.dial_failed,
            what=what,
            faults=faults,
        )
        self._connector.start()
        self._connector.wake()

    async def hang_up(self, timeout: float = 0.0) -> None:
        """Dial no more, and HANGUP(EXIT); wait `timeout` seconds at most for the connection to be gone."""
        connector, self._connector = self._connector, None
        try:
            if connector is not None:
                await connector.stop()
        finally:  # also where the end itself is cut off
            if (link := self.link) is not None:
                link.hang_up()
        if link is not None and timeout:
            await asyncio.wait([link.disconnected], timeout=timeout)

    def _make_link(self, endpoint: Endpoint) -> Link:
        settings = self.config.link
        credentials = self.credentials(endpoint)
        link = Link(
            self,
            timeouts=Timeouts(settings.connect_timeout, self.ping_timeout),
            limit=settings.payload_limit,
            hello=self.connect_message(endpoint) if credentials is None else None,
            security=credentials,
        )
        link.recognize(self.recognized)
        return link

    # LinkOwner ------------------------------------------------------------------------------

    def connect_requested(self, link: Link, identity: Identity) -> None:  # noqa: ARG002 - we dial
        """Nobody asks on a link that we dialled."""
        link.refuse(pb.ConnectResponse.UNKNOWN_ERROR)

    def link_opened(self, link: Link) -> None:
        """We are connected."""
        self.link = link

    def messages_received(self, link: Link, frames: list[Frame]) -> None:
        """Handle each message; what is not known here is not supported."""
        for frame in frames:
            if not self.handle_message(frame):
                link.send(unsupported(frame.name))

    def message_rejected(self, link: Link, reason: str, detail: str) -> None:
        """Something came that may not."""
        self._log().warning("frame_rejected", reason=reason, detail=detail, link_id=link.link_id)

    def link_writable(self, link: Link) -> None:
        """The other side reads again."""

    def link_closed(self, link: Link, closed: Closed) -> None:
        """A link is over, be it the open one or a try."""
        if self.link is link:
            self.link = None
            self.link_lost(closed)
