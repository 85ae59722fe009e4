"""Lists in datagrams: TYPING_EVENTS and LIVE_LOCATIONS of at most MAX_DATAGRAM bytes each. Pure.

Both messages are one repeated field and nothing else, so the bytes of a list are the bytes of lists of
one, joined: an *item* here is such a list of one, serialized once and written as often as needed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from shared.framing import MAX_DATAGRAM, encode_frame

_FRAMING = len(" 1024 ") + len("\n")


def room(name: str) -> int:
    """Bytes of items that a datagram of that name holds at most."""
    return MAX_DATAGRAM - len(name) - _FRAMING


def fits(name: str, item: bytes) -> bool:
    """Whether an item can be sent in a datagram at all."""
    return len(item) <= room(name)


def pack(name: str, items: Iterable[bytes], needed: int | None = None) -> Iterator[bytes]:
    """Frame items, in their order, as few datagrams; each item must fit in one.

    With `needed`, nothing is sent beyond the datagram that holds the item of that number: the items
    behind it only fill up what is sent anyway.
    """
    most = room(name)
    page: list[bytes] = []
    size = 0
    for count, item in enumerate(items):
        if size + len(item) > most:
            yield encode_frame(name, b"".join(page))
            page, size = [], 0
            if needed is not None and count >= needed:
                return
        page.append(item)
        size += len(item)
    if page:
        yield encode_frame(name, b"".join(page))
