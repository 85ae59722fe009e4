"""Runs several targets under atheris, each in a process of its own: `python -m tests.fuzz.forked JOBS`.

To instrument what a target imports takes atheris longer than many a target is fed. It is done once here, and each
target's process is forked from this one, JOBS at a time. Standard input is JSON, a list of what each `Job` has. For
each target that ends a line with a JSON list is printed: its number in that list, its exit code (-N: ended by
signal N), its seconds.
"""

import gc
import importlib
import json
import os
import sys
import time
from typing import NamedTuple

from tests.fuzz import engine


class Job(NamedTuple):
    """One target."""

    arguments: list[str]
    """The engine's."""
    said: str
    """The file that takes what it writes."""


def main():
    most = int(sys.argv[1])
    jobs = [Job(*each) for each in json.load(sys.stdin)]
    with engine.instrumented():
        importlib.import_module("tests.fuzz.targets")
    gc.freeze()  # as a node's supervisor does before it forks: those pages stay shared
    waiting, running = list(enumerate(jobs)), {}
    while waiting or running:
        while waiting and len(running) < most:
            number, job = waiting.pop(0)
            running[start(job)] = number, time.monotonic()
        pid, status = os.wait()
        number, began = running.pop(pid)
        print(json.dumps([number, os.waitstatus_to_exitcode(status), time.monotonic() - began]), flush=True)


def start(job):
    """Fork what runs a target; its pid. The child ends as an interpreter does: libFuzzer then keeps the input."""
    pid = os.fork()
    if pid == 0:
        with open(job.said, "wb") as file:  # noqa: PTH123 - its number is all that is wanted
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
        engine.guided(engine.arguments(job.arguments))
        sys.exit("atheris came back, and never does")
    return pid


if __name__ == "__main__":
    main()
