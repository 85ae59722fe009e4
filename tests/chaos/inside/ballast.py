"""Fill the disk under /data for so many seconds, and keep it full: `ballast.py SECONDS`; prints the bytes it took.

It gives the room back however it ends, unless it is killed.
"""

import contextlib
import errno
import os
import sys
import time
from pathlib import Path

BALLAST = Path(f"/data/ballast-{os.getpid()}")
"""Two may be at work at once."""
PAUSE = 0.02


def fill(descriptor: int) -> None:
    """Write until there is no room for one byte more."""
    for size in (1 << 20, 1 << 12, 1):
        try:
            while os.write(descriptor, bytes(size)) == size:
                pass
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise


def main(seconds: float) -> None:
    descriptor = os.open(BALLAST, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
    try:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            fill(descriptor)
            time.sleep(PAUSE)
        sys.stdout.write(f"{os.fstat(descriptor).st_size}")
    finally:
        with contextlib.suppress(OSError):
            os.close(descriptor)
        BALLAST.unlink()


main(float(sys.argv[1]))
