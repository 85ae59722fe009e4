"""`make mutants`: puts one fault after another into a copy of the checkout, and sees that a test notices each.

The copy is in build/mutants. A mutant survives where its test passes; one that no longer applies is as bad.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from fnmatch import fnmatch
from typing import Final

from tests.mutants.mutant import ROOT, Mutant, mutants
from tests.mutants.report import Verdict, not_passed, verdict
from tests.support.namespaces import leave_as_anybody

COPY: Final = ROOT / "build" / "mutants"
LONGEST: Final = 300.0
"""Seconds that a test may take."""


def main() -> int:
    """Kill them; the exit code is 1 where one survives, does not apply, or its test is no test."""
    parser = argparse.ArgumentParser(prog="make mutants", description=__doc__)
    parser.add_argument("--only", default="*", help="names, with * for any part")
    options = parser.parse_args()
    leave_as_anybody()  # the nodes hear nobody else's
    began = time.monotonic()
    copy_checkout()
    chosen = [each for each in mutants(COPY) if any(fnmatch(each.name, one) for one in options.only.split(","))]
    failed = [name for name in _unpatched(chosen) if _say(f"BROKEN    {name}: it fails without a fault")]
    failed += [each.name for each in chosen if not kill(each)]
    killed = len(chosen) - len(failed)
    _say(f"{killed} of {len(chosen)} killed in {time.monotonic() - began:.0f} s")
    return 1 if failed or not chosen else 0


def copy_checkout() -> None:
    """Copy the files of the checkout, as they are now, and the compiled core."""
    shutil.rmtree(COPY, ignore_errors=True)
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    cores = [str(path.relative_to(ROOT)) for path in (ROOT / "shared").glob("_core*")]
    for name in [*filter(None, listed.split("\0")), *cores]:
        source, target = ROOT / name, COPY / name
        if source.exists() or source.is_symlink():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target, follow_symlinks=False)


def kill(mutant: Mutant) -> bool:
    """Whether its test notices it."""
    if why := mutant.apply(COPY):
        return not _say(f"STALE     {mutant.name}: {why.splitlines()[0]}")
    began = time.monotonic()
    found, why = verdict(_run([mutant.test], is_pure=mutant.is_pure))
    if found is Verdict.BROKEN:  # a process may not have started in time
        found, why = verdict(_run([mutant.test], is_pure=mutant.is_pure))
    mutant.apply(COPY, "-R")
    took = f"{time.monotonic() - began:5.1f} s"
    if found is Verdict.FAILED:
        return _say(f"killed    {took}  {mutant.name}: {why}")
    if found is Verdict.PASSED:
        return not _say(f"SURVIVED  {took}  {mutant.name}: {mutant.test} passes")
    return not _say(f"BROKEN    {took}  {mutant.name}: {why}")


def _unpatched(chosen: Sequence[Mutant]) -> list[str]:
    """The tests that do not pass without a fault: what fails among all is tried once more alone."""
    failed = []
    for is_pure in (False, True):
        tests = sorted({each.test for each in chosen if each.is_pure is is_pure})
        report = _run(tests, is_pure=is_pure) if tests else ""
        if tests and verdict(report)[0] is not Verdict.PASSED:
            names = not_passed(report)
            again = [test for test in tests if not names or test.split("::")[1].partition("[")[0] in names]
            failed += [test for test in again if verdict(_run([test], is_pure=is_pure))[0] is not Verdict.PASSED]
    return failed


def _run(tests: Sequence[str], *, is_pure: bool) -> str:
    """The report of these tests in the copy; empty where they took too long."""
    report = COPY / "build" / "report.xml"
    report.unlink(missing_ok=True)
    environment = {key: value for key, value in os.environ.items() if key != "PARLEY_PURE"}
    environment |= {"PYTHONPATH": str(COPY), "PYTHONDONTWRITEBYTECODE": "1"} | (
        {"PARLEY_PURE": "1"} if is_pure else {}
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={report}", *tests]
    try:
        subprocess.run(
            command, cwd=COPY, env=environment, capture_output=True, timeout=LONGEST * len(tests), check=False
        )
    except subprocess.TimeoutExpired:
        return ""
    return report.read_text(encoding="utf-8") if report.exists() else ""


def _say(line: str) -> bool:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
    return True


if __name__ == "__main__":
    sys.exit(main())
