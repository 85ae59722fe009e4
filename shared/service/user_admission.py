"""Admission of users: who a client's user is, and how we know. One value for all that asks later: `link.assurance`.

Theory of operation. A client shows in its CONNECT_CLIENT nothing, a key with its proof, a session token, a
password, or several of them. What that is worth for the name is `Comer`; how the name stands is `State`; the table
of shared/trust/admission.py has the verdict.

| process | user | decides by |
|---|---|---|
| chat | ours | users.db, which it alone writes; it begins sessions |
| typing, location | ours | users.db, as chat wrote it, or a token that is newer than what was read |
| typing, location | another server's | the token, by its home's key, and the device lists that were told here |

A name of another server is never claimed here. What its user proved here is told to its home with the visit
(`Visitor.proven`), and the home refuses a visitor who proved nothing where a device owns the name.

When a name changes, each link of its user is judged again: a link that would not be let in now is hung up.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Protocol, cast

from parley.shared.addresses import User
from parley.shared.config import Config
from parley.shared.link.events import Identity
from parley.shared.link.link import Link
from parley.shared.names import fold
from parley.shared.service.guard import Guard
from parley.shared.service.node_trust import NodeTrust
from parley.shared.service.passwords import Passwords
from parley.shared.telemetry.logs import Log
from parley.shared.telemetry.metrics import Metrics
from parley.shared.trust.admission import Mode, Policy, Refusal, Verdict, decide
from parley.shared.trust.ages import DAY, HOUR
from parley.shared.trust.assurance import Assurance, Basis
from parley.shared.trust.devices import ListVerdict, sign_list
from parley.shared.trust.keys import PrivateKey
from parley.shared.trust.names import (
    APPROVED,
    Change,
    Comer,
    Name,
    State,
    changed,
    comer_of,
    mail_is_over,
    state_of,
    withholds_mail,
)
from parley.shared.trust.tokens import TokenClock, is_issued_by, issue
from parley.shared.trust_storage.users import UserStore
from parley.shared.wire.messages import FEATURES, pb

FOLDER: Final = "trust"
"""The folder with users.db, below the server's own in DATA_DIR."""
GUESTS: Final = 10_000
"""Keys that used a name without a claim and are remembered; the longest unused is forgotten."""
HINTS: Final = {
    Refusal.NAME_TAKEN: "a device owns that name: no program without its key may use it (parley user list)",
    Refusal.NEW_DEVICE: "other devices own that name: let an earlier one add this one, or run parley user approve",
    Refusal.REVOKED: "that device was revoked",
    Refusal.RESET: "parley user reset gave that name away: that device may have it with another key",
    Refusal.APPROVAL_NEEDED: "run parley user approve to let that name in",
    Refusal.NO_ACCOUNT: "run parley user add to let that name in",
    Refusal.NO_PROOF: "its key is not proven: somebody may be in between",
}
"""The operator's part of a refusal's line in the log."""


class UserAdmissionOwner(Protocol):
    """The process whose clients are admitted."""

    config: Config
    server_id: str
    metrics: Metrics
    guard: Guard
    log: Log
    subscribers: dict[User, list[Link]]
    trust: NodeTrust

    @property
    def feature(self) -> str:
        """The feature that the clients use."""

    def key_of_server(self, server_id: str, /) -> bytes:
        """The key that a server's name belongs to; empty: none is known."""

    def mail_waits(self, user: User, /) -> bool:
        """Whether mail waits for a user of ours."""

    def name_changed(self, name: Name, /) -> None:
        """The devices of a user of ours are others now: this process wrote that."""

    def visitors_changed(self, user: User, /) -> None:
        """The same of a user of ours whose clients may be at other servers."""


@dataclass(frozen=True, slots=True)
class Judged:
    """The outcome for one client."""

    assurance: Assurance
    refusal: Refusal | None = None
    token: pb.SessionToken | None = None
    devices: pb.DeviceList | None = None


