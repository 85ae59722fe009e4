"""An operator's commands: list messages, drop them, try again at once. Pure.

Requests come as JSON over the operator's socket (server.py). Each is small, so that the process is never
busy with one for long: who wants more asks again.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Final, TypeVar

import msgspec

from parley.services.chat.message.life import Envelope
from parley.services.chat.message.model import TO_GROUP, Destination
from parley.services.chat.roster import Roster
from parley.services.chat.routing.router import Router
from parley.services.chat.storage.rows import destination as destination_of
from parley.services.chat.storage.rows import name as name_of
from parley.shared.addresses import User
from parley.shared.errors import ConfigError

MOST: Final = 250
"""Messages or destinations of one request."""
LAST: Final = (1 << 63) - 1
"""No message has a greater number, and SQLite takes no greater one."""

_UNITS: Final = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}

Number = Annotated[int, msgspec.Meta(ge=0, le=LAST)]
"""A message's, in the file."""


class Drop(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Give up these messages: each its number, and its snowflake, since a number may be another's one day."""

    messages: Annotated[tuple[tuple[Number, int], ...], msgspec.Meta(min_length=1, max_length=MOST)]


class Dropped(msgspec.Struct, frozen=True):
    """The outcome: how many were dropped, are in flight and so were left, or had gone already."""

    dropped: int = 0
    left: int = 0
    gone: int = 0

    def __add__(self, other: Dropped) -> Dropped:
        return Dropped(self.dropped + other.dropped, self.left + other.left, self.gone + other.gone)


class Retry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Try these destinations at once, each as the mailbox's file names it."""

    destinations: Annotated[tuple[str, ...], msgspec.Meta(min_length=1, max_length=MOST)]


class Retried(msgspec.Struct, frozen=True):
    """The outcome for one destination, and how many messages were written again."""

    destination: str
    state: str
    """`written`; `looked_for`: a server without a link; `tried`: a user of an existing server, who may be there;
    `away`: a user without a client; `unconfirmed`: a server, or a user of one, that would take what comes again for
    another message, and so is left to answer (protocol.md)."""
    messages: int = 0


Request = TypeVar("Request", bound=msgspec.Struct)


def parse(body: bytes, kind: type[Request]) -> Request:
    """Read a request; ConfigError where it is none."""
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:  # a ValidationError is one
        raise ConfigError(f"no request: {error}") from None


def drop(router: Router, request: Drop, found: Iterable[tuple[Destination, Envelope]]) -> Dropped:
    """Drop what was asked for and is among what the file has under those numbers."""
    asked = dict(request.messages)
    there = [each for each in found if asked.get(each[1].id) == each[1].snowflake]
    dropped = sum(router.drop(destination, envelope) for destination, envelope in there)
    return Dropped(dropped, len(there) - dropped, len(asked) - len(there))


def retry(router: Router, roster: Roster, request: Retry, now: float) -> list[Retried]:
    """Try each destination."""
    return [_retry(router, roster, name, now) for name in request.destinations]


def _retry(router: Router, roster: Roster, name: str, now: float) -> Retried:
    destination = destination_of(name)
    if isinstance(destination, User) and roster.is_reached_by_gateway(destination.server_id):
        is_left = bool(roster.clients(destination))
        router.retry(destination, now)
        return Retried(name, "unconfirmed" if is_left else "tried")
    if isinstance(destination, User):
        count = router.retry(destination, now)
        return Retried(name, "written" if roster.clients(destination) else "away", count)
    server = roster.server(destination)
    if server is not None and not server.confirms:
        return Retried(name, "unconfirmed")
    return Retried(name, "written" if server is not None else "looked_for", router.retry(destination, now))


# Which messages -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Wanted:
    """All messages for which all of this is true; without anything, all messages."""

    ids: tuple[int, ...] = ()
    destination: Destination | None = None
    recipient: User | None = None
    """Of what waits for another server: for this user of it."""
    with_users: bool = False
    """Also what waits for users of that server: of some, each is a destination (gateways/)."""
    older_than: float | None = None
    """Seconds."""

    def condition(self, now: float) -> tuple[str, list[object]]:
        """The condition after WHERE, and its values; `now` is the mailbox's own age (seconds)."""
        parts: list[str] = ["1"]
        values: list[object] = []
        if self.ids:
            known = [number for number in self.ids if 0 <= number <= LAST]
            parts.append(f"id IN ({','.join('?' * len(known))})")
            values += known
        if isinstance(self.destination, str) and self.with_users:
            parts.append("(destination = ? OR recipient_server = ?)")
            values += [name_of(self.destination), self.destination]
        elif self.destination is not None:
            parts.append("destination = ?")
            values.append(name_of(self.destination))
        if self.recipient is not None:
            parts.append("recipient = ? AND recipient_server = ? AND kind % 8 <> ?")
            values += [*self.recipient, TO_GROUP]
        if self.older_than is not None:
            parts.append("kept_at < ?")
            values.append(now - self.older_than)
        return " AND ".join(parts), values

    def waits_at(self, destination: Destination) -> bool:
        """Whether some of it may wait there."""
        if self.destination is None or destination == self.destination:
            return True
        if not self.with_users or not isinstance(destination, User) or destination.server_id != self.destination:
            return False
        return self.recipient in (None, destination)


def wanted_by(to: str, server_id: str, older_than: float | None = None) -> Wanted:
    """Read bob@alpha (ours: a destination), bob@beta (what waits for beta, for bob) or beta.

    Raises:
        ConfigError: it is a group, or half of an address.

    """
    text = to.strip()
    if text.startswith("#"):
        raise ConfigError(f"{text}: what is for a group waits for its members, or its server: name those")
    if "@" not in text:
        return Wanted(destination=text or None, with_users=text != server_id, older_than=older_than)
    user = User.parse(text)
    if user.server_id == server_id:
        return Wanted(destination=user, older_than=older_than)
    return Wanted(destination=user.server_id, recipient=user, with_users=True, older_than=older_than)


def seconds(text: str) -> float:
    """Read 90, 90s, 30m, 2h or 3d; ConfigError where it is none of them."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd]?)", text.strip())
    if found is None:
        raise ConfigError(f"--older-than {text}: write seconds, or a number with s, m, h or d")
    return float(found[1]) * _UNITS[found[2]]
