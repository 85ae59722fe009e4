"""Conversations of people with two devices: what was written, what all lists say, what is wrong with them. Pure.

Lists are what a person's server answers to HISTORY, and the copies that their devices keep by SYNC. So much is
promised of their order today (docs/reliability.md):

- Both devices of a person hold their server's list of each conversation, line for line, in its order.
- The lists of two people, or of a group's members, hold the same messages; in each of them those that one device
  wrote stand in the order in which it wrote them. How those of several authors lie between one another may differ
  from person to person, but not in a group: its server gives its messages one order, which all members' lists have.
- A message that its author deleted is deleted everywhere, and others read as the greatest revision says.

A chat process that is killed while its disk is full takes with it what its archive was told of in the last moment
before: its journal had no room. So a message or an edit may be missing at a server if something happened to it near
such a kill (`Kill`), and for no other reason. How many are is counted.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from types import MappingProxyType
from typing import Final, NamedTuple

from tests.chaos.ledger import INTERIM, PROMISES, REFUSALS, person

GRACE: Final = 1.0
"""Seconds before a kill in which the archive may not have written yet what people were told."""
LATE: Final = 8.0
"""Seconds after a chat process runs again in which its users may hear what it did before it was killed."""
MOST_UNREAD: Final = 1000
"""A server counts no further."""

KINDS: Final = {
    "unlike": "a device's copy is not what its person's server has",
    "missing": "promised, and not in a list; nothing was killed near it",
    "twice": "twice in a list, or shown or told of twice at one device",
    "disordered": "in a list before an earlier one of the same author's device",
    "forgotten": "read so far, as its server confirmed, and no more in the end",
    "unequal": "in two members' lists of a group in two orders",
    "unrevised": "reads otherwise than its newest revision",
    "kept": "bytes of a deleted text are in a device's copy",
    "unanswered": "its author was told nothing of it, or its line has no final status",
    "denied": "refused, and in its recipient's list all the same",
    "strange": "nobody wrote it so",
}


class Kill(NamedTuple):
    """A chat process that ended without a word, and what it could not write: as far as what followed reaches."""

    node: str
    began: float
    ended: float

    def reaches(self, node: str, at: float) -> bool:
        """Whether it may have taken what people of that node saw at that time."""
        return node == self.node and self.began - GRACE <= at <= self.ended + LATE


class Line(NamedTuple):
    """One line of a list. `snowflake`: of the message; 0: it is gone, though nobody deleted it."""

    sequence: int
    snowflake: int
    text: str
    is_deleted: bool
    received: bool
    status: str


class Lists(NamedTuple):
    """All conversations of a person: lines, the oldest first, and how many are unread (MOST_UNREAD at most)."""

    lines: dict[str, list[Line]]
    unread: dict[str, int]
    read: Mapping[str, int] = MappingProxyType({})
    """Up to which sequence each was read, as a server says; a device's copy does not tell."""

    def is_like(self, other: Lists) -> bool:
        """Whether they say the same."""
        return self[:2] == other[:2]


@dataclass(slots=True)
class Post:
    """A text that somebody wrote, or a change of one. Times are seconds of the run."""

    number: int
    device: str
    to: str
    """USER@SERVER or #GROUP@SERVER."""
    at: float
    text: str
    """Empty: a deletion."""
    snowflake: int = 0
    target: int = 0
    """The snowflake of the message that it changes; 0: it is one."""
    revision: int = 0
    statuses: list[tuple[float, str, str]] = field(default_factory=list)
    """When, of whom (a member, or the recipient), and which."""
    shown: list[tuple[float, str]] = field(default_factory=list)
    """When, and at which device."""

    @property
    def author(self) -> str:
        """The person."""
        return person(self.device)

    @property
    def is_for_group(self) -> bool:
        """Whether it is written to a group."""
        return self.to.startswith("#")

    @property
    def told(self) -> set[str]:
        """All statuses that were heard."""
        return {status for *_, status in self.statuses}

    @property
    def moments(self) -> list[float]:
        """Whenever something happened to it at a server, as far as people saw."""
        return [at for at, *_ in (*self.statuses, *self.shown)]

    def is_promised_to(self, reader: str) -> bool:
        """Whether it has to be in this person's list."""
        whose = (reader,) if self.is_for_group and reader != self.author else None
        return any(status in PROMISES for _, who, status in self.statuses if whose is None or who in whose)

    def __str__(self) -> str:
        what = f"changes {self.target} to {self.text[:20]!r} by {self.revision}" if self.target else "text"
        heard = ", ".join(f"{status} of {who} at {at:.2f}" for at, who, status in self.statuses) or "nothing"
        shown = ", ".join(f"at {device} at {at:.2f}" for at, device in self.shown) or "never"
        return (
            f"{self.number} {self.device} → {self.to}, {what}, sent {self.at:.2f}; heard {heard}; shown {shown} "
            f"({self.snowflake})"
        )


