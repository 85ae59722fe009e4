"""Structured logs: constant events, variables as fields; JSON off a terminal, for people on one.

Never a message's text nor coordinates.
"""

from __future__ import annotations

import contextlib
import logging
import sys
from typing import TextIO, cast

_without_rich = sys.modules.setdefault("rich", None) is None  # type: ignore[arg-type] # None: no such module
import structlog  # noqa: E402 - it imports rich where it finds it: 50 ms and 4 MiB that no process of a node needs

if _without_rich:
    del sys.modules["rich"]

from shared.config import LogConfig  # noqa: E402


class _Lossy:
    """A stream that drops what it cannot write: a full disk behind the log, or a closed pipe, stops no process."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        with contextlib.suppress(OSError, ValueError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            self._stream.flush()


Log = structlog.typing.FilteringBoundLogger


def configure(config: LogConfig) -> None:
    """Set up structlog for this process; everything goes to standard error."""
    console = config.format == "console" or (config.format == "auto" and sys.stderr.isatty())
    renderer: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer() if console else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[config.level.upper()]),
        logger_factory=structlog.WriteLoggerFactory(cast("TextIO", _Lossy(sys.stderr))),
        cache_logger_on_first_use=True,
    )


def get(**fields: object) -> Log:
    """A logger with fields bound; in a program that configured none it tells warnings, on standard error."""
    if not structlog.is_configured():
        configure(LogConfig(level="warning"))
    log: Log = structlog.get_logger(**fields)
    return log
