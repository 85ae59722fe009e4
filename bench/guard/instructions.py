"""How many instructions a piece of work takes: valgrind's callgrind counts them, whatever else the machine does.

The work is a module that is run under callgrind. It gets a Marks and puts what is to be counted between its marks;
all else, the start above all, runs uncounted and far quicker.
"""

from __future__ import annotations

import ctypes
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from bench.hop.processes import UnavailableError
from tests.support.nodes import ROOT

LIMIT = 100.0
"""Seconds for one run."""
TRIGGER = re.compile(r"^desc: Trigger: Client Request: (.+)$", re.MULTILINE)
SUMMARY = re.compile(r"^(?:summary|totals): (\d+)", re.MULTILINE)


class Marks:
    """Counts what is done between two marks, under callgrind."""

    def __init__(self, library: str) -> None:
        """`library`: what `compiled_marks` made."""
        self._library = ctypes.CDLL(library)

    @contextmanager
    def counted(self, name: str) -> Iterator[None]:
        """Count this under a name."""
        self._library.begin()
        yield
        self._library.finish(name.encode())


def instructions(module: str, arguments: list[str], directory: Path, **environment: str) -> Mapping[str, float]:
    """Run a module under callgrind; instructions by name, for each time. UnavailableError: not possible here.

    The module prints, as JSON, how often each name's work was done between its marks. Callgrind's own files stay in
    the directory, for callgrind_annotate to tell which functions took them.
    """
    valgrind = shutil.which("valgrind")
    if valgrind is None:
        raise UnavailableError("valgrind is not installed")
    marks = compiled_marks(directory)
    out = directory / "callgrind.out"
    command = [
        valgrind, "--tool=callgrind", "--instr-atstart=no", "--separate-threads=yes", f"--callgrind-out-file={out}",
        sys.executable, "-m", module, str(marks), *arguments,
    ]  # fmt: skip
    # PYTHONHASHSEED: dicts collide alike in each run. PYTHONMALLOC is left alone: it is a part of the cost.
    done = subprocess.run(
        command,
        env=os.environ | {"PYTHONHASHSEED": "0"} | environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{module} under callgrind ended with {done.returncode}:\n{done.stderr}")
    times = json.loads(done.stdout.splitlines()[-1])
    return {name: total / times[name] for name, total in _dumps(directory)}


def compiled_marks(directory: Path) -> Path:
    """Compile mark.c into a directory. UnavailableError without a compiler, or valgrind's headers."""
    compiler = shutil.which("cc")
    if compiler is None:
        raise UnavailableError("there is no C compiler")
    library = directory / "mark.so"
    source = Path(__file__).with_name("mark.c")
    done = subprocess.run(
        [compiler, "-O2", "-shared", "-fPIC", "-o", str(library), str(source)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise UnavailableError(f"mark.c could not be compiled: {done.stderr.strip()}")
    return library


def _dumps(directory: Path) -> Iterator[tuple[str, int]]:
    for path in directory.glob("callgrind.out.*-01"):  # the main thread's: the mailbox's writes when it likes
        text = path.read_text(encoding="utf-8", errors="replace")
        name, total = TRIGGER.search(text), SUMMARY.search(text)
        if name and total:
            yield name[1], int(total[1])
