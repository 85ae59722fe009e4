"""The calls of a chat engine to the process that runs it, handed over as one value, and its times. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from parley.services.chat.archive.interface import Collector
from parley.services.chat.delivery.fast_path_interface import DeliveredRun
from parley.services.chat.message.life import Envelope
from parley.services.chat.message.model import Destination
from parley.shared.addresses import User
from parley.shared.trust.authors import KeysOf


def _nothing(*_arguments: object) -> None:
    """Call nobody."""


def _unsigned(*_arguments: object) -> bytes:
    return b""


def _none_known(_user: User) -> None:
    """Know nobody's keys."""


def _never(*_arguments: object) -> bool:
    return False


class Timing(NamedTuple):
    """The times of a chat engine, in seconds (configuration: `chat`)."""

    ack_timeout: float
    persist_delay: float
    stuck_ttl: float


def _never_passes() -> float:
    return 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Hooks:
    """Each does nothing unless it is given."""

    now: Callable[[], float] = _never_passes
    """The time (seconds, monotonic), for who is called without it."""
    loaded: Callable[[Destination], None] = _nothing
    """More of what waits for a destination is in memory."""
    hold: Callable[[User], None] = _nothing
    """One of our users is not to be listened to, until `release`."""
    release: Callable[[User], None] = _nothing
    """They are listened to again."""
    count: Callable[[str, int], None] = _nothing
    """A status was told: its scope (`local` or `remote`), and the status."""
    limited: Callable[[str, str], None] = _nothing
    """Something was refused: what it was, and where."""
    delivered: Callable[[list[Envelope]], None] = _nothing
    """These were delivered in this turn."""
    delivered_together: Callable[[float, int], None] = _nothing
    """A message that arrived then (seconds, monotonic) was delivered to so many members at another server.

    It counts the statuses, too.
    """
    delivered_run: DeliveredRun | None = None
    """Counts what the fast path delivers."""
    arm: Callable[[float], None] = _nothing
    """The fast path sent something at that time (seconds, monotonic), and no timer is set that asks what is due."""
    wake: Callable[[float | None], None] = _nothing
    """Users who are reached by gateways are to be looked after at that time (seconds, monotonic), or not at all."""
    collect: Collector | None = None
    """Gathers for the archive; None: nothing is kept."""
    confirmed: Callable[[], None] = _nothing
    """One of these acknowledged a message."""
    look_for: Callable[[str], None] = _nothing
    """A server is to be looked for."""
    search_until: Callable[[float], None] = _nothing
    """Other servers have until then (seconds, monotonic) to answer a search."""
    searched: Callable[[bool], None] = _nothing
    """A search for people is over; whether nobody can have been left out."""
    is_existing: Callable[[str], bool] = _never
    """Whether a server that is not linked announced itself as an existing program, no Parley."""
    sign: Callable[[Envelope, int], bytes] = _unsigned
    """The proof of a status that this server gives itself, as a field of a payload; empty: none."""
    keys_of: KeysOf = _none_known
    """The keys of a user's devices; None: none are known here."""
    edit_refused: Callable[[], None] = _nothing
    """An edit may not change a message that waits."""
    taken_for_forged: Callable[[Envelope], None] = _nothing
    """Its recipient's client refused a message of another server's user, as it does with what is forged."""
    doubted: Callable[[], None] = _nothing
    """Somebody answered what they are not known to have been given."""
    refusal_waits: Callable[[str, Envelope], bool] = _never
    """Whether a server's not knowing a user is not told yet."""
