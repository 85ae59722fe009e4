"""A node under the shim, and three people: ann writes, bob is there, cat comes and goes. What they hear is noted.

| note | says |
|---|---|
| sent | ann's client gave a message to its link |
| told | ann's client was told a status |
| shown | a message came to bob's or cat's client, and was acknowledged |
| joined | somebody was told that they are a member of a group |
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from parley.services.chat.storage.bodies import LARGE
from tests.power.journal import Journal, Op, Record
from tests.support.nodes import Node, wait_linked, wait_until
from tests.support.plain_client import PlainClient
from tests.support.plain_link import Announced, Link
from tests.support.plain_tables import NAMES, SHEET

SERVER: Final = "alpha"
SERVICES: Final = ("discovery", "chat")
KEPT: Final = ("USER_AWAY", "OTHER_SERVER_TIMEOUT")
"""Statuses that say that a message is on a disk."""
FSYNC: Final = 0.004
"""Seconds that an fsync takes: whoever does not wait for it is ahead of it."""
RUN: Final = 20
"""Messages of each chapter."""
DAYS: Final = "30"
ARCHIVED: Final = 1.0
"""Seconds after which what was delivered stands in the archive (docs/privacy.md)."""
PATIENCE: Final = 120.0
"""Seconds that a process may take to start."""


class PatientNode(Node):
    """A node on a machine that does much else: a start that takes long is no fault of a cut's."""

    def wait_ready(self, *services: str, timeout: float = PATIENCE) -> None:
        """Wait until they are ready."""
        super().wait_ready(*services, timeout=timeout)


class RecordedNode(PatientNode):
    """A node under the shim, which is loaded as a process begins: so it is forked from none that runs already."""

    def _forked(self, *_: object) -> None:
        return None


class NotedClient(PlainClient):
    """A client that notes what it is told before it does anything about it."""

    journal: Journal | None = None
    names = NAMES | SHEET

    def on_frame(self, link: Link, name: str, fields: dict[str, Any]) -> bool:
        """Note it."""
        who = self.user["userId"]
        if self.journal is not None and name == "MESSAGE":
            self.journal.note(json.dumps({"shown": fields.get("messageSnowflake", 0), "to": who}))
        if self.journal is not None and name == "MESSAGE_ACK":
            for each in fields.get("statuses", []):
                status = each.get("status", "UNKNOWN_STATUS")
                self.journal.note(json.dumps({"told": fields.get("messageSnowflake", 0), "status": status}))
        if self.journal is not None and name == "GROUP_MEMBERS" and fields.get("result") == "SUCCESS":
            self.journal.note(json.dumps({"joined": who}))
        return super().on_frame(link, name, fields)

    def say(self, to: str, text: str, number: int = 0) -> int:
        """Write a text, or the same again, to somebody here, or at another server (NAME@SERVER); its number."""
        name, _, server_id = to.partition("@")
        fields: dict[str, Any] = {"user": {"userId": name, "serverId": server_id or SERVER}, "textContent": text}
        number = number or next_number()
        if self.journal is not None:
            self.journal.note(json.dumps({"sent": number, "to": to, "text": text}))
        self.send_message(fields | {"messageSnowflake": number})
        return number

    def join(self) -> None:
        """Become a member of a group."""
        group = {"groupId": "crew", "serverId": SERVER}
        self.connected["MESSAGES"].send("JOIN_GROUP", {"handle": 1, "group": group, "user": self.user})
        self.wait_frame("GROUP_MEMBERS", lambda fields: fields.get("result") == "SUCCESS")


_numbers = iter(range(1, 1 << 62))


def next_number() -> int:
    """A number that no other message here has."""
    return (1 << 40) + next(_numbers)


@dataclass
class Known:
    """The world's knowledge at some moment: what notes told so far."""

    sent: dict[int, tuple[str, str]] = field(default_factory=dict)
    """To whom, and the text, in order."""
    told: dict[int, list[str]] = field(default_factory=dict)
    shown: set[int] = field(default_factory=set)
    delivered_at: dict[int, float] = field(default_factory=dict)
    """When ann was told so."""
    joined: set[str] = field(default_factory=set)
    """Members, by what they were told."""
    identity: str = ""
    """The server's key, once somebody may know it."""
    now: float = 0.0
    """Seconds, monotonic."""

    def step(self, record: Record) -> None:
        """One step of the journal, which may be a note."""
        self.now = record.when
        if record.op is not Op.NOTE:
            return
        said = json.loads(record.data)
        if "sent" in said:
            self.sent[said["sent"]] = said["to"], said["text"]
        elif "told" in said:
            self.told.setdefault(said["told"], []).append(said["status"])
            if said["status"] == "DELIVERED":
                self.delivered_at[said["told"]] = record.when
        elif "shown" in said:
            self.shown.add(said["shown"])
        elif "joined" in said:
            self.joined.add(said["joined"])
        elif "identity" in said:
            self.identity = said["identity"]

    def copy(self) -> Known:
        """The same, to go on from."""
        return replace(self, sent=dict(self.sent), shown=set(self.shown))

    @property
    def kept(self) -> list[int]:
        """Messages that were told as kept, or as delivered, in order."""
        return [number for number in self.sent if {*KEPT, "DELIVERED"} & {*self.told.get(number, ())}]

    @property
    def unanswered(self) -> list[int]:
        """Messages whose author would send them again."""
        return [number for number in self.sent if not {"DELIVERED"} & {*self.told.get(number, ())}]


