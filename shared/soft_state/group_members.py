"""Members of the groups that our users address: asked for again and again while somebody does. Pure.

The answers come from the group's chat service. `now` is in seconds, monotonic.
"""

from __future__ import annotations

import itertools
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush

from parley.shared.addresses import Group, User
from parley.shared.wire.messages import pb

FRESH = 1.0
"""Seconds between two questions about a group."""
SOON = 0.2
"""… where somebody who is no member yet, as far as we know, addresses it."""
KEPT = 60.0
"""Seconds for which the last answer counts while there is none."""
MOST_GROUPS = 100_000
"""Groups that are addressed at once; of more nobody is reached."""
MOST_ASKED = 10_000
"""Questions without an answer."""
QUESTIONS = 500
"""Questions at a time: what is due beyond them comes next."""
SLACK = 1000
"""Times that matter no more, held at most beyond as many as there are groups."""

OUTSIDE = frozenset({pb.GroupMembers.NOT_A_MEMBER, pb.GroupMembers.NO_GROUPS_THERE})
"""Reasons for which the asker is no member for certain."""


@dataclass(slots=True)
class _Group:
    asked: float
    """When we asked last; -inf: never."""
    members: frozenset[User] = frozenset()
    answered: float = 0.0
    authors: dict[User, float] = field(default_factory=dict)
    """The users who address it, and until when; the one that is asked for next comes first."""
    refused: set[User] = field(default_factory=set)
    """Those of them who are no members, by the last answers."""
    is_unsure: bool = True
    """Whether somebody addresses it of whom it is not known whether they are a member."""
    due: float = float("-inf")
    """When to ask next."""


class Members:
    """The members of the groups that anybody here addresses now."""

    def __init__(self) -> None:
        self._groups: dict[Group, _Group] = {}
        self._due: list[tuple[float, int, Group]] = []
        """A heap; a time counts while it is the group's."""
        self._tie = itertools.count()
        self._requests: OrderedDict[int, tuple[Group, User]] = OrderedDict()
        self._last_request = 0

    def want(self, author: User, group: Group, until: float) -> bool:
        """Somebody addresses a group until then; False where too many groups are addressed already."""
        known = self._groups.get(group)
        if known is None:
            if len(self._groups) >= MOST_GROUPS:
                return False
            known = self._groups[group] = _Group(asked=float("-inf"))
            self._schedule(group, known)
        known.authors[author] = until
        if not known.is_unsure and author not in known.members and author not in known.refused:
            known.is_unsure = True
            self._schedule(group, known)
        return True

    def _schedule(self, group: Group, known: _Group) -> None:
        """Set the time of the next question, after an answer or a question."""
        known.due = known.asked + (SOON if known.is_unsure else FRESH)
        heappush(self._due, (known.due, next(self._tie), group))
        if len(self._due) > 2 * len(self._groups) + SLACK:
            self._due = [due for due in self._due if self._counts(due)]
            heapify(self._due)

    def _counts(self, due: tuple[float, int, Group]) -> bool:
        known = self._groups.get(due[2])
        return known is not None and known.due == due[0]

    def of(self, author: User, group: Group) -> frozenset[User]:
        """The users whom an author reaches through the group; none where the author is no member."""
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
        while self._due and not self._counts(self._due[0]):
            heappop(self._due)
        return self._due[0][0] if self._due else None

    def due(self, now: float) -> tuple[list[pb.QueryGroupMembers], list[Group]]:
        """The questions to ask now, and the groups whose last answer no longer counts."""
        questions: list[pb.QueryGroupMembers] = []
        changed: list[Group] = []
        while len(questions) < QUESTIONS and (due := self.next_timeout()) is not None and due <= now:
            group = heappop(self._due)[2]
            known = self._groups[group]
            known.authors = {author: until for author, until in known.authors.items() if until > now}
            if not known.authors:
                del self._groups[group]
                continue
            if known.members and now - known.answered > KEPT:
                known.members = frozenset()
                changed.append(group)
            questions.append(self._ask(group, known, now))
        return questions, changed

    def _ask(self, group: Group, known: _Group, now: float) -> pb.QueryGroupMembers:
        known.asked = now
        asker = self._asker(known)
        known.authors[asker] = known.authors.pop(asker)
        self._find_out(group, known)
        self._last_request += 1
        self._requests[self._last_request] = (group, asker)
        if len(self._requests) > MOST_ASKED:
            self._requests.popitem(last=False)
        return pb.QueryGroupMembers(group=group.to_pb(), user=asker.to_pb(), request=self._last_request)

    def _find_out(self, group: Group, known: _Group) -> None:
        known.is_unsure = any(a not in known.members and a not in known.refused for a in known.authors)
        self._schedule(group, known)

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
        if answer.result == pb.GroupMembers.SUCCESS:
            self._set_members(known, (User.of(member) for member in answer.user), now)
        elif answer.reason in OUTSIDE:
            known.refused.add(asker)
            known.members -= {asker}
            if known.refused >= known.authors.keys():
                known.members = frozenset()
        self._find_out(group, known)
        return group if known.members != before else None

    @staticmethod
    def _set_members(known: _Group, members: Iterable[User], now: float) -> None:
        known.members = frozenset(members)
        known.answered = now
        known.refused = {author for author in known.authors if author not in known.members}

    def unanswered(self) -> None:
        """The link to chat is new: whatever was asked is asked again."""
        self._requests.clear()
        for group, known in self._groups.items():
            known.asked = float("-inf")
            self._schedule(group, known)
