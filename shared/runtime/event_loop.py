"""The event loop that every program of ours runs on."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any


def run_loop(main_coroutine: Coroutine[Any, Any, None]) -> None:
    """Run on uvloop where there is one (a hop costs 15 µs instead of asyncio's 40)."""
    try:
        import uvloop  # noqa: PLC0415 - absent on Windows, and in an installation without the extra [node]
    except ImportError:
        asyncio.run(main_coroutine)
    else:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(main_coroutine)
