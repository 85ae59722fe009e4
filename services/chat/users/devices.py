"""The devices of users, in the chat process: changes by a device, and the lists that go to servers and clients.

| name | from | counts where |
|---|---|---|
| CHANGE_DEVICES | a client | its link proved a device that owns the name, or a password |
| DEVICE_LIST | another server | its link proved the key of the user's own server, whose key signed the list |
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Final, Protocol

from parley.services.chat.metrics import ChatMetrics
from parley.services.chat.operator.user_commands import UserChange, apply
from parley.shared.addresses import User
from parley.shared.errors import ConfigError, UnexpectedMessage
from parley.shared.limits.token_buckets import Buckets
from parley.shared.link.link import Link
from parley.shared.names import fold
from parley.shared.runtime.steps import Task
from parley.shared.service.guard import Guard
from parley.shared.service.user_admission import UserAdmission
from parley.shared.telemetry.logs import Log
from parley.shared.telemetry.metrics import Metrics
from parley.shared.trust.assurance import Basis
from parley.shared.trust.claims import AGAIN
from parley.shared.trust.devices import Device, How, ListVerdict, is_confirmed, read_device
from parley.shared.trust.keys import fingerprint
from parley.shared.trust.names import Change, Name, changed, lapsed, owned_by, revoked
from parley.shared.wire.capabilities import DEVICES
from parley.shared.wire.framing import Frame
from parley.shared.wire.messages import decode, encode, pb

RESETS: Final = (1.0, 10.0)
"""Resets of one server's users that our clients are told: so many a second, and so many at once."""
MOST_LISTS: Final = 1000
"""Lists that a server is told when it is linked: those from which a device was taken."""
STEP: Final = 20
"""Lists of one step of that."""


class DevicesOwner(Protocol):
    """The chat process."""

    server_id: str
    metrics: Metrics
    chat_metrics: ChatMetrics
    guard: Guard
    log: Log
    subscribers: dict[User, list[Link]]
    user_admission: UserAdmission

    @property
    def server_links(self) -> Iterable[Link]:
        """The links with other servers."""

    def do_in_steps(self, task: Task, /) -> None:
        """Do something long a step at a time."""


