"""The output of `parley mailbox`: destinations, messages, and what was done, in words or as JSON."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import Any, Final

from rich.text import Text

from parley.cli.tables import show, table
from parley.cli.terminal import as_json as to_line
from parley.cli.terminal import line, note
from parley.services.chat.operator.commands import Dropped, Retried
from parley.services.chat.operator.inspection import Entry, Queue
from parley.services.chat.storage.rows import destination as destination_of
from parley.shared.addresses import Recipient
from parley.shared.printable import one_line
from parley.shared.wire.messages import pb

_UNITS: Final = ((86400.0, "d"), (3600.0, "h"), (60.0, "min"), (1.0, "s"))
_SIZES: Final = ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"))


def print_json(fields: dict[str, Any]) -> None:
    """One JSON object on a line; what is None is left out."""
    line(to_line(fields))


def print_destinations(destinations: Sequence[Queue], *, as_json: bool) -> None:
    """Destinations, and their sums at the end."""
    total = (
        sum(each.messages for each in destinations),
        sum(each.size for each in destinations),
        max((each.oldest for each in destinations if each.oldest is not None), default=None),
        sum(each.owed for each in destinations),
    )
    if as_json:
        for each in destinations:
            print_json(
                {"destination": str(each.destination)} | _sums(each.messages, each.size, each.oldest, each.owed)
            )
        print_json({"destinations": len(destinations)} | _sums(*total))
        return
    if not destinations:
        note("nothing waits")
        return
    numbers = ("MESSAGES", "SIZE", "OLDEST", "STATUSES OWED")
    made = table("DESTINATION", *numbers, right=numbers)
    for each in destinations:
        made.add_row(*_row(_name_text(each.destination), each.messages, each.size, each.oldest, each.owed))
    made.add_row(*_row(Text("total"), *total))
    show(made)


def _sums(messages: int, size: int, oldest: float | None, owed: int) -> dict[str, Any]:
    age = round(oldest, 1) if oldest is not None else None
    return {"messages": messages, "bytes": size, "oldest_seconds": age, "owed": owed}


def _row(name: Text, messages: int, size: int, oldest: float | None, owed: int) -> tuple[Text | str, ...]:
    return name, str(messages), size_of(size), _age(oldest), str(owed)


def fields_of(entry: Entry) -> dict[str, Any]:
    """The fields of a message, without what is in it."""
    return {
        "id": entry.id,
        "destination": str(entry.destination),
        "author": str(entry.author),
        "recipient": str(entry.recipient),
        "group": str(entry.group) if entry.group is not None else None,
        "snowflake": entry.snowflake,
        "bytes": entry.size,
        "age_seconds": round(entry.age, 1),
    }


def print_entries(entries: Iterable[Entry], *, as_json: bool) -> None:
    """Messages, one a line."""
    if as_json:
        for entry in entries:
            print_json(fields_of(entry))
        return
    heads = ("ID", "SNOWFLAKE", "SIZE", "AGE")
    made = table("AUTHOR", "RECIPIENT", "GROUP", *heads, right=heads)
    for each in entries:
        names = _name_text(each.author), _name_text(each.recipient), _name_text(each.group or "")
        made.add_row(*names, str(each.id), str(each.snowflake), size_of(each.size), _age(each.age))
    if made.row_count:
        show(made)
    else:
        note("nothing waits")


def content_of(message: pb.ChatMessage) -> dict[str, Any]:
    """The content of a message; of a document, its name and size."""
    which = message.WhichOneof("content")
    if which == "document":
        document = message.document
        return {"document": document.filename, "mime_type": document.mimeType, "document_bytes": len(document.data)}
    if which == "live_location":
        at = message.live_location.location
        return {"latitude": at.latitude, "longitude": at.longitude}
    return {"text": message.textContent}


def print_retried(done: Retried, kept: int, *, as_json: bool) -> None:
    """Print what was done for a destination, for which so many messages wait."""
    destination = destination_of(done.destination)
    if as_json:
        print_json(
            {"destination": str(destination), "state": done.state, "messages": done.messages, "waiting": kept}
        )
        return
    states = {
        "written": f"{messages_of(done.messages)} written again",
        "looked_for": f"not linked, looked for now; {messages_of(kept)} kept",
        "tried": f"not there when it was tried last, tried now; {messages_of(kept)} kept",
        "unconfirmed": "linked, and left to answer: it would show twice what is written twice",
        "away": f"no client is connected; {messages_of(kept)} kept",
    }
    line(f"{one_line(str(destination))}: {states.get(done.state, done.state)}")


def print_dropped(done: Dropped, *, as_json: bool) -> None:
    """How many were dropped, and were not."""
    if as_json:
        print_json({"dropped": done.dropped, "left": done.left, "gone": done.gone})
        return
    parts = [f"{messages_of(done.dropped)} dropped"]
    if done.left:
        parts.append(f"{done.left} on their way and left")
    if done.gone:
        parts.append(f"{done.gone} not there")
    line("; ".join(parts))


def _name_text(name: Recipient | str) -> Text:
    """Others' names, on one line."""
    return Text(one_line(str(name)))


def messages_of(count: int) -> str:
    """A number of messages in words."""
    return f"{count} message" if count == 1 else f"{count} messages"


def _age(age: float | None) -> str:
    if age is None:
        return "-"
    size, unit = next(((size, unit) for size, unit in _UNITS if age >= size), _UNITS[-1])
    return f"{age / size:.0f} {unit}" if unit == "s" else f"{age / size:.1f} {unit}"


def since(age: float) -> str:
    """An age (seconds) in words, and the moment when it began."""
    return f"{_age(age)}, since {time.strftime('%-d %b %Y %H:%M:%S', time.localtime(time.time() - age))}"


def size_of(size: int) -> str:
    """Bytes in words."""
    for unit, name in _SIZES:
        if size >= unit:
            return f"{size / unit:.1f} {name}"
    return f"{size} B"
