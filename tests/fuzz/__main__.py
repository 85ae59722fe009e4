"""`make fuzz`: each entry of Parley gets inputs that nobody would send; none may raise what it must not.

Then what the compiled core has a part in, with the core built under AddressSanitizer and UBSan. Each in a process
of its own. Exit code 1 where one failed; the input that did it is kept in build/fuzz.
"""

import argparse
import importlib.util
import json
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
SANITIZED_CORE = BUILD / "sanitized" / "shared" / ("_core" + sysconfig.get_config_var("EXT_SUFFIX"))
"""The core that is built for them."""
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
    alone = [(name, plain, {}) for name in targets] if plain else []
    alone += sanitized(targets)
    together = [] if plain else targets
    share = asked.runs / sum(TARGETS[name].share for name in [*together, *(name for name, _, _ in alone)])
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="parley-fuzz-") as scratch, ThreadPoolExecutor(asked.jobs) as pool:
        # It takes longer than some targets are fed, where others have the processors.
        built = pool.submit(build_sanitized) if any(environment for _, _, environment in alone) else None
        ends = run_together(together, asked, share, scratch) if together else []
        if built is not None:
            built.result()
        ends += pool.map(lambda job: run(*job, asked, share, scratch), alone)
    total = sum(count for _, count in ends)
    failed = sum(not ok for ok, _ in ends)
    took = time.monotonic() - began
    print(f"{total} inputs to {len(ends)} targets in {took:.0f} s; {failed} targets failed", flush=True)
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


def run_together(names, asked, share, scratch):
    """Targets under atheris, and how each of them went: instrumented once, see tests/fuzz/forked.py."""
    places = [Path(scratch) / f"{name}.said" for name in names]
    jobs = [(words(name, asked, share), str(place)) for name, place in zip(names, places, strict=True)]
    ends = {}
    with (
        tempfile.TemporaryFile("w+", errors="replace") as said,
        subprocess.Popen(
            [sys.executable, "-m", "tests.fuzz.forked", str(asked.jobs)],
            cwd=ROOT, env=os.environ | {"TMPDIR": scratch},
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=said, text=True,
        ) as forking,
    ):  # fmt: skip
        with forking.stdin as stdin:
            json.dump(jobs, stdin)
        for line in forking.stdout:
            number, code, took = json.loads(line)
            ends[number] = told(names[number], code, places[number].read_text(errors="replace"), took)
        said.seek(0)
        # Without an end where what forks them ended before.
        ends |= {n: told(name, None, said.read(), 0.0) for n, name in enumerate(names) if n not in ends}
    return [ends[number] for number in range(len(names))]


def run(name, options, environment, asked, share, scratch):
    """One target in an interpreter of its own, and how it went."""
    label = name + (" (sanitized core)" if environment else "")
    began = time.monotonic()
    environment = os.environ | environment | {"TMPDIR": scratch}
    done = subprocess.run(
        [sys.executable, "-m", "tests.fuzz.engine", *words(name, asked, share), *options],
        cwd=ROOT, env=environment, capture_output=True, text=True, errors="replace", check=False,
    )  # fmt: skip
    return told(label, done.returncode, done.stdout + done.stderr, time.monotonic() - began)


def words(name, asked, share):
    """The engine's arguments for a target."""
    limit = f"--runs={math.ceil(share * TARGETS[name].share)}" if asked.runs else f"--seconds={asked.seconds}"
    return [name, limit, f"--seed={asked.seed}"]


def told(label, code, said, took):
    """Print how a target went: whether it went well, and how many inputs it had."""
    counts = [int(one or other) for one, other in COUNT.findall(said)]
    count = counts[-1] if counts else 0
    ok = code == 0 and count > 0 and BLIND not in said
    end = "ok" if ok else "FAILED"
    print(f"{label:32} {count:9} inputs {took:6.0f} s {count / took if took else 0:8.0f}/s  {end}", flush=True)
    if not ok:
        print("\n".join(said.splitlines()[-40:]), flush=True)
    return ok, count


def sanitized(targets):
    """The same for the compiled core, built so that it tells of each byte that is not its own."""
    names = [name for name in SANITIZED if name in targets]
    library = sanitizer() if names else ""
    if names and not library:
        print("The compiled core is not fuzzed under AddressSanitizer: there is no gcc with it.", flush=True)
    environment = {
        "LD_PRELOAD": library,
        "ASAN_OPTIONS": "detect_leaks=0:abort_on_error=1",
        "PYTHONMALLOC": "malloc",
        "PARLEY_FUZZ_CORE": str(SANITIZED_CORE),
    }
    return [(name, ["--plain"], environment) for name in names if library]


def build_sanitized():
    """Build it, where it is not newer than what it is built from."""
    core = ROOT / "shared" / "core"
    SANITIZED_CORE.parent.mkdir(parents=True, exist_ok=True)
    newest = max(each.stat().st_mtime for each in core.rglob("*.[ch]"))
    if SANITIZED_CORE.exists() and SANITIZED_CORE.stat().st_mtime >= newest:
        return
    flags = ["-fsanitize=address,undefined", "-fno-sanitize-recover=undefined", "-O1", "-g", "-fPIC", "-shared"]
    include = [f"-I{sysconfig.get_path('include')}", f"-I{core}"]
    sources = map(str, sorted(core.rglob("*.c")))
    subprocess.run(["gcc", *flags, *include, *sources, "-o", str(SANITIZED_CORE)], check=True)


def sanitizer():
    """Where gcc has AddressSanitizer; empty: there is none, or no gcc."""
    if not shutil.which("gcc"):
        return ""
    said = subprocess.run(["gcc", "-print-file-name=libasan.so"], capture_output=True, text=True, check=False)
    path = said.stdout.strip()
    return path if Path(path).is_absolute() else ""  # gcc names what it does not have as it was asked


if __name__ == "__main__":
    main()