@dataclass(frozen=True)
class Wrong:
    """One thing that must not be: one of KINDS, and of which message, if of one."""

    kind: str
    detail: str
    post: Post | None = None

    def __str__(self) -> str:
        return f"{self.detail}{f'; {self.post}' if self.post is not None else ''}"


class Record:
    """The record of a run. `groups`: the members of each."""

    def __init__(self, groups: Mapping[str, Sequence[str]]) -> None:
        self.groups = groups
        self.posts: dict[int, Post] = {}
        """By snowflake."""
        self.noted: list[Wrong] = []
        """What was wrong as it came."""
        self.excused: Counter[str] = Counter()
        """How many messages, and changes, a killed process took with it, by server."""
        self._changes: dict[int, list[Post]] = defaultdict(list)
        self._marks: dict[tuple[str, str], list[tuple[float, int]]] = defaultdict(list)
        """When, and up to which sequence, a person's server confirmed that a conversation was read."""

    # As it goes -----------------------------------------------------------------------------------

    def sent(self, post: Post) -> None:
        """Note what was written."""
        if post.snowflake in self.posts:
            self.noted.append(Wrong("strange", f"two have the number {post.snowflake}", post))
        self.posts[post.snowflake] = post
        if post.target:
            self._changes[post.target].append(post)

    def heard(self, snowflake: int, whose: str, status: str, at: float) -> None:
        """Its author was told."""
        self._known(snowflake, f"a status {status} of").statuses.append((at, whose, status))

    def shown(self, snowflake: int, device: str, at: float) -> None:
        """It was given to whoever sits at a device."""
        post = self._known(snowflake, f"shown at {device}:")
        if any(each == device for _, each in post.shown):
            self.noted.append(Wrong("twice", f"shown again at {device} at {at:.2f}", post))
        if person(device) not in self._readers(post) or person(device) == post.author:
            self.noted.append(Wrong("strange", f"shown at {device}, whom it is not for", post))
        post.shown.append((at, device))

    def read(self, reader: str, conversation: str, sequence: int, at: float) -> None:
        """A person's server confirmed that they have read so far."""
        self._marks[reader, conversation].append((at, sequence))

    def _known(self, snowflake: int, what: str) -> Post:
        post = self.posts.get(snowflake)
        if post is None:
            post = Post(0, "?", "?", 0.0, "", snowflake)
            self.noted.append(Wrong("strange", f"{what} {snowflake}, which nobody wrote"))
        return post

    def is_deleted(self, snowflake: int) -> bool:
        """Whether its author has deleted a message, however far that came."""
        return any(not change.text for change in self._changes[snowflake])

    @property
    def unanswered(self) -> list[Post]:
        """Whatever has an author who was told nothing of it yet."""
        return [each for each in self.posts.values() if not each.statuses]

    # In the end -------------------------------------------------------------------------------------

    def wrong(
        self, servers: Mapping[str, Lists], devices: Mapping[str, Lists], kills: Sequence[Kill]
    ) -> Iterator[Wrong]:
        """All that must not be, once all is quiet: by what each person's server says, and each device has."""
        self.excused.clear()
        yield from self.noted
        yield from (Wrong("unanswered", "its author heard nothing", each) for each in self.unanswered)
        for device, lists in devices.items():
            yield from _unlike(device, lists, servers[person(device)])
        present = {reader: self._snowflakes(lists) for reader, lists in servers.items()}
        for post in self.posts.values():
            if not post.target:
                yield from self._missing(post, present, kills)
        yield from self._unequal(servers)
        yield from self._forgotten(servers, kills)
        for reader, lists in servers.items():
            for conversation, lines in lists.lines.items():
                yield from self._in_list(reader, conversation, lines, kills)

    def _forgotten(self, servers: Mapping[str, Lists], kills: Sequence[Kill]) -> Iterator[Wrong]:
        """Where a server has a mark of reading no more, though no kill may have taken it."""
        for (reader, conversation), marks in self._marks.items():
            lists, node = servers[reader], reader.partition("@")[2]
            last = max((line.sequence for line in lists.lines.get(conversation, ())), default=0)
            sure = (mark for at, mark in marks if not any(kill.reaches(node, at) for kill in kills))
            wanted, has = min(max(sure, default=0), last), lists.read.get(conversation, 0)
            if has < wanted:
                yield Wrong("forgotten", f"{reader} read {conversation} up to {wanted}, and in the end to {has}")

    def _unequal(self, servers: Mapping[str, Lists]) -> Iterator[Wrong]:
        """Where two members of a group have what both have in two orders: the first message of each two lists."""
        for group, members in self.groups.items():
            orders = [[*self._in_order(servers[each].lines.get(group, ()))] for each in members]
            for (one, mine), (other, theirs) in combinations(zip(members, orders, strict=True), 2):
                both = set(mine) & set(theirs)
                pairs = zip(filter(both.__contains__, mine), filter(both.__contains__, theirs), strict=False)
                for here, there in pairs:
                    if here != there:
                        text = f"in {one}'s list of {group} where {there} is in {other}'s"
                        yield Wrong("unequal", text, self.posts.get(here))
                        break

    def _in_order(self, lines: Iterable[Line]) -> Iterator[int]:
        """The messages whose place is sure: one that is deleted while it waits may have no number yet."""
        return (line.snowflake for line in lines if not self.is_deleted(line.snowflake))

    def _readers(self, post: Post) -> Sequence[str]:
        """Everybody who is to have it."""
        return self.groups[post.to] if post.is_for_group else (post.author, post.to)

    def _snowflakes(self, lists: Lists) -> dict[str, set[int]]:
        return {other: {line.snowflake for line in lines} for other, lines in lists.lines.items()}

    def _missing(
        self, post: Post, present: Mapping[str, dict[str, set[int]]], kills: Sequence[Kill]
    ) -> Iterator[Wrong]:
        """Where a message is not though it was promised, or though others have it; and where it may not be."""
        has = {r for r in self._readers(post) if post.snowflake in present[r].get(_conversation(post, r), ())}
        for reader in self._readers(post):
            is_due = post.is_promised_to(reader) or (reader == post.author and has)
            if self._is_taken_back(post, reader, has):
                continue
            if reader not in has and is_due and not self._is_excused(post, reader, kills):
                yield Wrong("missing", f"not in the list of {reader}", post)
        refused = bool(post.told & REFUSALS) and not post.told & PROMISES
        # A deletion gives up what waits, though a process before, which is gone, may have passed the same on.
        refused = refused and not self.is_deleted(post.snowflake)
        for reader in has - {post.author}:
            if refused:
                yield Wrong("denied", f"in the list of {reader}", post)

    def _is_taken_back(self, post: Post, reader: str, has: set[str]) -> bool:
        """Whether its author deleted it while it waited for that reader, or, for its author, for everybody."""
        if not self.is_deleted(post.snowflake):
            return False
        if reader == post.author:
            return not has
        return not any(status == "DELIVERED" and who in (reader, post.to) for _, who, status in post.statuses)

    def _is_excused(self, post: Post, reader: str, kills: Sequence[Kill]) -> bool:
        """Whether it may have gone with a process of this person's server; if so, count it."""
        node = reader.partition("@")[2]
        excused = any(kill.reaches(node, at) for kill in kills for at in post.moments)
        self.excused[node] += excused
        return excused

    def _in_list(
        self, reader: str, conversation: str, lines: Sequence[Line], kills: Sequence[Kill]
    ) -> Iterator[Wrong]:
        """All that one list shows by itself."""
        where = f"{reader}'s list of {conversation}"
        newest: dict[str, int] = {}
        counted = Counter(line.snowflake for line in lines)
        for line in lines:
            post = self.posts.get(line.snowflake)
            if post is None or post.target or _conversation(post, reader) != conversation:
                yield Wrong("strange", f"in {where}: {line}")
                continue
            if counted[line.snowflake] > 1:
                yield Wrong("twice", f"in {where} as {line.sequence}", post)
            elif not self.is_deleted(
                post.snowflake
            ):  # which takes it back where it waits: it may come again, later
                if post.number < newest.get(post.device, 0):
                    yield Wrong("disordered", f"in {where} behind {newest[post.device]}", post)
                newest[post.device] = max(post.number, newest.get(post.device, 0))
            yield from self._of_line(reader, where, line, post, kills)

    def _of_line(self, reader: str, where: str, line: Line, post: Post, kills: Sequence[Kill]) -> Iterator[Wrong]:
        if line.received is not (reader != post.author):
            yield Wrong("strange", f"in {where} as {'received' if line.received else 'sent'}", post)
        has_status = bool(line.status) and line.status not in INTERIM
        is_due = not line.received and not post.is_for_group and not has_status
        if is_due and not self._is_excused(post, reader, kills):
            yield Wrong("unanswered", f"{line.status or 'no status'} in {where}", post)
        if line.text not in self._readings(reader, post, kills) or line.is_deleted is not (not line.text):
            changes = "".join(f"\n        {change}" for change in self._changes[post.snowflake])
            yield Wrong("unrevised", f"{line.text[:20]!r} in {where}{changes}", post)

    def _readings(self, reader: str, post: Post, kills: Sequence[Kill]) -> Iterator[str]:
        """Its text after the newest change; and before those that a killed process may have taken with it.

        One that its author was not promised may have come, or not.
        """
        for change in sorted(
            self._changes[post.snowflake],
            key=lambda each: (not each.text, each.revision, each.snowflake),
            reverse=True,
        ):
            is_refused = bool(change.told & REFUSALS) and not change.told & PROMISES
            if not is_refused:
                yield change.text
            if change.is_promised_to(reader) and not self._is_excused(change, reader, kills):
                return
        yield post.text

    def deleted_texts(self, lists: Lists) -> Iterator[tuple[Post, str]]:
        """Texts that no device of the person with these lists may have: of a deleted line all that it ever was."""
        for line in (line for lines in lists.lines.values() for line in lines if line.is_deleted):
            if (post := self.posts.get(line.snowflake)) is not None:
                yield from ((post, each.text) for each in (post, *self._changes[post.snowflake]) if each.text)


