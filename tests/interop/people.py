"""People write, type and show where they are, whatever program they have; and what became of it.

An outcome is a few words, the same for the same: a status, `seen`, `lost, no status`. docs/interop.md has those
that are right.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from typing import Final

from tests.interop.programs.code_two import number_now
from tests.interop.programs.code_two_client import CodeTwoClient
from tests.support.nodes import POLL
from tests.support.plain_client import PlainClient
from tests.support.plain_wire import Fields

INTERIM: Final = ("USER_AWAY", "OTHER_SERVER_TIMEOUT")
PATIENCE: Final = 6.0
"""Seconds for a message to arrive, and again for its status."""
SOON: Final = 2.0
"""Seconds for a status of what did not arrive; for typing, and places."""
AGAIN: Final = 0.3
"""Seconds between two datagrams of the same."""

Client = PlainClient | CodeTwoClient
_numbers = itertools.count(1)
_seconds = [0]
"""The number of the last message of a program that numbers by the second, whoever wrote it."""


def never() -> bool:
    """Nothing ends the waiting but time."""
    return False


def wait(predicate: Callable[[], object], patience: float, given_up: Callable[[], object] = never) -> bool:
    """Whether it comes true in so many seconds, and before there is no hope; an OSError counts as false."""
    deadline = time.monotonic() + patience
    while not _holds(predicate):
        if time.monotonic() >= deadline or given_up():
            return _holds(predicate)
        time.sleep(POLL)
    return True


def _holds(predicate: Callable[[], object]) -> bool:
    try:
        return bool(predicate())
    except OSError:  # a process that is busy, or not there yet
        return False


def write(client: Client, to: Fields, text: str) -> int:
    """Send a text to {userId, serverId}, or {groupId, serverId}; its number."""
    if isinstance(client, CodeTwoClient):
        wait(lambda: number_now() > _seconds[0], 2.0)  # else their statuses could not be told apart
        _seconds[0] = client.send_text(to, text)
        return _seconds[0]
    return client.send_message({"group" if "groupId" in to else "user": to, "textContent": text})


def texts(client: Client) -> list[str]:
    """What it was sent, in order."""
    with client.lock:
        return [each.get("textContent", "") for each in client.messages]


def statuses(client: Client, number: int) -> list[str]:
    """What it was told of its message, in order, by the numbers that this program knows."""
    with client.lock:
        if isinstance(client, CodeTwoClient):
            return [status for of, status in client.statuses if of == number]
        acks = [ack for ack in client.acks if ack.get("messageSnowflake") == number]
        return [str(each.get("status", "UNKNOWN_STATUS")) for ack in acks for each in ack.get("statuses", [])]


def is_connected(client: Client) -> bool:
    """Whether its chat is."""
    if isinstance(client, CodeTwoClient):
        return client.is_connected
    return "MESSAGES" in client.connected


def chat(
    author: Client,
    to: Fields,
    recipient: Client | None,
    given_up: Callable[[], object] = never,
    patience: float = PATIENCE,
) -> str:
    """Write to somebody: the final status where it arrived, else what the author was told of the loss."""
    if not is_connected(author) or (recipient is not None and not is_connected(recipient)):
        return "not connected"
    text = f"message {next(_numbers)}"
    number = write(author, to, text)

    def final() -> list[str]:
        return [each for each in statuses(author, number) if each not in INTERIM]

    arrived = recipient is not None and wait(
        lambda: text in texts(recipient), patience, lambda: given_up() or final()
    )
    wait(final, patience if arrived else min(patience, SOON), given_up)
    told = (final() or statuses(author, number) or ["no status"])[0]
    if arrived:
        return told if final() else f"arrived, {told}"
    if recipient is None:
        return told
    return f"waits, {told}" if told in INTERIM else f"lost, {told}"


def typing(
    author: PlainClient, reader: PlainClient, given_up: Callable[[], object] = never, patience: float = SOON
) -> str:
    """Type: whether the other one sees it."""
    return _seen(author, reader, "TYPING_INDICATOR", _type, _sees_typing, given_up, patience)


def location(
    author: PlainClient, reader: PlainClient, given_up: Callable[[], object] = never, patience: float = SOON
) -> str:
    """Show the other one where one is: whether they see it."""
    return _seen(author, reader, "LIVE_LOCATION", _show, _sees_place, given_up, patience)


def _seen(
    author: PlainClient,
    reader: PlainClient,
    feature: str,
    tell: Callable[[PlainClient, PlainClient, float], None],
    sees: Callable[[PlainClient, PlainClient, float], bool],
    given_up: Callable[[], object],
    patience: float,
) -> str:
    if feature not in author.connected or feature not in reader.connected:
        return "not connected"
    number = time.time()
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline and not given_up():
        tell(author, reader, number)
        if wait(lambda: sees(author, reader, number), AGAIN, given_up):
            return "seen"
    return "not seen"


def _type(author: PlainClient, _reader: PlainClient, _number: float) -> None:
    author.send_typing()


def _sees_typing(author: PlainClient, reader: PlainClient, number: float) -> bool:
    with reader.lock:
        return any(
            each.get("user") == author.user and each.get("timestamp", 0.0) >= number for each in reader.typing
        )


def _show(author: PlainClient, reader: PlainClient, number: float) -> None:
    author.send_location({"user": reader.user}, 48.0, _longitude(number))


def _sees_place(author: PlainClient, reader: PlainClient, number: float) -> bool:
    with reader.lock:
        return any(
            each.get("author") == author.user and each["location"]["longitude"] == _longitude(number)
            for each in reader.locations
        )


def _longitude(number: float) -> float:
    return round(number % 100, 3)
