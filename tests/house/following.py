"""Follow calls through the product's modules, and count how often a reader who follows has to go back.

A *module* is a file of services/chat (or shared), whatever it is called and wherever the folder is linked to. A
*leg* is all that one call from the event loop leads to: the handling of one read, or a timer. A leg *enters* a
module by a call from another module of services/chat, or from outside of services/chat where none is being left
for it. That a call returns to who made it enters nothing, and neither does a call within a module, by itself or by
way of shared. Entries of one module that follow each other are one *visit*. A visit to a module that was left
before in this leg is a *return*: the sequence of visits is A … B … A.

Apart from that, the visits that were made with the message *in hand* are counted for themselves: within a call that
was handed the message (its frame, or what was read from that). The others are what is done once a read, whatever
came in it: what was gathered is told, and timers are set.
"""

from __future__ import annotations

import functools
import itertools
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType, FrameType
from typing import NamedTuple

CHAT, SHARED = "services/chat/", "shared/"
EXPRESSIONS = ("<listcomp>", "<setcomp>", "<dictcomp>", "<genexpr>", "<module>")
"""What Python calls like a function in some versions and not in others: no calls of anybody's."""
OF_A_MESSAGE = ("messageSnowflake", "payload")
"""What a message has, or the frame that it came in."""


class Call(NamedTuple):
    """One call: of a function in a module (its path without .py), at a depth of the product's own calls."""

    module: str
    function: str
    depth: int
    is_handed_message: bool = False


@dataclass
class Visit:
    """A module that was entered, and what was called in it until another was."""

    module: str
    functions: list[str] = field(default_factory=list)
    is_return: bool = False
    is_in_hand: bool = False


@dataclass
class Leg:
    """What followed from one call of the event loop's, at one server."""

    server: str
    reads: str = ""
    """The name of the frame that was handled; empty: none."""
    calls: list[Call] = field(default_factory=list)

    @property
    def visits(self) -> list[Visit]:
        """The visits to modules of chat, in order."""
        visits: list[Visit] = []
        last: dict[str, Visit] = {}
        above: list[tuple[Call, bool]] = []
        for call in self.calls:
            while above and above[-1][0].depth >= call.depth:
                above.pop()
            in_hand = call.is_handed_message or (bool(above) and above[-1][1])
            if call.module.startswith(CHAT):
                caller = next((each.module for each, _ in reversed(above) if each.module.startswith(CHAT)), "")
                if caller != call.module and not (visits and visits[-1].module == call.module):
                    visits.append(Visit(call.module, is_return=call.module in last, is_in_hand=in_hand))
                    last[call.module] = visits[-1]
                functions = last[call.module].functions
                if call.function not in functions:
                    functions.append(call.function)
            above.append((call, in_hand))
        return visits

    @property
    def shared(self) -> dict[str, list[str]]:
        """The modules of shared, in the order in which they were entered first, with what was called in them."""
        found: dict[str, list[str]] = {}
        for call in self.calls:
            if call.module.startswith(SHARED) and call.function not in found.setdefault(call.module, []):
                found[call.module].append(call.function)
        return found

    @property
    def modules(self) -> set[str]:
        """The modules of chat that it passed."""
        return {visit.module for visit in self.visits}

    @property
    def returns(self) -> int:
        """How many visits were returns."""
        return returns([visit.module for visit in self.visits])

    @property
    def returns_in_hand(self) -> int:
        """How many are, where only those with the message in hand are looked at."""
        return returns([visit.module for visit in self.visits if visit.is_in_hand])


def returns(modules: Sequence[str]) -> int:
    """How many of these are where they were before, with others between."""
    visits = [module for module, _ in itertools.groupby(modules)]
    return len(visits) - len(set(visits))


class Follower:
    """Writes down the legs of what runs while `follow` does."""

    def __init__(self, root: Path) -> None:
        self._root = os.path.realpath(root)
        self.legs: list[Leg] = []
        self._module = functools.lru_cache(maxsize=None)(self._find_module)

    @contextmanager
    def follow(self, server: str) -> Iterator[None]:
        """Follow what this thread runs, as this server's."""
        above: list[bool] = []
        depth = 0

        def profile(frame: FrameType, event: str, _argument: object) -> None:
            nonlocal depth
            if event == "call":
                code = frame.f_code
                module = self._module(code)
                if module:
                    if depth == 0:
                        self.legs.append(Leg(server))
                    self._note(self.legs[-1], frame, module, depth)
                    depth += 1
                above.append(bool(module))
            elif event == "return" and above and above.pop():
                depth -= 1

        sys.setprofile(profile)
        try:
            yield
        finally:
            sys.setprofile(None)

    @staticmethod
    def _note(leg: Leg, frame: FrameType, module: str, depth: int) -> None:
        code = frame.f_code
        names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
        message = None
        if module.startswith(CHAT):
            arguments = [frame.f_locals.get(name) for name in names]
            message = next((each for each in arguments if _is_message(each)), None)
            leg.reads = leg.reads or str(getattr(message, "name", "") or "")
        leg.calls.append(Call(module, code.co_qualname, depth, message is not None))

    def _find_module(self, code: CodeType) -> str:
        """The module that some code is of; empty: none that is followed."""
        path = os.path.relpath(os.path.realpath(code.co_filename), self._root)
        is_followed = path.startswith((CHAT, SHARED)) and not code.co_qualname.endswith(EXPRESSIONS)
        return path.removesuffix(".py") if is_followed else ""


def _is_message(value: object) -> bool:
    return any(hasattr(value, name) for name in OF_A_MESSAGE)
