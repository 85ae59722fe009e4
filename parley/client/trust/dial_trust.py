"""The trust of one feature's dials: which server it is, what is shown to it, and why a dial came to nothing.

| the server | is dialled |
|---|---|
| has a pinned key | over TLS, and must prove that key, whatever it announces |
| announced a key, and none is pinned | over TLS; the key that it proves is pinned |
| has no key | in plain; in mode `strict` not at all |

The first error is the caller's. Later ones are told once (`UserTrust.notice`), and tried again ever more slowly, or
at once when people have changed a pin.
"""

from __future__ import annotations

from collections.abc import Callable

from parley.client.trust.refusals import NotPinned, ServerUnproven, TrustError, UserRefused, user_refused
from parley.client.trust.server_pins import ServerPins
from parley.client.trust.user_trust import UserTrust
from parley.shared.addresses import Server
from parley.shared.config import SecurityConfig
from parley.shared.errors import PeerError, PeerRefused, PeerUnproven
from parley.shared.link.credentials import Credentials
from parley.shared.link.link import Link
from parley.shared.names import fold
from parley.shared.trust.assurance import Assurance
from parley.shared.trust.keys import PrivateKey
from parley.shared.trust.proofs import CLIENT, Channel, Dialler
from parley.shared.wire.messages import MESSAGES, pb

FIRST, LONGEST = 15.0, 300.0
"""Seconds from a dial that keys spoke against to the next: at first, doubled each time, and at most."""


class DialTrust:
    """Of the feature of that name. `changed` is called when it is worth to dial at once."""

    def __init__(
        self, feature: str, trust: UserTrust, security: SecurityConfig, changed: Callable[[], object]
    ) -> None:
        self._feature = feature
        self._trust = trust
        self._security = security
        self._changed = changed
        self._pins: ServerPins | None = None
        self._server_id = ""
        self._is_pinned = False
        """Whether the server had a pinned key before this round of dials."""
        self._has_key = False
        """Whether it is dialled over TLS."""
        self._distrust: TrustError | None = None
        """Why the acceptor of this round's last dial was not let to us."""
        self._rests = 0
        self._reported = ""
        self.rest_until = 0.0
        """The loop's time before which no dial begins."""

    def begin_anew(self) -> None:
        """Somebody asks for a connection: what keys said before is no reason to let them wait."""
        self._rests, self.rest_until = 0, 0.0

    def begin(self, server: Server) -> None:
        """A round of dials to that server begins. TrustError: it is not dialled at all."""
        self._distrust = None
        if not self._security.has_keys:
            return
        if self._pins is None:
            directory = self._trust.directory
            self._pins = ServerPins.of(directory.pins if directory is not None else None)
            self._pins.acquire(self._pins_changed)
        self._server_id = server.server_id
        self._is_pinned = bool(self._pins.key_of(server.server_id))
        self._has_key = self._is_pinned or bool(server.key)
        if not self._has_key and not self._security.allows_plain:
            raise ServerUnproven(server.server_id, is_known=False)

    def end(self) -> None:
        """Dial no more."""
        if self._pins is not None:
            self._pins.release(self._pins_changed)
            self._pins = None

    def _pins_changed(self, names: frozenset[str]) -> None:
        if fold(self._server_id) in names:
            self.rest_until = 0.0
            self._changed()

    # What is shown ---------------------------------------------------------------------------------------

    @property
    def device(self) -> PrivateKey | None:
        """This device's key; None: there are no keys, nowhere to keep one, or a password stands for it."""
        return self._trust.device if self._security.has_keys and not self._trust.password else None

    @property
    def needs_session(self) -> bool:
        """Whether the server of this round wants to see a session of the home server's: our chat is to begin one.

        Another server knows none of our keys, and a password is looked at by chat alone.
        """
        if not self._has_key or self._trust.token is not None or self._feature == MESSAGES:
            return False
        is_home = fold(self._server_id) == fold(self._trust.user.server_id)
        return bool(self._trust.password) or (not is_home and self.device is not None)

    def credentials(self, connect: pb.ConnectClient) -> Credentials | None:
        """Ours for the server of this round; `connect` is our CONNECT. None: it is dialled in plain."""
        if not self._has_key:
            return None
        if self._trust.password and (self._feature == MESSAGES or self._trust.token is None):
            connect.password.text = self._trust.password  # a token of such a session does not open the mailbox
        elif self._trust.token is not None:
            connect.token.CopyFrom(self._trust.token)
        dialler = Dialler(CLIENT, self._feature, str(self._trust.user), "")
        return Credentials(connect, dialler, self._judge, self.device)

    def _judge(self, channel: Channel) -> Assurance:
        """How we know the acceptor. PeerUnproven: it is not the one; `explain` tells more."""
        assert self._pins is not None  # noqa: S101 - `begin` was called
        try:
            assurance = self._pins.judge(self._server_id, channel)
            if self._trust.password and not self._is_pinned:
                raise NotPinned(self._server_id, channel.key)
        except TrustError as error:
            self._distrust = error
            raise PeerUnproven(str(error)) from None
        return assurance

    # What came of it -------------------------------------------------------------------------------------

    def explain(self, error: PeerError) -> PeerError:
        """A dial's error, as a TrustError where keys are the reason."""
        if self._distrust is not None:
            return self._distrust
        if isinstance(error, PeerUnproven) and self._is_pinned:
            return ServerUnproven(self._server_id)
        if isinstance(error, PeerRefused):
            return self._refused(error) or error
        return error

    def _refused(self, error: PeerRefused) -> TrustError | None:
        device = self.device
        return user_refused(error.refusal, self._trust.user, device.public if device is not None else b"")

    def failed(self, error: PeerError, now: float, *, is_reported: bool) -> None:
        """A round came to nothing; `is_reported`: the caller was given the error. Times are the loop's."""
        if not isinstance(error, TrustError):
            return
        if isinstance(error, UserRefused) and error.refusal == "session_over" and self._trust.token is not None:
            self._trust.token = None  # another one is begun at once
            return
        self.rest_until = now + min(FIRST * 2.0**self._rests, LONGEST)
        self._rests = min(self._rests + 1, 10)
        if not is_reported and str(error) != self._reported:
            self._trust.tell(str(error))
        self._reported = str(error)

    def link_opened(self, link: Link) -> None:
        """The server let us in."""
        self._rests, self._reported, self.rest_until = 0, "", 0.0
        self._trust.last_refusal = ""
        answer = link.identity
        if answer.token is not None:
            self._trust.token = answer.token
        device = self.device if link.assurance.is_proven else None
        listed = answer.devices.devices if answer.devices is not None else ()
        if device is not None and any(each.key == device.public for each in listed):
            self._trust.proven()
