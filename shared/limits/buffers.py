"""The bytes that all links of a process hold together: frames not read whole, and frames that nobody takes.

Each link has limits of its own; a thousand links have a thousand of them. So now and then, after so many bytes, all
are looked at. Where they hold too much, whoever holds most of it loses their links: first those who have not said
who they are, then those of the address that holds most, the fullest first. Pure.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from typing import Final, Protocol, TypeVar

ENOUGH: Final = 7 / 8
"""The part of a limit to which buffers are brought down, so that the next look is not needed at once."""


class Holder(Protocol):
    """A link, and what it holds."""

    @property
    def is_open(self) -> bool:
        """Whether it has said who it is."""

    @property
    def remote_host(self) -> str:
        """The other side's address."""

    @property
    def unread(self) -> int:
        """Bytes that came and were not handled."""

    @property
    def unsent(self) -> int:
        """Bytes that the other side did not take."""


H = TypeVar("H", bound=Holder)


def losers(sizes: Sequence[tuple[int, H]], limit: int) -> list[H]:
    """The holders that lose their links, so that all together hold less than the limit; mostly nobody."""
    total = sum(size for size, _ in sizes)
    if total <= limit:
        return []
    addresses: dict[str, int] = defaultdict(int)
    for size, link in sizes:
        addresses[link.remote_host] += size
    ordered = sorted(sizes, key=lambda each: (each[1].is_open, -addresses[each[1].remote_host], -each[0]))
    lost = []
    for size, link in ordered:
        if total <= ENOUGH * limit:
            break
        total -= size
        lost.append(link)
    return lost


def look(links: Collection[H], read_limit: int, send_limit: int, lose: Callable[[H, str], None]) -> None:
    """Look at all; `lose` is told whose links are lost, and of what there was too much."""
    for link in losers([(link.unread, link) for link in links], read_limit):
        lose(link, "bytes")
    for link in losers([(link.unsent, link) for link in links], send_limit):
        lose(link, "memory")
