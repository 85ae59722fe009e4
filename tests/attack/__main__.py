"""`make attack`: honest users on two linked nodes, and one attack after another on one of them.

Exit code 0: every attack was borne, or (--keep-going) it is only to be looked at; 1: one was not, or is void; 3:
here there can be none.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import replace
from fnmatch import fnmatch

from bench.isolation import alone
from tests.attack.catalogue import ATTACKS
from tests.attack.checkout import checkout, revision_of
from tests.attack.judge import Verdict
from tests.attack.report import HEAD, details, dump, line, load, page, summary
from tests.attack.run import Options, Processors, crashed, tried
from tests.support.nodes import ROOT

CANNOT = 3
TRIES = 3
"""How often a void run is tried."""
SLOW_TRIES = 4
"""How often one is tried whose p99 alone is beyond its bound."""


def main() -> int:
    """Try all, on this checkout and on the older ones that are named."""
    arguments = parsed()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if arguments.page:
        say(page({name: load((Options.directory / f"{name}.json").read_text()) for name in arguments.page}))
        return 0
    if not alone():
        say("An attack wants a network of its own: Linux, and root or user namespaces.")
        return CANNOT
    if len(os.sched_getaffinity(0)) == 1:
        say("An attack wants two processors: one is the attacker's.")
        return CANNOT
    processors = Processors.of(os.sched_getaffinity(0))
    options = Options(seconds=arguments.seconds, quiet=arguments.quiet)
    roots = [checkout(each) for each in arguments.old] if arguments.old else []
    if not arguments.old_only:
        roots.append(ROOT)
    runs = {
        revision_of(root): try_all(arguments.only, replace(options, root=root), processors, arguments)
        for root in roots
    }
    if len(runs) > 1:
        say(page(runs))
    mine = list(runs.values())[-1]
    return 0 if arguments.keep_going or all(verdict.word == "passed" for verdict in mine) else 1


def try_all(
    names: Sequence[str], options: Options, processors: Processors, arguments: argparse.Namespace
) -> list[Verdict]:
    """Try them one after another, and keep what was found."""
    name = revision_of(options.root)
    say(f"{name}: {len(names)} attacks, each {options.quiet:g} s of quiet and {options.seconds:g} s of attack")
    say(HEAD)
    verdicts: list[Verdict] = []
    for each in names:
        looks_only = arguments.keep_going
        first = try_one(each, options, processors, 1 if looks_only else TRIES)
        verdict = try_slow(each, first, options, processors, 1 if looks_only else SLOW_TRIES)
        verdicts.append(verdict)
        say(line(verdict))
        if verdict.word != "passed" and not arguments.short:
            for detail in details(verdict):
                say(detail)
        options.directory.mkdir(parents=True, exist_ok=True)
        (options.directory / f"{name}.json").write_text(dump(verdicts))
    say(f"{name}: {summary(verdicts)}")
    return verdicts


def try_one(name: str, options: Options, processors: Processors, tries: int) -> Verdict:
    """Try it again where it is void."""
    for left in reversed(range(tries)):
        try:
            verdict = tried(name, options, processors)
        except (RuntimeError, TimeoutError, OSError, AssertionError) as error:
            verdict = crashed(name, error)
        if verdict.word != "void" or not left:
            break
    return verdict


def try_slow(name: str, first: Verdict, options: Options, processors: Processors, tries: int) -> Verdict:
    """Try one again whose p99 alone is beyond its bound: a dozen slow messages decide, and the machine has its own.

    The verdict is the best of the runs: a node that is too slow is so in each. One that fails for anything else
    counts at once.
    """
    found = [first]
    while found[-1].is_only_slow and len(found) < tries:
        found.append(try_one(name, options, processors, TRIES))
    if found[-1].word == "FAILED" and found[-1].is_only_slow:
        return min(found, key=lambda verdict: verdict.found.p99)
    return found[-1]


def parsed() -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(prog="python -m tests.attack", description="Attacks on Parley")
    parser.add_argument("--only", type=names, default=list(ATTACKS), help="names, with commas between them")
    parser.add_argument("--seconds", type=float, default=Options.seconds, help="of each attack")
    parser.add_argument("--quiet", type=float, default=Options.quiet, help="seconds before each")
    parser.add_argument("--old", action="append", help="a revision that is attacked, too")
    parser.add_argument("--old-only", action="store_true", help="attack that alone")
    parser.add_argument("--keep-going", action="store_true", help="look only: void runs are shown and not repeated")
    parser.add_argument("--short", action="store_true", help="a line for each attack")
    parser.add_argument("--page", nargs="+", help="the table of kept runs, by their revisions")
    return parser.parse_args()


def names(text: str) -> list[str]:
    """Attacks by their names; `*` stands for anything."""
    found = [name for each in text.split(",") for name in ATTACKS if fnmatch(name, each)]
    if not found:
        raise argparse.ArgumentTypeError(f"no attack is called so; there are {', '.join(ATTACKS)}")
    return list(dict.fromkeys(found))


def say(text: str) -> None:
    """Print a line at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
