"""Changes that last, and are told of in turn: many come at once, and what is answered to each may be long."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from parley.services.chat.groups.requests import Changes
from parley.shared.addresses import User
from parley.shared.runtime.steps import Steps, Task

Done = Callable[[bool], None]


class PacedChanges:
    """The same changes as `changes` makes."""

    def __init__(self, changes: Changes, steps: Steps) -> None:
        self._changes = changes
        self._steps = steps

    def join(self, group: str, user: User, done: Done) -> None:
        """Make somebody a member."""
        self._changes.join(group, user, self._later(done))

    def leave(self, group: str, user: User, done: Done) -> None:
        """Make somebody no member."""
        self._changes.leave(group, user, self._later(done))

    def forget_member(self, group: str, user: User, done: Done) -> None:
        """Know nothing of somebody's having been a member."""
        self._changes.forget_member(group, user, self._later(done))

    def set_history(self, group: str, is_off: bool, done: Done) -> None:
        """Note whether servers are to keep nothing of what is written in a group."""
        self._changes.set_history(group, is_off, self._later(done))

    def block(self, user: str, other: User, done: Done) -> None:
        """Note that one of our users takes nothing from another user."""
        self._changes.block(user, other, self._later(done))

    def unblock(self, user: str, other: User, done: Done) -> None:
        """Note that they do again."""
        self._changes.unblock(user, other, self._later(done))

    def _later(self, done: Done) -> Done:
        return lambda is_safe: self._steps.add(_one_step(partial(done, is_safe)))


def _one_step(call: Callable[[], None]) -> Task:
    yield
    call()
