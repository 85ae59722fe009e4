"""`make interop`: existing programs, as fragile as they are, beside our nodes; what happens, feature by feature.

Exit code 0: all is as docs/interop.md says, or an older revision was only looked at; 1: something is not; 3: here
there can be none of it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from fnmatch import fnmatch

from bench.isolation import alone
from tests.attack.checkout import checkout, revision_of
from tests.interop.kinds.catalogue import KINDS
from tests.interop.report import Found, claims, table, wires
from tests.interop.run import Options, all_runs, try_all
from tests.interop.shows.catalogue import SHOWS
from tests.interop.shows.show import LONG, SHORT
from tests.support.nodes import ROOT

CANNOT = 3


def main() -> int:
    """Try all, on this checkout or on an older one."""
    arguments = parsed()
    if not alone():
        say("The programs want a network of their own: Linux, and root or user namespaces.")
        return CANNOT
    root = checkout(arguments.old) if arguments.old else ROOT
    form = SHORT if arguments.short else LONG
    options = Options(root, form=form, mode=arguments.mode, at_once=arguments.jobs)
    say(f"{revision_of(root)}: `!` stands before what is not as docs/interop.md says")
    found: list[Found] = []
    for name, results in by_name(arguments.only, options):
        found += results
        say(f"\n{name} ({', '.join(f'{each.seconds:.0f} s' for each in results)})")
        for line in lines(name, results):
            say(f"  {line}")
    wrong = sum(len(each.wrong) for each in found)
    say(f"\n{revision_of(root)}: {wrong or 'nothing'} not as docs/interop.md says")
    return 1 if any(each.broken for each in found) or (wrong and not arguments.old) else 0


def by_name(names: list[str], options: Options) -> Iterator[tuple[str, list[Found]]]:
    """Each kind and each show, with all its runs."""
    runs = all_runs(names)
    results: dict[str, list[Found]] = {}
    left = [run.name for run in runs]
    for run, found in try_all(runs, options):
        results.setdefault(run.name, []).append(found)
        left.remove(run.name)
        if run.name not in left:
            yield run.name, results[run.name]


def lines(name: str, results: list[Found]) -> list[str]:
    """A kind's table, or a show's claims; and what else there is to say."""
    cells = {key: outcome for each in results for key, outcome in each.cells.items()}
    said = table(name, cells) if name in KINDS else [line for each in results for line in claims(each)]
    broken = [f"! {line}" for each in results for line in each.broken.splitlines()[-15:]]
    return [*said, *wires(results), *broken]


def parsed() -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(prog="python -m tests.interop", description="Existing programs beside Parley")
    parser.add_argument("--only", type=names, default=[*KINDS, *SHOWS], help="names, with commas between them")
    parser.add_argument("--old", help="a revision to look at instead of this one")
    parser.add_argument("--short", action="store_true", help="fewer messages, and faster")
    parser.add_argument("--mode", choices=("mixed", "open"), default=Options.mode, help="our nodes' security.mode")
    parser.add_argument("--jobs", type=int, default=Options.at_once, help="so many at a time")
    return parser.parse_args()


def names(text: str) -> list[str]:
    """Kinds and shows by parts of their names."""
    found = [name for each in text.split(",") for name in (*KINDS, *SHOWS) if fnmatch(name, f"*{each}*")]
    if not found:
        raise argparse.ArgumentTypeError(f"nothing is called so; there are {', '.join([*KINDS, *SHOWS])}")
    return list(dict.fromkeys(found))


def say(text: str) -> None:
    """Print a line at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
