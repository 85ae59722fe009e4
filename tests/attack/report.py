"""What came of the attacks: a line each, and tables. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict

from tests.attack.catalogue import ATTACKS
from tests.attack.judge import Found, Verdict, judge, milliseconds

HEAD = (
    f"{'attack':28} {'offered':>12} {'cpu':>4} {'quiet':>7} {'p50':>7} {'p99':>7} {'worst':>7} {'lost':>5} "
    f"{'late':>5} {'MiB':>5} {'disk':>5} {'fds':>4} {'lines':>6}"
)


def line(verdict: Verdict) -> str:
    """One attack's."""
    found = verdict.found
    rate = found.offered / found.seconds if found.seconds else 0.0
    words = "; ".join([*(f"void: {each}" for each in verdict.void), *verdict.failed, *answered(found.answers)])
    return (
        f"{found.name:28} {rate:10,.0f}/s {found.cpu:4.0%} {milliseconds(found.quiet_p99):>7} "
        f"{milliseconds(found.p50):>7} {milliseconds(found.p99):>7} {milliseconds(found.worst):>7} {found.lost:5} "
        f"{found.late:5} {max(found.memory.values(), default=0):5} {found.disk:5.0f} {found.descriptors:4.0%} "
        f"{found.lines:6}  {verdict.word}{': ' if words else ''}{words}"
    )


def answered(answers: Mapping[str, int]) -> list[str]:
    """The node's answers to the attacker, the most frequent first."""
    told = sorted(answers.items(), key=lambda each: -each[1])
    return ["answered: " + ", ".join(f"{count:,} {word}" for word, count in told)] if told else []


def details(verdict: Verdict) -> list[str]:
    """More of one that failed: messages, and what was counted."""
    found = verdict.found
    grown = [f"{name} +{growth:,.0f}" for name, growth in found.grown.items() if growth]
    return [*(f"    {each[:220]}" for each in found.wrong[:6]), *(f"    {each}" for each in grown)]


def summary(verdicts: Sequence[Verdict]) -> str:
    """How many of each."""
    words = [verdict.word for verdict in verdicts]
    return ", ".join(f"{words.count(word)} {word}" for word in ("passed", "FAILED", "void"))


def page(runs: Mapping[str, Sequence[Verdict]]) -> str:
    """A table in Markdown: an attack a row, a checkout two columns."""
    rows = ["| attack | what | rate |" + "".join(f" {name} |" for name in runs)]
    rows.append("|---|---|---|" + "---|" * len(runs))
    found = {name: {verdict.found.name: verdict for verdict in verdicts} for name, verdicts in runs.items()}
    for name, kind in ATTACKS.items():
        if all(name in verdicts for verdicts in found.values()):
            what = (kind.__doc__ or "").strip().rstrip(".")
            cells = "".join(f" {_cell(verdicts[name])} |" for verdicts in found.values())
            rows.append(f"| `{name}` | {what} | {kind.rate:,.0f} {kind.unit}/s |{cells}")
    rows.append("| | | |" + "".join(f" {summary(list(verdicts))} |" for verdicts in runs.values()))
    return "\n".join(rows) + "\n"


def _cell(verdict: Verdict) -> str:
    if verdict.word == "passed":
        return f"passed, p99 {milliseconds(verdict.found.p99)}"
    return f"{verdict.word}: " + "; ".join(verdict.void or verdict.failed).replace("|", "/")


def dump(verdicts: Sequence[Verdict]) -> str:
    """To keep: what was found."""
    return json.dumps([asdict(verdict.found) | {"void": verdict.void} for verdict in verdicts], indent=1)


def load(text: str) -> list[Verdict]:
    """What was kept, judged again."""
    verdicts = []
    for each in json.loads(text):
        void = each.pop("void")
        verdict = judge(Found(**each))
        verdicts.append(Verdict(verdict.found, void or verdict.void, verdict.failed))
    return verdicts
