"""Structured logs: constant events, variables as fields; JSON off a terminal, for people on one.

Never a message's text nor coordinates.
"""

from __future__ import annotations

import logging
import sys

import structlog

from shared.config import LogConfig

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
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )


def get(**fields: object) -> Log:
    """A logger with fields bound."""
    log: Log = structlog.get_logger(**fields)
    return log
