"""Measure curves: `python -m bench.curves [CURVE …] [--short] [--rounds N]`.

Real processes on loopback addresses, in a network namespace of their own where there can be one (isolation.py); the
load comes from further processes (load.py), whose share of a CPU is shown. Each figure is the median of the rounds,
with the least and the most. Exit code 1 where something grows faster than it should. What was measured is added to
build/curves.json; `python -m bench.curves.plot` draws it.
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
import time
from pathlib import Path

from bench.curves import connects, groups, links, mailbox, nodes, payloads, typing
from bench.curves.curve import Curve, aligned, table
from bench.curves.machine import machine
from bench.curves.setting import Setting
from bench.isolation import alone
from bench.load import Loader

CURVES = {
    module.__name__.rpartition(".")[2]: module
    for module in (nodes, connects, groups, typing, mailbox, payloads, links)
}
RESULTS = Path("build/curves.json")


def save(path: Path, curve: Curve) -> None:
    """Put a curve in the place of an older one of its name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    data = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {"curves": {}}
    data["machine"] = machine()
    data["curves"][curve.name] = curve.to_json()
    path.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")


def main() -> None:
    """Run what is named, or all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="*", metavar="CURVE", help=f"of {', '.join(CURVES)}; all by default")
    parser.add_argument(
        "--short", action="store_true", help="small sizes only: whether it works, no figures to keep"
    )
    parser.add_argument("--rounds", type=int, help="for each size (3; 1 with --short)")
    parser.add_argument("--json", type=Path, default=RESULTS, help="where the figures go; %(default)s")
    parser.add_argument("--directory", help="where the mailboxes are made; a temporary directory by default")
    arguments = parser.parse_args()
    if unknown := set(arguments.what) - set(CURVES):
        parser.error(f"there is no curve {', '.join(sorted(unknown))}")
    alone()
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    steep: list[str] = []
    with tempfile.TemporaryDirectory(dir=arguments.directory) as name, Loader() as loader:
        rounds = arguments.rounds or (1 if arguments.short else 3)
        setting = Setting(Path(name), loader, rounds, arguments.short)
        for what in arguments.what or CURVES:
            began = time.monotonic()
            curve = CURVES[what].measure(setting)
            save(arguments.json, curve)
            print(f"\n{curve.title}: median of {rounds} (least … most), {time.monotonic() - began:.0f} s\n")
            print(aligned(table(curve)), flush=True)
            steep += [] if arguments.short else curve.too_steep()
    for line in steep:
        print(f"grows too fast: {line}")
    raise SystemExit(1 if steep else 0)


if __name__ == "__main__":
    main()
