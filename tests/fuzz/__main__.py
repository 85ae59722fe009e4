"""`make fuzz`: each entry of Parley gets inputs that nobody would send; none may raise what it must not.

Then what the compiled core has a part in, with the core built under AddressSanitizer and UBSan. Each in a process
of its own. Exit code 1 where one failed; the input that did it is kept in build/fuzz.
"""

import argparse
import importlib.util
import math
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.fuzz import corpora
from tests.fuzz.targets import TARGETS

ROOT = Path(__file__).parents[2]
BUILD = ROOT / "build" / "fuzz"
SANITIZED = ("framing", "keys", "chat", "client-chat", "registration")
"""What runs through shared/core."""
BLIND = "no interesting inputs were found"
"""What libFuzzer says where no import was instrumented: its inputs would be guided by nothing."""
COUNT = re.compile(r"number_of_executed_units: (\d+)|: (\d+) inputs")


def arguments():
    parser = argparse.ArgumentParser(prog="make fuzz")
    parser.add_argument("targets", nargs="*", choices=[*TARGETS, []], help="these; without any: all, and the core")
    parser.add_argument("--runs", type=int, default=0, help="inputs of all targets together")
    parser.add_argument("--seconds", type=float, default=15.0, help="for each target, where --runs is not given")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2, help="targets at a time")
    parser.add_argument("--corpus", action="store_true", help="then choose tests/fuzz/corpus from what was found")
    return parser.parse_args()


def main():
    asked = arguments()
    BUILD.mkdir(parents=True, exist_ok=True)
    plain = [] if importlib.util.find_spec("atheris") else ["--plain"]
    if plain:
        print("There is no atheris for this Python: inputs are mutated by chance.", flush=True)
    targets = asked.targets or list(TARGETS)
    jobs = [(name, plain, {}) for name in targets]
    if set(targets) & set(SANITIZED):
        jobs += sanitized(targets)
    share = asked.runs / sum(TARGETS[name].share for name, _, _ in jobs)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="parley-fuzz-") as scratch, ThreadPoolExecutor(asked.jobs) as pool:
        ends = list(pool.map(lambda job: run(*job, asked, share, scratch), jobs))
    total = sum(count for _, count in ends)
    failed = sum(not ok for ok, _ in ends)
    took = time.monotonic() - began
    print(f"{total} inputs to {len(jobs)} targets in {took:.0f} s; {failed} targets failed", flush=True)
    if asked.corpus:
        choose(targets)
    sys.exit(failed > 0)


def choose(targets):
    """Have the committed corpora be what reaches most."""
    if not importlib.util.find_spec("atheris"):
        sys.exit("Only atheris can tell what an input reaches: the corpora stay as they are.")
    with tempfile.TemporaryDirectory(prefix="parley-fuzz-") as scratch:
        for name in targets:
            count, size = corpora.renew(name, BUILD / name, {"TMPDIR": scratch})
            print(f"{name:32} {count:9} files  {size:6} bytes", flush=True)


def run(name, options, environment, asked, share, scratch):
    """One target's run, and how many inputs it had."""
    limit = [f"--runs={math.ceil(share * TARGETS[name].share)}"] if asked.runs else [f"--seconds={asked.seconds}"]
    label = name + (" (sanitized core)" if environment else "")
    began = time.monotonic()
    environment = os.environ | environment | {"TMPDIR": scratch}
    done = subprocess.run(
        [sys.executable, "-m", "tests.fuzz.engine", name, *limit, f"--seed={asked.seed}", *options],
        cwd=ROOT, env=environment, capture_output=True, text=True, errors="replace", check=False,
    )  # fmt: skip
    said = done.stdout + done.stderr
    counts = [int(one or other) for one, other in COUNT.findall(said)]
    count = counts[-1] if counts else 0
    ok = done.returncode == 0 and count > 0 and BLIND not in said
    took = time.monotonic() - began
    end = "ok" if ok else "FAILED"
    print(f"{label:32} {count:9} inputs {took:6.0f} s {count / took:8.0f}/s  {end}", flush=True)
    if not ok:
        print("\n".join(said.splitlines()[-40:]), flush=True)
    return ok, count


def sanitized(targets):
    """The same for the compiled core, built so that it tells of each byte that is not its own."""
    library = sanitizer()
    if not library:
        print("The compiled core is not fuzzed under AddressSanitizer: there is no gcc with it.", flush=True)
        return []
    place = BUILD / "sanitized" / "shared"
    place.mkdir(parents=True, exist_ok=True)
    module = place / ("_core" + sysconfig.get_config_var("EXT_SUFFIX"))
    core = ROOT / "shared" / "core"
    sources = sorted(core.rglob("*.c"))
    if not module.exists() or module.stat().st_mtime < max(each.stat().st_mtime for each in core.rglob("*.[ch]")):
        flags = ["-fsanitize=address,undefined", "-fno-sanitize-recover=undefined", "-O1", "-g", "-fPIC", "-shared"]
        include = [f"-I{sysconfig.get_path('include')}", f"-I{core}"]
        subprocess.run(["gcc", *flags, *include, *map(str, sources), "-o", str(module)], check=True)
    environment = {
        "LD_PRELOAD": library,
        "ASAN_OPTIONS": "detect_leaks=0:abort_on_error=1",
        "PYTHONMALLOC": "malloc",
        "PARLEY_FUZZ_CORE": str(module),
    }
    return [(name, ["--plain"], environment) for name in SANITIZED if name in targets]


def sanitizer():
    """Where gcc has AddressSanitizer; empty: there is none, or no gcc."""
    if not shutil.which("gcc"):
        return ""
    said = subprocess.run(["gcc", "-print-file-name=libasan.so"], capture_output=True, text=True, check=False)
    path = said.stdout.strip()
    return path if Path(path).is_absolute() else ""  # gcc names what it does not have as it was asked


if __name__ == "__main__":
    main()
