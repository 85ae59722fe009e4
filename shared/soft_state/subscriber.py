"""A subscriber as typing and location see it: a client's link here, or our user's client elsewhere. Pure."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Protocol

from parley.shared.link.events import Identity


class Subscriber(Hashable, Protocol):
    """A client that says things, and is told things, in datagrams or over its link (`identity.events_on_link`)."""

    link_id: int
    """No other has it; negative where it is at another server."""
    logged_faults: frozenset[str]

    @property
    def identity(self) -> Identity:
        """The user that it is a client of."""

    @property
    def remote_host(self) -> str:
        """The address that it is at, or the server: what it says counts to that one's share."""

    @property
    def is_parley(self) -> bool:
        """Whether it takes fields of ours."""
