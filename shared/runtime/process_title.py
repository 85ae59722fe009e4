"""The name by which a forked process is found: that of `python -m MODULE`, if setproctitle is installed."""

from __future__ import annotations

import sys

try:
    import setproctitle
except ImportError:  # a node of a base installation's packages, or a system that it is not built for
    setproctitle = None  # type: ignore[assignment]


def set_title(module: str) -> None:
    """Have the name that the process has where it is started alone."""
    if setproctitle is not None:
        setproctitle.setproctitle(f"{sys.executable} -m {module}")
        setproctitle.setthreadtitle(f"parley-{module.rpartition('.')[2]}")
