"""The inputs that every run begins with, in corpus/TARGET/: few and small; each reaches what no other does.

`make fuzz CORPUS=1` chooses them again, from what a run found and what there was. A file whose name begins with
`found-` once made a target fail, and is always kept.
"""

import hashlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path

CORPUS = Path(__file__).with_name("corpus")
FOUND = "found-"
MOST = 40
"""Files of one target."""
LARGEST = 1024
"""Bytes of one file."""


def corpus(name):
    """The files of a target."""
    return sorted((CORPUS / name).glob("*"))


def renew(name, kept, environment):
    """Choose from those in `kept`, which a run found to reach something new. How many, and of how many bytes."""
    before = corpus(name)
    always = [path.read_bytes() for path in before if path.name.startswith(FOUND)]
    small = {path.read_bytes() for path in [*before, *kept.glob("*")] if path.stat().st_size <= LARGEST}
    inputs = sorted(small - set(always), key=lambda data: (len(data), data))
    chosen = _most_new(name, always, inputs, environment)
    for path in before:
        if not path.name.startswith(FOUND):
            path.unlink()
    place = CORPUS / name
    place.mkdir(parents=True, exist_ok=True)
    for data in chosen:
        (place / hashlib.sha256(data).hexdigest()[:16]).write_bytes(data)
    return len(always) + len(chosen), sum(map(len, [*always, *chosen]))


def _most_new(name, first, inputs, environment):
    """Those of the inputs that reach most of what those before them, the smaller ones, did not."""
    with tempfile.TemporaryDirectory() as directory:
        paths = []
        for number, data in enumerate([*first, *inputs]):
            paths.append(Path(directory) / f"{number:06}")
            paths[-1].write_bytes(data)
        control = Path(directory) / "control"
        control.write_text("".join(f"{line}\n" for line in (len(paths), len(first), *paths)))
        subprocess.run(
            [sys.executable, "-m", "tests.fuzz.engine", name, "--measure", str(control)],
            cwd=Path(__file__).parents[2], env=os.environ | environment, capture_output=True, check=True,
        )  # fmt: skip
        new = reached(control.read_text())
    order = sorted(range(len(inputs)), key=lambda number: -new.get(len(first) + number, 0))
    return [inputs[number] for number in order[: MOST - len(first)] if new.get(len(first) + number)]


def reached(control):
    """How much each input, by its number, reaches that none before it did: the FT lines of a control file."""
    lines = [line.split() for line in control.splitlines()]
    return {int(words[1]): len(words) - 2 for words in lines if words[:1] == ["FT"]}
