"""What a run has to say in the end. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from tests.chaos.faults import Done
from tests.chaos.ledger import KINDS, Ledger, Message, Wrong

SHOWN: Final = 8
"""Groups of messages of each kind that are told of."""
NEAR: Final = 2.0
"""Seconds around a fault within which it may have had a part in something."""


@dataclass
class Figures:
    """What the run counted beside the ledger."""

    seed: int
    seconds: float = 0.0
    """For which messages were written."""
    written: int = 0
    stall: float = 0.0
    frames: int = 0
    losses: int = 0
    quiet_after: float = 0.0
    waiting: int = 0
    """Messages that the servers still keep in the end."""


def figures(counted: Figures, ledger: Ledger, done: Sequence[Done]) -> list[str]:
    """The counts, a line each."""
    shown = sum(len(each.shown) for each in ledger.messages.values())
    reached = sum(bool(each.shown) for each in ledger.messages.values())
    median, worst = ledger.median_and_worst()
    rate = counted.written / counted.seconds if counted.seconds else 0.0
    kinds = Counter(each.fault.kind for each in done if not each.error)
    return [
        f"seed               {counted.seed}",
        f"faults             {sum(kinds.values())} in {counted.seconds:.0f} s: {_told(kinds)}",
        f"messages           {counted.written}, {rate:.1f}/s (longest pause of the writing {counted.stall:.2f} s)",
        f"final statuses     {_told(ledger.finals())}",
        f"interim statuses   {_told(ledger.interims())}",
        f"shown              {reached} messages, {shown} times (a person may have two clients)",
        f"duplicates         {counted.frames - shown} came over the wire and were not shown",
        f"from send to shown median {median * 1000:.1f} ms, worst {worst:.1f} s",
        f"links lost         {counted.losses} of clients",
        f"quiet              {counted.quiet_after:.1f} s after the writing; {counted.waiting} messages wait",
    ]


def _told(counts: Counter[str]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.most_common()) or "none"


def failures(wrong: Sequence[Wrong], done: Sequence[Done]) -> list[str]:
    """What is wrong, by kind, then by who was told what of whom; the first of each group stands for the rest."""
    lines = []
    for kind, meaning in KINDS.items():
        groups: dict[tuple[object, ...], list[Wrong]] = {}
        for each in wrong:
            if each.kind == kind:
                groups.setdefault(_group(each.message), []).append(each)
        if groups:
            lines.append(f"{sum(map(len, groups.values()))} {kind}: {meaning}")
        for found in list(groups.values())[:SHOWN]:
            lines.append(f"    {found[0]}" + (f"; and {len(found) - 1} like it" if len(found) > 1 else ""))
            lines += [f"        near: {one}" for one in near(found[0].message, done)]
        if len(groups) > SHOWN:
            lines.append(f"    … and {len(groups) - SHOWN} groups more")
    return lines


def _group(message: Message) -> tuple[object, ...]:
    """Messages with the same are alike."""
    return message.author, message.recipient, tuple(status for _, status in message.statuses)


def near(message: Message, done: Sequence[Done]) -> list[Done]:
    """The faults that went on, or had just ended, when something happened to a message."""
    times = [message.sent, *(at for at, _ in message.statuses), *(at for at, _ in message.shown)]
    return [each for each in done if any(each.began - NEAR <= at <= each.ended + NEAR for at in times)]
