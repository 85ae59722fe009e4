"""The figures in docs/performance.md: tables between markers, replaced by what was measured. Pure.

A marker is `<!-- curve: NAME -->`, `<!-- hop -->` or `<!-- machine -->`; what stands between it and `<!-- end -->`
is made anew. A marker for which nothing was measured is left as it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from bench.curves.curve import Curve, table, text

_MARKED = re.compile(r"(?P<begin><!-- (?P<name>[a-z]+(?:: [a-z]+)?) -->\n).*?(?P<end><!-- end -->)", re.DOTALL)
HOP = (
    ("latency_p50", "latency p50", lambda value: text(value / 1e6, "s")),
    ("latency_p99", "p99", lambda value: text(value / 1e6, "s")),
    ("latency_tail", "p99/p50", lambda value: f"{value:.2f}"),
    ("latency_p50_at_once", "p50, the next at once", lambda value: text(value / 1e6, "s")),
    ("free_64", "messages/s, 64 per send", lambda value: f"{value:,.0f}"),
    ("free_1", "one per send", lambda value: f"{value:,.0f}"),
    ("free_64_acknowledged", "acknowledged, 64 per send", lambda value: f"{value:,.0f}"),
    ("cpu_64", "CPU per 10,000", lambda value: text(value, "s")),
    ("memory_after", "memory after", lambda value: f"{value:.1f} MiB"),
)
"""The figures of bench/hop that are shown: key, title, how."""
RATIOS = (("latency_p50", "p50 × C relay"), ("latency_p50_at_once", "at once × C relay"))
"""Of these the ratio to the limit is shown, too: the median of each round's."""


def replaced(page: str, contents: Mapping[str, str]) -> str:
    """The page with these contents; KeyError where the page has no marker for one."""
    missing = set(contents) - {match["name"] for match in _MARKED.finditer(page)}
    if missing:
        raise KeyError(f"the page has no marker for {', '.join(sorted(missing))}")
    return _MARKED.sub(
        lambda m: f"{m['begin']}{contents[m['name']]}{m['end']}" if m["name"] in contents else m[0], page
    )


def markdown(lines: Sequence[Sequence[str]]) -> str:
    """Rows of cells as a table, the first one its head."""
    head, *rows = lines
    rule = ["---", *["---:"] * (len(head) - 1)]
    return "".join(f"| {' | '.join(line)} |\n" for line in (head, rule, *rows))


def curve_text(curve: Curve, image: str) -> str:
    """A curve's plot, and its figures; `image`: the plot's path from the page."""
    return f"![{curve.title}]({image})\n\n{markdown(table(curve))}"


def machine_text(machine: Mapping[str, Any]) -> str:
    """The machine that the figures come from."""
    return (
        f"{machine['processor']}, {machine['cores']} cores, {text(machine['memory'], 'B')} of memory, "
        f"{machine['system']}, Python {machine['python']}.\n"
    )


def hop_table(data: Mapping[str, Any]) -> str:
    """What bench/hop measured (build/bench.json): a row per system, and why others are missing."""
    systems: Mapping[str, Any] = data["systems"]
    measured = {name: each["figures"] for name, each in systems.items() if not each["skipped"]}
    columns = [each for each in HOP if any(each[0] in figures for figures in measured.values())]
    ratios = RATIOS if any("ratios" in each for each in systems.values()) else ()
    lines = [["", *(title for _, title, _ in columns), *(title for _, title in ratios)]]
    for name, figures in measured.items():
        lines.append([name, *(_hop_cell(figures.get(key), shown) for key, _, shown in columns)])
        to_limit = systems[name].get("ratios", {}).get("to_c-relay", {})
        lines[-1] += [f"{to_limit[key]:.2f}" if to_limit.get(key) else "–" for key, _ in ratios]
    said = [f"{name} was skipped: {each['skipped']}." for name, each in systems.items() if each["skipped"]]
    if about := data.get("about"):
        way = "with its compiled core" if about["compiled_core"] else "in pure Python"
        rounds = about["rounds"]
        said.append(
            f"Measured {about['measured_at'][:10]} on {about['cores']} cores, Python {about['python']}, "
            f"Parley {way}: {rounds['latency']} rounds of latency, {rounds['rounds']} of the rest."
        )
    return markdown(lines) + "".join(f"\n{line}\n" for line in said)


def _hop_cell(figure: Mapping[str, Any] | None, shown: Callable[[float], str]) -> str:
    if figure is None:
        return "–"
    rounds = figure["rounds"]
    spread = f" ({shown(min(rounds))} … {shown(max(rounds))})" if len(rounds) > 1 else ""
    return shown(figure["median"]) + spread