def settings_of(data: Path, keep: str = DAYS) -> dict[str, str]:
    """Settings of the node in which all of this happens."""
    return {"PARLEY_DATA_DIR": str(data), "PARLEY_HISTORY__KEEP": keep, "PARLEY_LINK__BACKOFF_MAX": "0.5"}


def client(name: str, address: str, node: Node, journal: Journal | None = None) -> NotedClient:
    """A client of somebody here."""
    made = NotedClient(name, SERVER, address)
    made.servers = [Announced(SERVER, node.address, {"MESSAGES": (6666, 0)})]
    made.journal = journal
    return made


def begin(one: NotedClient) -> None:
    """Connect; a client of which nothing is known yet is written to slowly, until it wrote to nobody."""
    one.connect()
    hello = one.send_text("nobody", SERVER, "hello")
    one.wait_status(hello, "USER_NOT_FOUND")


def record(directory: Path, journal: Journal, address: str, people: str, other: str = "") -> None:
    """Have the story happen, from an empty data directory on. `people`: their addresses, up to the last number.

    `other`: the address of a second server, that comes and is gone; empty: there is none.
    """
    data = journal.root / "data"
    settings = settings_of(data) | dict(journal.environment)
    with ExitStack() as stack:
        node = stack.enter_context(RecordedNode(SERVER, address, directory, SERVICES, settings))
        journal.note(json.dumps({"identity": (data / SERVER / "identity").read_text()}))
        ann = stack.enter_context(client("ann", people + "11", node, journal))
        begin(ann)
        with client("cat", people + "13", node) as cat:
            begin(cat)
        wait_until(lambda: node.status("chat")["subscribers"] == 1, what="cat is away")
        with client("bob", people + "12", node, journal) as bob:
            begin(bob)
            bob.join()
            _to_one_who_is_there(ann, "bob")
            journal.pages(data / SERVER / "delivered.keys")
            _to_one_who_is_away(ann, "cat", "first")
            with client("cat", people + "13", node, journal) as cat:
                begin(cat)
                cat.join()
                for number in known_of(journal.records()).unanswered:
                    ann.wait_status(number, "DELIVERED")
            wait_until(lambda: node.status("chat")["subscribers"] == 2, what="cat is away")
            _to_both(ann)
            journal.pages(data / SERVER / "delivered.keys")
        over = time.monotonic() + ARCHIVED
        wait_until(lambda: time.monotonic() > over, what="all that was delivered is to stand in the archive by now")
        _to_one_who_is_away(ann, "bob", "last")
        if other:
            with PatientNode("beta", other, directory, SERVICES) as beta:
                wait_linked([node, beta], ["chat"])
            for n in range(RUN):
                ann.wait_status(ann.say("bea@beta", f"to a server that is away {n}"), "OTHER_SERVER_TIMEOUT")


def known_of(records: Iterable[Record]) -> Known:
    """What the notes among these records tell."""
    known = Known()
    for each in records:
        known.step(each)
    return known


def _to_one_who_is_there(ann: NotedClient, whom: str) -> None:
    for number in [ann.say(whom, f"there {n}") for n in range(RUN)]:
        ann.wait_status(number, "DELIVERED")


def _to_one_who_is_away(ann: NotedClient, whom: str, what: str) -> None:
    """One at a time: each is a moment of its own."""
    for n in range(RUN):
        ann.wait_status(ann.say(whom, f"{what} {n}"), "USER_AWAY")
    large = f"{what}, large ".ljust(LARGE, ".")
    ann.wait_status(ann.say(whom, large), "USER_AWAY")


def _to_both(ann: NotedClient) -> None:
    """One is there and the other is away, many at a time."""
    away = [ann.say("cat", f"both {n}") for n in range(RUN)]
    there = [ann.say("bob", f"both {n}") for n in range(RUN)]
    for number in away:
        ann.wait_status(number, "USER_AWAY")
    for number in there:
        ann.wait_status(number, "DELIVERED")
