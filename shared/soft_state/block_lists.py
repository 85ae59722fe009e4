"""Blocks of our subscribers, as the node's chat process has them: asked for once each, then told of changes. Pure.

Until the first answer nobody's news is shown to them, for HOLD seconds: else a blocked person would be seen for a
moment each time. Where chat is away what it said last holds, and who was never answered for sees everybody.
`now` is in seconds, monotonic.
"""

from __future__ import annotations

import itertools
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from parley.shared.addresses import User
from parley.shared.wire.messages import pb

HOLD = 1.0
"""Seconds for which the first answer is waited for."""
NOBODY: frozenset[User] = frozenset()


@dataclass(slots=True)
class _List:
    wanted: float
    """Since when it is."""
    is_known: bool = False
    blocked: set[User] = field(default_factory=set)


class BlockLists:
    """The lists of those who are here."""

    def __init__(self) -> None:
        self._lists: dict[User, _List] = {}
        self._requests: dict[int, User] = {}
        self._numbers = itertools.count(1)

    def __len__(self) -> int:
        return len(self._lists)

    def want(self, user: User, now: float) -> pb.ChangeBlock | None:
        """Somebody is here; what to ask, where it is not known yet."""
        if user in self._lists:
            return None
        self._lists[user] = _List(wanted=now)
        return self._ask(user)

    def forget(self, user: User) -> None:
        """The user is here no longer."""
        self._lists.pop(user, None)

    def questions(self) -> list[pb.ChangeBlock]:
        """The questions for a new link: all of them."""
        self._requests.clear()
        return [self._ask(user) for user in self._lists]

    def _ask(self, user: User) -> pb.ChangeBlock:
        number = next(self._numbers)
        self._requests[number] = user
        return pb.ChangeBlock(of=user.to_pb(), request=number)

    def of(self, user: User, now: float) -> AbstractSet[User] | None:
        """The users whom somebody blocks; None: they are not known yet."""
        known = self._lists.get(user)
        if known is None:
            return NOBODY
        if not known.is_known and now < known.wanted + HOLD:
            return None
        return known.blocked

    def answered(self, answer: pb.BlockedUsers) -> tuple[User, set[User]] | None:
        """Take an answer: the user who asked, and the users about whom it says something new.

        None: it changes nothing that anybody could see.
        """
        user = self._requests.pop(answer.request, None)
        known = self._lists.get(user) if user is not None else None
        if user is None or known is None or not answer.ok:
            return None
        before, was_known = known.blocked, known.is_known
        known.blocked = {User.of(each) for each in answer.users}
        known.is_known = True
        changed = before ^ known.blocked
        return (user, changed) if changed or not was_known else None

    def changed(self, change: pb.ChangeBlock, *, is_blocked: bool) -> tuple[User, User] | None:
        """Somebody blocks somebody, or no longer: who, and whom. None: nobody who is here."""
        user, other = User.of(change.of), User.of(change.user)
        known = self._lists.get(user)
        if known is None or (other in known.blocked) == is_blocked:
            return None
        (known.blocked.add if is_blocked else known.blocked.discard)(other)
        return user, other
