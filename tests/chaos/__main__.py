"""`python -m tests.chaos`: the crash test. Exit codes: 0 passed, 1 failed, 2 no engine or no compiler."""

from __future__ import annotations

import argparse
import asyncio
import shutil
import signal
import sys

from tests.chaos.cluster import COMPILER
from tests.chaos.run import Options, Run, new_seed, say, tell
from tests.chaos.schedule import KINDS
from tests.support.containers import Engine, Unavailable


def main() -> int:
    """Run it once."""
    options = arguments()
    if shutil.which(COMPILER) is None:
        say(f"chaos: there is no {COMPILER} to make the nodes' clocks with")
        return 2
    try:
        engine = Engine.find()
    except Unavailable as reason:
        say(f"chaos: {reason}")
        return 2
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with engine:
        engine.build()
        return tell(asyncio.run(Run(engine, options, say).run()), say)


def arguments() -> Options:
    """What the command line says."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description="Parley's crash test")
    parser.add_argument("--seed", type=int, help="what to replay (a new one is drawn and printed)")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--rate", type=float, help="messages per second in all (500; with --history 100)")
    parser.add_argument("--per-minute", type=float, default=15.0, help="faults")
    parser.add_argument("--faults", default="", help=f"only these kinds: {','.join(KINDS)}")
    parser.add_argument("--history", action="store_true", help="keep history, for people with two devices each")
    found = parser.parse_args()
    kinds = tuple(filter(None, found.faults.split(",")))
    if unknown := set(kinds) - set(KINDS):
        parser.error(f"no such faults: {', '.join(sorted(unknown))}")
    seed = new_seed() if found.seed is None else found.seed
    rate = found.rate if found.rate is not None else 100.0 if found.history else 500.0
    return Options(seed, found.minutes * 60.0, rate, found.per_minute, kinds, found.history)


sys.exit(main())
