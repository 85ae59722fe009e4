"""The crash test's short form: a minute of faults, with a seed of its own; see docs/reliability.md."""

import asyncio
import os
import shutil
import sys

import pytest

from tests.chaos.cluster import COMPILER
from tests.chaos.run import Options, Run, new_seed, tell

SECONDS = 60.0
PER_MINUTE = 20.0


@pytest.mark.skipif(shutil.which(COMPILER) is None, reason="the nodes' clocks take a C compiler")
@pytest.mark.parametrize(("rate", "history"), [(500.0, False), (100.0, True)], ids=["many messages", "history"])
def test_nothing_promised_is_lost_or_shown_twice_whatever_is_killed(engine, measured, rate, history):
    seed = int(os.environ.get("CHAOS_SEED") or new_seed())
    options = Options(seed, SECONDS, rate=rate, per_minute=PER_MINUTE, history=history)
    outcome = asyncio.run(Run(engine, options, lambda line: print(line, file=sys.stderr)).run())  # noqa: T201
    measured(f"crash test, seed {seed}:")
    tell(outcome, measured)
    assert not outcome.failed, "\n".join([*outcome.told, *outcome.failed])