class UserDevices:
    """Of one chat process."""

    def __init__(self, owner: DevicesOwner) -> None:
        self._owner = owner
        self._resets = Buckets(*RESETS)

    # From clients ---------------------------------------------------------------------------------------

    def handle(self, link: Link, user: User, frame: Frame) -> bool:
        """Handle what a client asks about devices; False: it is something else, or it may not."""
        if frame.name != "CHANGE_DEVICES":
            return False
        self._owner.guard.counts(link, "requests", 1)
        return self._asked(link, user, frame)

    def _asked(self, link: Link, user: User, frame: Frame) -> bool:
        """A client's CHANGE_DEVICES. False: it proved nothing, and so may not ask."""
        request = decode(frame, pb.ChangeDevices)
        store = self._owner.user_admission.store
        if store is None or not link.assurance.is_proven or link.assurance.basis is Basis.SHARED:
            return False
        name = store.of(user.user_id)
        wanted = self._wanted(name, user, link, request)
        is_done = wanted is not None and (wanted is name or self._owner.user_admission.change(wanted))
        answer = pb.Devices(request=request.request, ok=is_done)
        devices = self._owner.user_admission.list_of(store.of(user.user_id))
        if devices is not None:
            answer.list.CopyFrom(devices)
        if link.is_open:  # it may have revoked itself
            link.answer(encode("DEVICES", answer))
        return True

    def _wanted(self, name: Name, user: User, link: Link, request: pb.ChangeDevices) -> Name | None:
        """The name as it is to be; None: that cannot be."""
        if request.revoke:
            return revoked(name, request.revoke) if name.owner(request.revoke) is not None else None
        if not request.HasField("add"):
            return name
        device, store = read_device(request.add), self._owner.user_admission.store
        if device is None or store is None or not self._is_confirmed(name, user, link, device):
            return None
        added = owned_by(name, device, store.age)
        return added if added is not name else None

    @staticmethod
    def _is_confirmed(name: Name, user: User, link: Link, device: Device) -> bool:
        """Whether a device that owns the name, the one at the other end, signed the entry."""
        is_earlier = name.owner(device.by) is not None and device.by == link.assurance.key
        return device.how is How.CONFIRMED and is_earlier and is_confirmed(user, device)

    # From servers ---------------------------------------------------------------------------------------

    def handle_from_server(self, link: Link, frame: Frame) -> bool:
        """Handle what another server tells of its users' devices; False: it is something else."""
        if frame.name != "DEVICE_LIST":
            return False
        self._owner.guard.counts(link, "requests", 1)
        self._list_received(link, frame)
        return True

    def _list_received(self, link: Link, frame: Frame) -> None:
        message = decode(frame, pb.DeviceList)
        if fold(message.user.serverId) != fold(link.peer_id):
            raise UnexpectedMessage(f"{link.peer_id} tells devices of a user of others", "foreign_user")
        verdict = self._owner.user_admission.take_list(link, message)
        self._owner.chat_metrics.device_list_came(verdict)
        if verdict is not ListVerdict.NEW:
            return
        if message.reset:
            self._tell_of_reset(encode("DEVICE_LIST", message), link.peer_id)

    def _tell_of_reset(self, raw: bytes, server_id: str, *, is_operators: bool = False) -> None:
        """All who may know the user are told: of our operator's resets each, of other changes few in a second."""
        if is_operators or self._resets.consume(server_id, time.monotonic()):
            self._owner.do_in_steps(self._tell_everybody(raw))
        else:
            self._owner.metrics.limited("names", "users")

    def _tell_everybody(self, raw: bytes) -> Task:
        """A name was given away: all who may know its user are told."""
        yield
        for links in list(self._owner.subscribers.values()):
            _send(links, raw)
            yield

    # To all ---------------------------------------------------------------------------------------------

    def changed(self, name: Name) -> None:
        """A name has other devices: its clients and all servers are told."""
        message = self._owner.user_admission.list_of(name)
        if message is None:
            return
        owner = self._owner
        owner.guard.complain(
            "devices_changed",
            lambda: owner.log.info(
                "devices_changed",
                user=name.user_id[:80],
                number=name.number,
                devices=[fingerprint(each.key) for each in name.owners],
                reset=name.reset,
            ),
        )
        raw = encode("DEVICE_LIST", message)
        _send(self._owner.server_links, raw)
        _send(self._owner.subscribers.get(User(name.user_id, self._owner.server_id), ()), raw)
        if name.reset:
            self._tell_of_reset(raw, owner.server_id, is_operators=not name.owners)

    def server_linked(self, link: Link) -> None:
        """A server may have been away when devices were revoked: it is told of these."""
        store = self._owner.user_admission.store
        if store is not None and takes_lists(link):
            names = (name for name in store.names.values() if name.revoked)
            self._owner.do_in_steps(self._tell_server(link, list(islice(names, MOST_LISTS))))

    def _tell_server(self, link: Link, names: Sequence[Name]) -> Task:
        yield
        for at in range(0, len(names), STEP):
            for name in names[at : at + STEP]:
                message = self._owner.user_admission.list_of(name)
                if message is not None and link.is_open and link.writable:
                    link.send(encode("DEVICE_LIST", message))
            yield

    # The operator ---------------------------------------------------------------------------------------

    def change_by_operator(self, request: UserChange) -> str:
        """Change who owns a name, as the operator asks; what to say. ConfigError where it cannot be."""
        admission = self._owner.user_admission
        if admission.store is None:
            raise ConfigError("in security.mode: open names belong to nobody")
        before = admission.store.of(request.user_id)
        after, said = apply(before, request, admission.store.age, int(time.time()))
        if after != before and not admission.change(after):
            raise ConfigError("there is no room for one more name: limits.users")
        return said

    # Time -----------------------------------------------------------------------------------------------

    def expire(self) -> None:
        """End claims that were never used again, and forget what is over; whose user is here goes on being used."""
        store = self._owner.user_admission.store
        if store is None:
            return
        age = store.age
        for before in list(store.names.values()):
            links = self._owner.subscribers.get(User(before.user_id, self._owner.server_id), ())
            name = self._used_by(links, before, age)
            if not name.is_owned and any(not link.assurance.is_proven for link in links):
                store.put(changed(name, Change.NOTE_PLAIN, b"", age, 0))  # it is here since long ago
            elif not links and (after := lapsed(name, age)) is not name:
                self._owner.user_admission.change(after)
        store.forget_unneeded()

    def _used_by(self, links: Iterable[Link], name: Name, age: float) -> Name:
        """The name, its keys used again where a link of theirs stands for so long: nobody has to connect twice."""
        after = name
        for link in links:
            known = name.owner(link.assurance.key) or name.claim(link.assurance.key)
            if known is not None and not known.is_used_again and age - known.first >= AGAIN:
                after = changed(after, Change.USE, known.key, age, 0)
        if after is not name and (store := self._owner.user_admission.store) is not None:
            store.put(after)
        return after


def takes_lists(link: Link) -> bool:
    """Whether the other side takes DEVICE_LIST, and nobody reads it between."""
    return link.is_parley and bool(link.identity.capabilities & DEVICES) and link.assurance.is_encrypted


def _send(links: Iterable[Link], raw: bytes) -> None:
    for link in list(links):
        if link.is_open and link.writable and takes_lists(link):
            link.send(raw)
