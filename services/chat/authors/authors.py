"""Authors, as a chat process deals with them: their devices are asked for and told, their signatures looked at."""

from __future__ import annotations

import time
from collections.abc import Collection
from typing import Protocol

from parley.services.chat.authors.author_checks import LARGEST, AuthorChecks
from parley.services.chat.authors.device_questions import DeviceQuestions
from parley.services.chat.authors.status_signer import StatusSigner
from parley.services.chat.message.life import Envelope
from parley.services.chat.metrics import ChatMetrics
from parley.shared.addresses import User
from parley.shared.link.link import Link
from parley.shared.peering.peering import Peering
from parley.shared.runtime.supervised import Faults, SupervisedTimer
from parley.shared.service.guard import Guard
from parley.shared.service.user_admission import UserAdmission
from parley.shared.spellings import Spellings
from parley.shared.telemetry.metrics import Metrics
from parley.shared.trust.authors import DeviceKeys
from parley.shared.wire.framing import Frame, read_datagram
from parley.shared.wire.messages import decode, pb


class AuthorsOwner(Protocol):
    """The chat process."""

    server_id: str
    metrics: Metrics
    chat_metrics: ChatMetrics
    guard: Guard
    faults: Faults
    peering: Peering
    spellings: Spellings
    user_admission: UserAdmission


class Authors:
    """Of one chat process."""

    def __init__(self, owner: AuthorsOwner) -> None:
        self._owner = owner
        self._questions = DeviceQuestions(
            self._list_of_ours,
            self._list_elsewhere,
            self._link_to,
            lambda: owner.metrics.limited("names", "authors"),
        )
        self._timer = SupervisedTimer("answering for devices", self._time_is_over, owner.faults)
        self.checks = AuthorChecks(
            self.keys_of,
            owner.chat_metrics.forged,
            lambda: owner.metrics.limited("signatures", "authors"),
            time.monotonic(),
        )

        self._signer = StatusSigner(
            lambda: owner.user_admission.identity,
            lambda: owner.metrics.limited("signatures", "statuses"),
            time.monotonic(),
        )

    def sign(self, envelope: Envelope, status: int) -> bytes:
        """The proof of a status that this server gives itself, as a field of a payload; empty: none."""
        if not envelope.origin:
            return b""  # for one of ours, whose link says who we are
        return self._signer.proof(envelope, status, time.monotonic(), int(time.time() * 1000))

    def close(self) -> None:
        """Answer nobody any more."""
        self._timer.cancel()

    def keys_of(self, user: User) -> Collection[bytes] | None:
        """The keys that speak for a user, or did when they signed: what was revoked since is no forgery."""
        known = self.devices_of(user)
        return None if known is None else {*known.now, *known.revoked} or None

    def devices_of(self, user: User) -> DeviceKeys | None:
        """The keys of a user's devices; None: none are known here. On any thread."""
        store = self._owner.user_admission.store
        if store is None:
            return None
        if user.server_id == self._owner.server_id:
            name = store.of(user.user_id)
            return DeviceKeys([owner.key for owner in name.owners], name.revoked)
        known = store.lists.look_at(user)
        return None if known is None else DeviceKeys([device.key for device in known.devices], known.revoked)

    def taken_for_forged(self, envelope: Envelope, now: float) -> None:
        """A recipient's client refused what another server's user sent; `now`: when the turn began."""
        if envelope.size <= LARGEST:
            self.checks.look_at_refused(decode(read_datagram(envelope.raw), pb.ChatMessage), now)

    # Devices ------------------------------------------------------------------------------------------------

    def asked(self, link: Link, frame: Frame) -> bool:
        """A client asks which devices speak for a user; False: it is something else, or may be read on its way."""
        if frame.name != "DEVICES_OF" or not link.assurance.is_encrypted:
            return False
        self._owner.guard.counts(link, "requests", 1)
        user = self._owner.spellings.user(User.of(decode(frame, pb.DevicesOf).user))
        self._questions.asked_by_client(self._owner.server_id, user, link, time.monotonic())
        self._timer.set(self._questions.next_timeout())
        return True

    def asked_by_server(self, link: Link, frame: Frame) -> bool:
        """The same of another server, for users of ours."""
        if frame.name != "DEVICES_OF" or not link.assurance.is_encrypted:
            return False
        self._owner.guard.counts(link, "requests", 1)
        self._questions.asked_by_server(User.of(decode(frame, pb.DevicesOf).user), link)
        return True

    def listed(self, link: Link, frame: Frame) -> None:
        """A server told the devices of a user of its own: who asked for them is told what is known now."""
        user = User.of(decode(frame, pb.DeviceList).user)
        if user.server_id == link.peer_id:
            self._questions.answered(user)

    def _list_of_ours(self, user: User) -> pb.DeviceList | None:
        store = self._owner.user_admission.store
        name = store.of(user.user_id) if store is not None and user.server_id == self._owner.server_id else None
        return self._owner.user_admission.list_of(name) if name is not None and name.number else None

    def _list_elsewhere(self, user: User) -> pb.DeviceList | None:
        store = self._owner.user_admission.store
        return store.lists.of(user) if store is not None else None

    def _link_to(self, server_id: str) -> Link | None:
        link = self._owner.peering.link_to(server_id)
        return link if link is not None and link.assurance.is_proven else None

    def _time_is_over(self) -> None:
        self._questions.handle_timeout(time.monotonic())
        self._timer.set(self._questions.next_timeout())
