"""Runs one target: `python -m tests.fuzz.engine TARGET --runs N --seconds S`.

Coverage-guided by atheris where there is one, because it is what others fuzz Python with. It does not run below
AddressSanitizer together with our compiled core: there, and where there is no wheel of it, inputs are mutated by
chance (`--plain`), from the same seeds and the same corpus. The last line tells how many inputs there were.
What makes a target fail is kept in build/fuzz, and so is what reached something new.
"""

import argparse
import importlib.util
import os
import random
import sys
import time
from pathlib import Path

from tests.fuzz.corpora import CORPUS, corpus

KEPT = Path("build/fuzz")


def arguments(words=None):
    parser = argparse.ArgumentParser()
    parser.add_argument("target")
    parser.add_argument("--runs", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=0.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--plain", action="store_true")
    parser.add_argument("--measure", help="only write into this control file what each of its inputs reaches")
    return parser.parse_args(words)


def take_core():
    """Have another build of the compiled core for ours, where one is named."""
    if path := os.environ.get("PARLEY_FUZZ_CORE"):
        spec = importlib.util.spec_from_file_location("parley.shared._core", path)
        sys.modules["parley.shared._core"] = module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        import parley.shared  # noqa: PLC0415 - the module is put into it

        parley.shared._core = module


def main():
    asked = arguments()
    take_core()
    if asked.plain:
        plain(asked)
    else:
        guided(asked)


def plain(asked):
    from tests.fuzz.targets import TARGETS  # noqa: PLC0415 - not before atheris, where that instruments it

    target = TARGETS[asked.target]()
    chance = random.Random(asked.seed)
    seeds = [*target.seeds(), *(path.read_bytes() for path in corpus(asked.target))]
    end = time.monotonic() + asked.seconds if asked.seconds else float("inf")
    count = 0
    data = b""
    try:
        while time.monotonic() < end and (not asked.runs or count < asked.runs):
            data = mutated(chance, seeds)
            target.one(data)
            count += 1
    except BaseException:
        path = KEPT / f"{asked.target}-crash-plain"
        path.write_bytes(data)
        print(f"{asked.target}: input {count} is in {path}", file=sys.stderr)
        raise
    print(f"{asked.target}: {count} inputs", flush=True)
    os._exit(0)


def mutated(chance, seeds):
    """One of the seeds with a few things changed, or two of them joined."""
    data = bytearray(chance.choice(seeds))
    for _ in range(chance.choice((1, 1, 2, 4, 8))):
        at = chance.randrange(len(data) + 1)
        kind = chance.randrange(6)
        if kind == 0 and data:
            data[at % len(data)] = chance.randrange(256)
        elif kind == 1 and data:
            data[at % len(data)] ^= 1 << chance.randrange(8)
        elif kind == 2:
            data[at:at] = chance.randbytes(chance.randrange(9))
        elif kind == 3:
            del data[at : at + chance.randrange(9)]
        elif kind == 4:
            other = chance.choice(seeds)
            data[at:] = other[chance.randrange(len(other) + 1) :]
        else:
            data[at:at] = data[at : at + chance.randrange(33)] * chance.randrange(4)
    return bytes(data)


def instrumented():
    """Have atheris see where inputs go in what is imported meanwhile."""
    import atheris  # noqa: PLC0415 - only under it is it needed

    return atheris.instrument_imports(include=["parley"])


def guided(asked):
    import atheris  # noqa: PLC0415 - only here is it needed

    with instrumented():
        from tests.fuzz.targets import TARGETS  # noqa: PLC0415 - under its eyes

        target = TARGETS[asked.target]()
    options = [sys.argv[0], *(measuring(asked.measure) if asked.measure else searching(asked, target.seeds()))]
    atheris.Setup(options, target.one)
    atheris.Fuzz()


def searching(asked, seeds):
    """LibFuzzer's arguments: what reaches something new is kept in the first directory."""
    kept = KEPT / asked.target
    kept.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds):
        (kept / f"seed-{number:03}").write_bytes(seed)
    options = [f"-seed={asked.seed}", "-max_len=4096", "-print_final_stats=1", "-verbosity=0"]
    options += [f"-artifact_prefix={kept}-crash-", "-timeout=20", "-rss_limit_mb=2048"]
    if asked.runs:
        options.append(f"-runs={asked.runs}")
    if asked.seconds:
        options.append(f"-max_total_time={round(asked.seconds)}")
    return [*options, str(kept), *([str(CORPUS / asked.target)] if corpus(asked.target) else [])]


def measuring(control):
    """LibFuzzer's arguments for the inner half of its -merge."""
    return ["-merge_inner=1", f"-merge_control_file={control}", "-max_len=4096", "-verbosity=0"]


if __name__ == "__main__":
    main()
