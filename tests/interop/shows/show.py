"""What is to be shown beside the tables: a story with one existing program, and what must be so in it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from tests.interop.world import World


@dataclass(frozen=True)
class Form:
    """How long it takes."""

    seconds: int = 60
    """Beside an old server."""
    messages: int = 100
    """To and from a linking server, each."""
    every: float = 1.0
    """Seconds from one to the next."""
    kills: int = 2
    """How often each of the two is killed and started again."""


LONG: Final = Form()
SHORT: Final = Form(seconds=8, messages=20, every=0.1, kills=1)


@dataclass
class Story:
    """What was seen."""

    world: World
    form: Form
    claims: list[tuple[str, str]] = field(default_factory=list)
    """What must be so; what was instead, empty where it was so."""

    def claim(self, what: str, wanted: object, seen: object) -> None:
        """Something must be so."""
        self.claims.append((what, "" if wanted == seen else f"{seen}, not {wanted}"))

    def holds(self, what: str, so: object, instead: object = "no") -> None:
        """The same, of what is true or not; `instead` tells what was seen."""
        self.claims.append((what, "" if so else str(instead)))


Show = Callable[[Story], None]
