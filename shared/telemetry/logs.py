"""Structured logs: constant events, variables as fields; JSON off a terminal, for people on one.

Never a message's text nor coordinates.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import MutableMapping
from typing import Any, Final, TextIO, cast

_without_rich = sys.modules.setdefault("rich", None) is None  # type: ignore[arg-type] # None: no such module
import structlog  # noqa: E402 - it imports rich where it finds it: 50 ms and 4 MiB that no process of a node needs

if _without_rich:
    del sys.modules["rich"]

from parley.shared.config import LogConfig  # noqa: E402
from parley.shared.errors import ParleyError  # noqa: E402
from parley.shared.printable import one_line, printable  # noqa: E402
from parley.shared.sockets.descriptors import STANDARD_ERROR, write_within  # noqa: E402

Log = structlog.typing.FilteringBoundLogger
WRITE_TIMEOUT: Final = 0.1
"""Seconds for which a line waits for whoever reads the log; once that was in vain, none."""


class StandardError:
    """Standard error, as far as it takes lines: a log that is full, closed or read by nobody stops no process."""

    def __init__(self) -> None:
        self._lost = 0

    def write(self, text: str) -> None:
        """Write a line, or count it as lost; the next one tells how many were."""
        lost, self._lost = self._lost, 0
        lost_line = f'{{"event": "log_lines_lost", "count": {lost}, "level": "warning"}}\n' if lost else ""
        try:
            is_written = _write(lost_line + text, 0.0 if lost else WRITE_TIMEOUT)
        except (OSError, ValueError, ParleyError):
            is_written = False
        if not is_written:
            self._lost = lost + 1

    def flush(self) -> None:
        """Every line is written at once."""


def _write(text: str, timeout: float) -> bool:
    """Whether standard error took it."""
    stream = sys.stderr
    try:
        is_standard_error = stream.fileno() == STANDARD_ERROR
    except (OSError, ValueError, AttributeError):  # a test's, or closed
        is_standard_error = False
    if is_standard_error:
        return write_within(STANDARD_ERROR, text.encode(stream.encoding or "utf-8", "replace"), timeout)
    if stream is not None:
        stream.write(text)
        stream.flush()
    return stream is not None


def _make_printable(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """On a terminal, others' words steer nothing."""
    for key, value in event.items():
        if isinstance(value, str):
            event[key] = printable(value) if key == "exception" else one_line(value)
    return event


def configure(config: LogConfig) -> None:
    """Set up structlog for this process; everything goes to standard error."""
    console = config.format == "console" or (config.format == "auto" and is_terminal())
    renderer: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer() if console else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            *([_make_printable] if console else []),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[config.level.upper()]),
        logger_factory=structlog.WriteLoggerFactory(cast("TextIO", StandardError())),
        cache_logger_on_first_use=True,
    )


def tell_critical_alone() -> None:
    """Log what is critical alone: a command for people says everything else itself."""
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL),
        logger_factory=structlog.WriteLoggerFactory(cast("TextIO", StandardError())),
        cache_logger_on_first_use=True,
    )


def is_terminal() -> bool:
    """Whether people read standard error at a terminal."""
    return sys.stderr is not None and sys.stderr.isatty()


def get(**fields: object) -> Log:
    """A logger with fields bound; in a program that configured none it tells warnings, on standard error."""
    if not structlog.is_configured():
        configure(LogConfig(level="warning"))
    log: Log = structlog.get_logger(**fields)
    return log
