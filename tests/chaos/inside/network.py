"""Does to this container's network what a fault of the crash test says, and undoes it: `KIND SECONDS [NUMBER…]`.

    reset 0                 every TCP connection is destroyed, once; prints how many
    mtu SECONDS SIZE        a packet of more than SIZE bytes that goes out is lost
    line SECONDS PAUSE CUT  after each PAUSE nothing comes or goes for CUT; CUT 0: every connection is destroyed
    dns SECONDS             the engine's name server answers nothing; every connection is destroyed at the beginning

Being told to end, it undoes it at once.
"""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import Final

from tests.chaos.inside.connections import destroy_all
from tests.chaos.inside.filters import narrow, outer_device, silent

over: Final = threading.Event()


def reset(_: float) -> str:
    return str(destroy_all())


def mtu(seconds: float, size: float) -> str:
    with narrow(outer_device(), int(size)):
        over.wait(seconds)
    return f"{size:.0f} bytes passed"


def line(seconds: float, pause: float, cut: float) -> str:
    end, count = time.monotonic() + seconds, 0
    while not over.wait(pause) and time.monotonic() < end:
        count += 1
        if cut:
            with silent(outer_device()):
                over.wait(cut)
        else:
            destroy_all()
    return f"cut {count} times"


def dns(seconds: float) -> str:
    """The engine answers for names within the container, on its loopback, which is used for nothing else."""
    with silent("lo"):
        count = destroy_all()
        over.wait(seconds)
    return f"{count} connections"


KINDS: Final[dict[str, Callable[..., str]]] = {"reset": reset, "mtu": mtu, "line": line, "dns": dns}

if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: over.set())
    with contextlib.suppress(BrokenPipeError):
        sys.stdout.write(KINDS[sys.argv[1]](*map(float, sys.argv[2:])) + "\n")
