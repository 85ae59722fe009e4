"""Wall clocks that are wrong, for real processes: the time of day that they read is off by as much as a test says.

clock = WallClock(tmp_path / "clock")
with Node("alpha", ADDRESS, tmp_path, settings=clock.environment):
clock.set_to(0.0)  # 1970, from now on
"""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import time
from pathlib import Path
from typing import Final

SOURCE: Final = Path(__file__).parents[1] / "chaos" / "inside" / "clock.c"
COMPILER: Final = shutil.which("cc")
YEAR_1970: Final = 1000.0
YEAR_2106: Final = 2.0**32 - 1000.0
"""Seconds since 1970 near which 32 bits are used up."""


class WallClock:
    """The clock of the processes that run with its environment; true until it is set. RuntimeError: no compiler."""

    def __init__(self, directory: Path) -> None:
        if COMPILER is None:
            raise RuntimeError("there is no C compiler to make a clock with")
        directory.mkdir(parents=True, exist_ok=True)
        self._offset, library = directory / "offset", directory / "clock.so"
        self._offset.write_bytes(struct.pack("=d", 0.0))
        place = f'-DOFFSET="{self._offset}"'
        subprocess.run([COMPILER, "-O2", "-shared", "-fPIC", place, "-o", library, SOURCE, "-lm"], check=True)
        self.environment = {"LD_PRELOAD": str(library)}

    def set_to(self, now: float) -> None:
        """Step to that time, in seconds since 1970; every process sees it at once."""
        with self._offset.open("r+b") as file:
            os.pwrite(file.fileno(), struct.pack("=d", now - time.time()), 0)
