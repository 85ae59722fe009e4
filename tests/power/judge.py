"""Whether what a power cut left keeps what was promised: by a look at its files, and by a node that starts."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Final

from parley.services.chat.archive import retention, storage
from parley.services.chat.archive.lists import conversation
from parley.services.chat.archive.projection import Projection
from parley.services.chat.archive.reader import Reader
from parley.services.chat.storage import queries, schema
from parley.services.chat.storage.body_files import MAILBOX, BodyFiles
from parley.shared.addresses import User
from parley.shared.errors import ParleyError
from parley.shared.wire.messages import pb
from tests.power.story import ARCHIVED, SERVER, SERVICES, Known, PatientNode, begin, client, settings_of

COMPLAINTS: Final = ("error", "critical")
MOST: Final = 1000


def inspect(data: Path, known: Known) -> list[str]:
    """What is wrong with a node's data after a cut, by its files. They are opened as the node does."""
    directory = data / SERVER
    faults = []
    if known.identity and _text(directory / "identity") != known.identity:
        faults.append("the server's key is another, or gone")
    if not (directory / "chat.db").exists():
        return [*faults, *(["the mailbox is gone"] if known.kept else [])]
    try:
        with closing(schema.open_file(directory / "chat.db")) as db:
            waiting = {number for (number,) in db.execute("SELECT snowflake FROM message")}
            bodies = BodyFiles(directory / MAILBOX)
            faults += [f"no file {each.hex()}" for each in queries.files(db) if bodies.read(each) is None]
            members = {name for (name,) in db.execute("SELECT user FROM member WHERE has_left = 0")}
    except ParleyError as error:
        return [*faults, str(error)]
    faults += [f"{name} is no member any more" for name in sorted(known.joined - members)]
    faults += [f"lost: {known.sent[number]}" for number in known.kept if number not in known.shown | waiting]
    if (directory / "archive.db").exists():
        faults += archived(directory, known)
    elif _long_delivered(known):
        faults.append("the archive is gone")
    return faults


def archived(directory: Path, known: Known) -> list[str]:
    """What is wrong with the archive; what is not in its lists yet is put there first, as a node does."""
    try:
        with closing(storage.open_file(directory / storage.NAME)) as db:
            projection = Projection(db)
            projection.remember()
            while chunk := storage.read_chunks(db, storage.projected(db)):
                projection.project(chunk)
            verified = retention.verify(db)
        with closing(Reader(directory / storage.NAME)) as reader:
            found = {who: list(_lines(reader, who)) for who in ("ann", "bob", "cat")}
    except (ParleyError, sqlite3.Error) as error:
        return [f"the archive cannot be used: {error}"]
    lost = ("broken_records", "lost_lines", "lost_files")
    faults = [f"the archive has {verified}"] if any(verified[each] for each in lost) else []
    for who, numbers in found.items():
        faults += [
            f"{who} has {known.sent.get(n, n)} {times} times" for n, times in Counter(numbers).items() if times > 1
        ]
    for number in _long_delivered(known):
        to, text = known.sent[number]
        faults += [f"{who} has no line of {text[:40]!r} to {to}" for who in ("ann", to) if number not in found[who]]
    return faults


def live(directory: Path, known: Known, address: str, people: str, *, is_sent_again: bool) -> list[str]:
    """What is wrong once a node has started with what a cut left, and all are connected to it.

    `is_sent_again`: ann's client lives, and sends again what has no final status; else it ended with the cut.
    """
    before = set(known.shown)
    again = [number for number in known.unanswered if is_sent_again and "@" not in known.sent[number][0]]
    expected = {n for n in (*known.kept, *again) if n not in before and "@" not in known.sent[n][0]}
    node = PatientNode(SERVER, address, directory, SERVICES, settings_of(directory / "data"))
    got: dict[str, list[int]] = {}
    faults = []
    try:
        with ExitStack() as stack:
            stack.enter_context(node)
            clients = {
                name: stack.enter_context(client(name, f"{people}{last}", node))
                for name, last in (("ann", 11), ("bob", 12), ("cat", 13))
            }
            ann = clients["ann"]
            for each in clients.values():
                begin(each)
            for number in again:
                ann.say(*known.sent[number], number)
            last = {name: ann.say(name, f"the last to {name}") for name in ("bob", "cat")}
            for number in [*again, *last.values()]:
                ann.wait_status(number, "DELIVERED")
            for name in last:
                mine = {number for number in expected if known.sent[number][0] == name}
                clients[name].wait_for(lambda name=name, mine=mine: mine <= set(_numbers(clients[name])))
            got = {name: [n for n in _numbers(clients[name]) if n not in last.values()] for name in last}
    except (TimeoutError, AssertionError, OSError, LookupError) as error:
        missing = [known.sent[n] for n in sorted(expected - {n for each in got.values() for n in each})]
        return [f"the node: {error}", *(f"not here: {each}" for each in missing)]
    for name, numbers in got.items():
        faults += [f"{known.sent[n]} came {times} times" for n, times in Counter(numbers).items() if times > 1]
        new = [number for number in numbers if number not in before]
        if new != sorted(new):
            faults.append(f"out of order at {name}: {[known.sent[number][1] for number in new]}")
    faults += [f"the node said {line}" for line in _complaints(node)]
    known.shown |= {number for numbers in got.values() for number in numbers}
    return faults + inspect(directory / "data", known)


def _numbers(person: object) -> list[int]:
    return [each.get("messageSnowflake", 0) for each in getattr(person, "messages")]  # noqa: B009


def _complaints(node: PatientNode) -> Iterator[str]:
    for service in SERVICES:
        for line in node.stderr(service).splitlines():
            said = json.loads(line) if line.startswith("{") else {"level": COMPLAINTS[0]}
            if said.get("level") in COMPLAINTS or said.get("event") == "archive_unusable":
                yield line


def _long_delivered(known: Known) -> list[int]:
    return [number for number, when in known.delivered_at.items() if when < known.now - ARCHIVED]


def _lines(reader: Reader, who: str) -> Iterator[int]:
    """The numbers in somebody's list of a conversation: with ann, and hers with bob and cat."""
    for other in ("ann", "bob", "cat"):
        if other == who:
            continue
        each, after = conversation(who, User(other, SERVER)), 0
        while True:
            page = reader.history(each, after=after, limit=MOST)
            for line in page.lines:
                yield pb.ChatMessage.FromString(line.message).messageSnowflake
            if not page.more:
                break
            after = page.lines[-1].sequence


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""
