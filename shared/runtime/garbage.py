"""Python's garbage collector, in a process that answers within milliseconds: it never looks at much at once.

No message makes a cycle, and a link breaks its own at its end: so there is hardly anything to collect, and a look
at all that lives (a hundred thousand messages on their way, say) holds up everybody for a tenth of a second. What
outlived two looks is therefore set aside (`gc.freeze`), and looked at with everything else once in ALL_EVERY.
"""

from __future__ import annotations

import asyncio
import gc
from typing import Any, Final

AFTER: Final = 5_000
"""New objects after which the collector looks at those (Python: 700)."""
YOUNG: Final = 3
"""Looks after which it looks once more at what is left of all of them (Python: 10)."""
ALL_EVERY: Final = 3600.0
"""Seconds between two looks at everything."""


def spare() -> None:
    """Look at nothing that was imported, and from now on at little at once.

    Nor at what was set aside before a fork: looking would copy each of its pages, which all the children share.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(AFTER, YOUNG, 1)
    if _set_aside not in gc.callbacks:
        gc.callbacks.append(_set_aside)


def _set_aside(phase: str, info: dict[str, Any]) -> None:
    """Called by the collector: what it has looked at twice it need not look at again."""
    if phase == "stop" and info["generation"] > 0:
        gc.freeze()


def collect_all() -> None:
    """Look at everything, set aside or not."""
    gc.unfreeze()
    gc.collect()
    gc.freeze()


async def collect_now_and_then() -> None:
    """Find, late, the cycles of what had been set aside."""
    await asyncio.sleep(ALL_EVERY)
    collect_all()