def _conversation(post: Post, reader: str) -> str:
    """As which conversation a person has it."""
    return post.to if post.is_for_group or reader == post.author else post.author


def _unlike(device: str, lists: Lists, server: Lists) -> Iterator[Wrong]:
    """Where a device's copy and its server's lists differ: the first line of each conversation."""
    for other in sorted({*lists.lines, *server.lines}):
        here, there = lists.lines.get(other, []), server.lines.get(other, [])
        if here != there:
            yield Wrong("unlike", f"{device} has of {other} {_difference(here, there)}")
        elif lists.unread.get(other, 0) != server.unread.get(other, 0):
            unread = lists.unread.get(other, 0), server.unread.get(other, 0)
            yield Wrong("unlike", f"{device} has {unread[0]} unread of {other}, its server {unread[1]}")


def _difference(here: Iterable[Line], there: Iterable[Line]) -> str:
    mine, theirs = list(here), list(there)
    for one, other in zip(mine, theirs, strict=False):
        if one != other:
            return f"{one} in place of {other} ({len(mine)} lines, {len(theirs)})"
    return f"{len(mine)} lines of {len(theirs)}"


def figures(record: Record, lists: Mapping[str, Lists]) -> list[str]:
    """The counts, a line each."""
    posts = record.posts.values()
    lines = [line for each in lists.values() for lines in each.lines.values() for line in lines]
    texts = [each for each in posts if not each.target]
    edits = sum(bool(each.text) for each in posts if each.target)
    groups = sum(each.is_for_group for each in texts)
    excused = ", ".join(f"{count} at {node}" for node, count in sorted(record.excused.items())) or "none"
    deletions = len(posts) - len(texts) - edits
    count, deleted = sum(len(each.lines) for each in lists.values()), sum(each.is_deleted for each in lines)
    return [
        f"conversations      {len(texts)} texts, {groups} of them to groups, {edits} edits, {deletions} deletions",
        f"lists              {count} of {len(lists)} people, {len(lines)} lines, {deleted} deleted",
        f"gone with a kill   {excused}",
    ]


def failures(wrong: Sequence[Wrong], shown: int) -> list[str]:
    """All that is wrong, by kind, the first few of each."""
    found = []
    for kind, meaning in KINDS.items():
        those = [each for each in wrong if each.kind == kind]
        if those:
            found.append(f"{len(those)} {kind}: {meaning}")
            found += [f"    {each}" for each in those[:shown]]
        if len(those) > shown:
            found.append(f"    … and {len(those) - shown} more")
    return found
