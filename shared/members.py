"""Who is in the groups that our users address: asked again and again while somebody does. Pure.

The answers come from the group's chat service. `now` is in seconds, monotonic.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from shared.addresses import Group, User
from shared.messages import pb

FRESH = 1.0
"""Seconds between two questions about a group."""
SOON = 0.2
"""… where somebody who is no member yet, as far as we know, addresses it."""
KEPT = 60.0
"""Seconds for which the last answer counts while there is none."""

Answer = pb.GroupMembers


@dataclass(slots=True)
class _Group:
    asked: float
    """When we asked last; -inf: never."""
    members: frozenset[User] = frozenset()
    answered: float = 0.0
    authors: dict[User, float] = field(default_factory=dict)
    """Who addresses it, and until when; whoever is asked for next comes first."""
    refused: set[User] = field(default_factory=set)
    """Those of them who are no members, by the last answers."""


class Members:
    """The members of the groups that anybody here addresses now."""

    def __init__(self) -> None:
        self._groups: dict[Group, _Group] = {}
        self._requests: dict[int, tuple[Group, User]] = {}
        self._last_request = 0

    def want(self, author: User, group: Group, until: float) -> None:
        """Somebody addresses a group until then."""
        known = self._groups.setdefault(group, _Group(asked=float("-inf")))
        known.authors[author] = until

    def of(self, author: User, group: Group) -> frozenset[User]:
        """Whom an author reaches through the group; nobody where they are no member, or nothing is known."""
        known = self._groups.get(group)
        if known is None or author not in known.members:
            return frozenset()
        return known.members - {author}

    @property
    def is_wanted(self) -> bool:
        """Whether anybody addresses a group."""
        return bool(self._groups)

    def next_timeout(self) -> float | None:
        """When to call `due`."""
        return min((self._next(known) for known in self._groups.values()), default=None)

    @staticmethod
    def _next(known: _Group) -> float:
        unsure = any(a not in known.members and a not in known.refused for a in known.authors)
        return known.asked + (SOON if unsure else FRESH)

    def due(self, now: float) -> tuple[list[pb.GroupMembers], list[Group]]:
        """The questions to ask now, and the groups whose last answer no longer counts."""
        questions, changed = [], []
        for group, known in list(self._groups.items()):
            known.authors = {author: until for author, until in known.authors.items() if until > now}
            if not known.authors:
                del self._groups[group]
                continue
            if known.members and now - known.answered > KEPT:
                known.members = frozenset()
                changed.append(group)
            if self._next(known) <= now:
                questions.append(self._ask(group, known, now))
        return questions, changed

    def _ask(self, group: Group, known: _Group, now: float) -> pb.GroupMembers:
        known.asked = now
        asker = self._asker(known)
        known.authors[asker] = known.authors.pop(asker)
        self._last_request += 1
        self._requests[self._last_request] = (group, asker)
        for old in [number for number in self._requests if number <= self._last_request - 10_000]:
            del self._requests[old]
        return Answer(
            group=group.to_pb(), user=asker.to_pb(), request=self._last_request, result=Answer.Result.ASKED
        )

    @staticmethod
    def _asker(known: _Group) -> User:
        """First whoever is not known to be in or out, then members, then those who were refused: in turn."""

        def rank(author: User) -> int:
            return 2 if author in known.refused else int(author in known.members)

        return min(known.authors, key=rank)

    def answered(self, answer: pb.GroupMembers, now: float) -> Group | None:
        """Take an answer; the group whose members changed by it, if any."""
        group, asker = self._requests.pop(answer.request, (Group.of(answer.group), None))
        known = self._groups.get(group)
        if known is None or asker is None:
            return None
        before = known.members
        if answer.result == Answer.Result.OK:
            self._take(known, (User.of(member) for member in answer.members), now)
        elif answer.result == Answer.Result.NOT_A_MEMBER:
            known.refused.add(asker)
            known.members -= {asker}
            if known.refused >= known.authors.keys():
                known.members = frozenset()
        return group if known.members != before else None

    @staticmethod
    def _take(known: _Group, members: Iterable[User], now: float) -> None:
        known.members = frozenset(members)
        known.answered = now
        known.refused = {author for author in known.authors if author not in known.members}

    def unanswered(self) -> None:
        """The link to chat is new: whatever was asked is asked again."""
        self._requests.clear()
        for known in self._groups.values():
            known.asked = float("-inf")
