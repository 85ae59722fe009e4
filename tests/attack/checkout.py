"""Another state of the sources to attack: a checkout under build/, with its own compiled core."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.support.nodes import ROOT

BUILD = "from setuptools import setup; setup()"


def checkout(revision: str) -> Path:
    """Where the sources of a revision are, built, with their version. RuntimeError where that cannot be."""
    commit = _run(["git", "rev-parse", "--short=10", f"{revision}^{{commit}}"], ROOT)
    place = ROOT / "build" / "attack" / "checkouts" / commit
    if not (place / ".ready").exists():
        if not place.exists():
            place.parent.mkdir(parents=True, exist_ok=True)
            _run(["git", "clone", "--quiet", "--no-checkout", str(ROOT), str(place)], ROOT)
            _run(["git", "checkout", "--quiet", "--detach", commit], place)
        _run([sys.executable, "-c", BUILD, "--quiet", "egg_info", "build_ext", "--inplace"], place)
        (place / ".ready").touch()
    return place


def revision_of(root: Path) -> str:
    """The commit of a checkout, and whether there are changes beside it."""
    return _run(["git", "describe", "--always", "--dirty"], root)


def _run(command: list[str], place: Path) -> str:
    done = subprocess.run(command, cwd=place, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command[:3])} … in {place}: {done.stderr.strip()[-500:]}")
    return done.stdout.strip()