class UserAdmission:
    """Admission to one process; `writes`: it is chat's."""

    def __init__(self, owner: UserAdmissionOwner, *, writes: bool) -> None:
        self._owner = owner
        self._writes = writes
        self._mode = Mode(owner.config.security.mode)
        self._policy = Policy(owner.config.security.users)
        self._clock = TokenClock()
        self._passwords = Passwords()
        self._guests: OrderedDict[tuple[str, bytes], None] = OrderedDict()
        """Names, and keys that used them without a claim while no mail waited: later mail is for these, too."""
        self.store: UserStore | None = None
        self._refusals = dict.fromkeys(Refusal, 0)
        if self._has_clients:
            owner.metrics.watch_counter(
                "parley_user_refusals",
                "Clients that were not let in, or not any more, by why",
                lambda: [((owner.feature, each.word), count) for each, count in self._refusals.items()],
                ["feature", "reason"],
            )

    # Life -----------------------------------------------------------------------------------------------

    @property
    def is_on(self) -> bool:
        """Whether names belong to anybody."""
        return self._has_clients and self._mode is not Mode.OPEN

    @property
    def _has_clients(self) -> bool:
        return self._owner.feature in FEATURES

    @property
    def identity(self) -> PrivateKey | None:
        """This node's key, which signs tokens and lists; None: there is none."""
        return self._owner.trust.identity

    def open(self, directory: Path) -> None:
        """Know the users of our name, whose data is in that directory."""
        if not self.is_on or (self.store is not None and self.store.directory == directory / FOLDER):
            return
        self.close()
        self.store = UserStore(
            directory / FOLDER,
            most=self._owner.config.limits.users,
            changed=self._changed_elsewhere,
            failed=lambda error: self._owner.log.error("users_file_unusable", error=str(error)),
            well=lambda: self._owner.log.info("users_file_usable"),
        )

    def close(self) -> None:
        """Write what is left."""
        store, self.store = self.store, None
        if store is not None:
            store.close()

    def stop(self) -> None:
        """Look at no password any more, and close."""
        self._passwords.close()
        self.close()

    def keys_of(self, user: User) -> frozenset[bytes]:
        """The keys of the devices that own a name of ours."""
        return frozenset(owner.key for owner in self._name(user).owners)

    # Judging --------------------------------------------------------------------------------------------

    def judge(self, link: Link, identity: Identity, then: Callable[[Judged], None]) -> None:
        """Judge a client that asks to be connected, and proved `link.assurance.key`, or no key.

        `then` is called at once, or when the password was looked at.
        """
        user = identity.user
        if user is None or not self.is_on or self.store is None:
            then(Judged(link.assurance))
            return
        key = link.assurance.key
        if user.server_id != self._owner.server_id:
            then(self._judge_visitor(link, identity, user, key))
        else:
            self._judge_ours(link, identity, user, key, then)

    def _judge_ours(
        self, link: Link, identity: Identity, user: User, key: bytes, then: Callable[[Judged], None]
    ) -> None:
        name = self._name(user)
        comer = comer_of(name, key)
        if link.assurance.is_encrypted and comer in _MAY_SHOW_MORE:
            if identity.password and self._writes:
                self._try_password(link, user, key, identity.password, then)
                return
            if identity.token is not None:
                comer = self._comer_with_token(name, user, key, identity.token, comer)
        then(self._judged(link, user, key, comer))

    def _comer_with_token(self, name: Name, user: User, key: bytes, token: pb.SessionToken, comer: Comer) -> Comer:
        """The comer that also shows a token: of a password's session, or of a change that is not read here yet."""
        identity = self.identity
        is_good = (
            identity is not None
            and is_issued_by(identity.public, token, user, key)
            and not self._is_over(token)
            and token.number >= name.sessions_from
        )
        if not is_good:
            return Comer.DEAD_SESSION if comer is Comer.PLAIN else comer
        if not token.device:  # chat has the password shown: other servers' typing and location see such a token
            return Comer.DEAD_SESSION if self._writes else Comer.SESSION
        is_newer = not self._writes and token.number > name.number
        return Comer.SESSION if is_newer else comer

    def _try_password(self, link: Link, user: User, key: bytes, text: str, then: Callable[[Judged], None]) -> None:
        address, now = link.remote_host, asyncio.get_running_loop().time()
        if not self._passwords.may_try(user.user_id, address, now):
            self._owner.metrics.limited("passwords", "users")
            then(Judged(link.assurance, Refusal.SLOW_DOWN))
            return

        known = self._name(user).password

        def looked_at(is_right: bool) -> None:
            comer = Comer.PASSWORD_WRONG
            if is_right and known == self._name(user).password:  # it is no other since
                is_new = key and comer_of(self._name(user), key) is not Comer.KNOWN_KEY
                comer = Comer.PASSWORD_AND_KEY if is_new else Comer.PASSWORD
            then(self._judged(link, user, key, comer))

        self._passwords.check(user.user_id, address, text, known, looked_at)

    def _judged(self, link: Link, user: User, key: bytes, comer: Comer) -> Judged:
        name = self._name(user)
        verdict, name = self._decided(link, user, name, key, comer)
        if verdict.refusal is not None or verdict.basis is None:
            is_free = verdict.refusal is Refusal.REVOKED and name.reset and not name.is_owned
            return Judged(link.assurance, Refusal.RESET if is_free else verdict.refusal)
        assurance = self._assurance(link, name, key, verdict.basis)
        if verdict.basis is Basis.SESSION:
            shown = link.identity.token
            assurance = replace(assurance, session=name.number if self._writes or shown is None else shown.number)
        if not assurance.is_proven or self.identity is None or not self._writes:
            return Judged(assurance)
        token = issue(self.identity, user, key, name.number, time.time())
        return Judged(assurance, None, token, self.list_of(name) if name.owners else None)

    def _decided(self, link: Link, user: User, name: Name, key: bytes, comer: Comer) -> tuple[Verdict, Name]:
        """The verdict, and the name as it is then."""
        store = self.store
        assert store is not None  # noqa: S101 - judge() asked
        mail_waits = self._owner.mail_waits(user)
        state = state_of(name, store.age, mail_waits=mail_waits)
        if comer is Comer.SESSION and not self._writes:
            state = State.OWNED  # chat, which gave the token, knows better than what was read here
        verdict = decide(comer, state, self._policy, self._mode)
        if comer is Comer.NEW_KEY and verdict.change in _CLAIMS:
            verdict = self._limited(link, verdict)
        if not self._writes:
            basis = Basis.SHARED if verdict.change in _CLAIMS and verdict.is_in else verdict.basis
            return Verdict(basis, verdict.refusal), name
        if verdict.basis is Basis.SHARED and verdict.change is Change.NONE and not mail_waits:
            self._note_guest(user.user_id, key)
        if self._is_worth_writing(name, verdict.change, key):
            added, called = int(time.time()), link.identity.device_name
            after = changed(name, verdict.change, key, store.age, added, mail_waits=mail_waits, device_name=called)
            name = self._put(name, after)
            if verdict.change in _CLAIMS and comer is Comer.NEW_KEY:
                store.note_claim(link.remote_host)
        return verdict, name

    def _note_guest(self, user_id: str, key: bytes) -> None:
        self._guests[user_id, key] = None
        self._guests.move_to_end((user_id, key))
        if len(self._guests) > GUESTS:
            self._guests.popitem(last=False)

    def _limited(self, link: Link, verdict: Verdict) -> Verdict:
        """A verdict within the limits of claims: beyond them a key uses the name and does not claim it."""
        store = self.store
        if not self._writes or store is None or store.claims.may_claim(link.remote_host, store.age, store.fresh):
            return verdict
        self._owner.metrics.limited("names", "users")
        return Verdict(Basis.SHARED) if verdict.is_in else Verdict(None, Refusal.SLOW_DOWN)

    def _is_worth_writing(self, name: Name, change: Change, key: bytes) -> bool:
        """Whether a change is news: uses are noted now and then."""
        age = self.store.age if self.store is not None else 0.0
        if change is Change.NOTE_PLAIN:
            return name.plain_at is None or age - name.plain_at >= DAY
        if change is Change.USE:
            known = name.owner(key) or name.claim(key)
            return known is not None and age - known.last >= HOUR
        return change is not Change.NONE

    def _put(self, before: Name, name: Name) -> Name:
        if name == before or self.store is None:
            return before
        if not self.store.put(name):
            self._owner.metrics.limited("names", "users")
            return before
        if name.number != before.number:
            self._owner.name_changed(name)
            self.judge_again([name.user_id])
        return name

    def _assurance(self, link: Link, name: Name, key: bytes, basis: Basis) -> Assurance:
        if basis is Basis.PLAIN:
            return link.assurance
        owner = name.owner(key)
        if basis is Basis.SEEN and owner is not None and owner.device.how in APPROVED:
            basis = Basis.APPROVED
        return Assurance(basis, key)

    def _name(self, user: User) -> Name:
        return self.store.of(user.user_id) if self.store is not None else Name(user.user_id)

    # Visitors -------------------------------------------------------------------------------------------

    def _judge_visitor(self, link: Link, identity: Identity, user: User, key: bytes) -> Judged:
        """Another server's user: by the token, and by what that server told of the user's devices."""
        store, token = self.store, identity.token
        if store is None:
            return Judged(link.assurance)
        if token is not None and link.assurance.is_encrypted:
            home = self._owner.key_of_server(user.server_id)
            if home:
                return self._judge_token(link, user, key, token, home)
        if self._mode is Mode.STRICT:
            return Judged(link.assurance, Refusal.PLAIN_REFUSED)
        known = store.lists.of(user)
        is_owned = known is not None and len(known.devices) > 0
        return Judged(link.assurance, Refusal.NAME_TAKEN if is_owned else None)

    def _judge_token(self, link: Link, user: User, key: bytes, token: pb.SessionToken, home: bytes) -> Judged:
        if not is_issued_by(home, token, user, key) or self._is_over(token):
            return Judged(link.assurance, Refusal.SESSION_OVER)
        if self.store is not None and not self.store.lists.allows(user, token.device, token.number):
            return Judged(link.assurance, Refusal.REVOKED)
        return Judged(Assurance(Basis.SESSION, token.device, token.number))

    def refuses_visitor(self, user: User, token: pb.SessionToken) -> bool:
        """Whether our user's client at another server, which showed that token or none, may not use the name."""
        store, identity = self.store, self.identity
        if store is None:
            return False
        name = store.of(user.user_id)
        is_good = (
            identity is not None
            and is_issued_by(identity.public, token, user, token.device)
            and not self._is_over(token)
        )
        if is_good and (token.device in name.revoked or token.number < name.sessions_from):
            return True
        if not name.is_owned:
            return self._mode is Mode.STRICT and not is_good
        if token.number > name.number:  # chat, which gave it, knows better than what was read here
            return not is_good
        return not is_good or (name.owner(token.device) is None and bool(token.device))

    def _is_over(self, token: pb.SessionToken) -> bool:
        return self._clock.is_over(token, time.time(), asyncio.get_running_loop().time())

    # Mail -----------------------------------------------------------------------------------------------

    def withholds_mail(self, link: Link, user: User) -> bool:
        """Whether what waits for our user is not for that link: it came before a claim that nobody approved."""
        is_guest = (user.user_id, link.assurance.key) in self._guests
        if self.store is None or link.assurance.basis is not Basis.SHARED or is_guest:
            return False
        name = self._name(user)
        is_withheld = withholds_mail(name, link.assurance.key, mail_waits=self._owner.mail_waits(user))
        if not is_withheld and (after := mail_is_over(name)) is not name:
            self.store.put(after)
        return is_withheld

    # Changes --------------------------------------------------------------------------------------------

    def change(self, name: Name) -> bool:
        """The operator, or a device of the user, changed a name; False: there was no room, or nothing changed."""
        before = self._name(User(name.user_id, self._owner.server_id))
        return self._put(before, name) is name

    def list_of(self, name: Name) -> pb.DeviceList | None:
        """The device list of a name, signed now; None: this node has no key."""
        if self.identity is None:
            return None
        return sign_list(
            self.identity,
            User(name.user_id, self._owner.server_id),
            [owner.device for owner in name.owners],
            number=name.number,
            now=time.time(),
            reset=name.reset,
            sessions_from=name.sessions_from,
            revoked=name.revoked,
        )

    def take_list(self, link: Link, message: pb.DeviceList) -> ListVerdict:
        """Another server tells of a user's devices: taken where it is new."""
        user = User.of(message.user)
        is_home = link.assurance.is_proven and fold(user.server_id) == fold(link.peer_id)
        if not is_home or self.store is None:
            return ListVerdict.FOREIGN
        verdict = self.store.put_list(message, link.assurance.key)
        if verdict is ListVerdict.NEW:
            self._judge_visitors_again([message])
        return verdict

    def _changed_elsewhere(self, user_ids: frozenset[str], lists: list[pb.DeviceList]) -> None:
        self.judge_again(user_ids)
        self._judge_visitors_again(lists)

    def judge_again(self, user_ids: Iterable[str]) -> None:
        """Names have changed: hang up who would not be let in now."""
        for user_id in user_ids:
            user = User(user_id, self._owner.server_id)
            for link in list(self._owner.subscribers.get(user, ())):
                if link.is_open:
                    self._judge_link_again(link, user)
            self._owner.visitors_changed(user)

    def _judge_link_again(self, link: Link, user: User) -> None:
        name, store = self._name(user), self.store
        if store is None:
            return
        comer = comer_of(name, link.assurance.key)
        if link.assurance.basis is Basis.SESSION and comer is not Comer.REVOKED_KEY:
            session = Comer.DEAD_SESSION if link.assurance.session < name.sessions_from else Comer.SESSION
            comer = session if comer is not Comer.KNOWN_KEY else comer
        state = state_of(name, store.age, mail_waits=self._owner.mail_waits(user))
        verdict = decide(comer, state, self._policy, self._mode)
        if (verdict.refusal is not None and comer is not Comer.NEW_KEY) or (
            state is State.OWNED and not verdict.is_in
        ):
            self.refused(link, user, verdict.refusal or Refusal.NAME_TAKEN)
            link.hang_up()
        elif verdict.basis is not None and comer is Comer.KNOWN_KEY:
            link.assurance = self._assurance(link, name, link.assurance.key, verdict.basis)

    def _judge_visitors_again(self, lists: Iterable[pb.DeviceList]) -> None:
        for message in lists:
            user = User.of(message.user)
            keys = {device.key for device in message.devices}
            for link in list(self._owner.subscribers.get(user, ())):
                is_owned_by_others = keys and link.assurance.key not in keys
                has_key = bool(link.assurance.key)
                is_cut = link.assurance.key not in keys if has_key else self._is_ended(link, message)
                if link.is_open and (is_cut or (is_owned_by_others and not link.assurance.is_proven)):
                    self.refused(link, user, Refusal.REVOKED if is_cut else Refusal.NAME_TAKEN)
                    link.hang_up()

    @staticmethod
    def _is_ended(link: Link, message: pb.DeviceList) -> bool:
        """Whether a visitor's session began with a password that is another one since."""
        return link.assurance.basis is Basis.SESSION and link.assurance.session < message.sessionsFrom

    # Telling --------------------------------------------------------------------------------------------

    def refused(self, link: Link, user: User, refusal: Refusal) -> None:
        """Count a refusal, and say so."""
        owner = self._owner
        self._refusals[refusal] += 1
        owner.guard.complain(
            "user_refused",
            lambda: owner.log.warning(
                "user_refused",
                reason=refusal.word,
                user=str(user)[:80],
                host=link.remote_host,
                link_id=link.link_id,
                hint=HINTS.get(refusal, ""),
            ),
        )


_CLAIMS: Final = frozenset({Change.OWN, Change.SHARE, Change.ASK})
"""The changes that are claims."""
_MAY_SHOW_MORE: Final = frozenset({Comer.PLAIN, Comer.NEW_KEY, Comer.CLAIMED_KEY})
"""Those for whom a token or a password says more than their key does."""


def wire_refusal(refusal: Refusal) -> pb.ConnectResponse.Refusal:
    """The refusal as CONNECTED tells it."""
    return cast("pb.ConnectResponse.Refusal", int(refusal))
