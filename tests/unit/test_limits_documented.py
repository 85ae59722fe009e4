"""The table of rates and bounds in docs/operations.md has every limit, and the numbers that the code has."""

import importlib
import re
from pathlib import Path

import pytest

from parley.shared.config import Config
from parley.shared.telemetry.metrics import LIMITED_WHAT, LIMITED_WHERE

ROOT = Path(__file__).parents[2]
TABLE = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8").partition("### Rates and bounds")[2]
ROWS = [
    [cell.strip() for cell in line.strip("| ").split(" | ")]
    for line in re.findall(r"^\| `.*\|$", TABLE, re.MULTILINE)
]
WORDS = {0.1: "a tenth", 0.5: "one in 2 s", 2: "two", 1_000_000: "a million", 2_000_000: "two in all"}
"""Numbers that stand there as words."""


def ticked(cell):
    return re.findall(r"`([^`]*)`", cell)


def named():
    """Row by row, the constants that it names, and their values."""
    for row in ROWS:
        for path, names in re.findall(r"`([a-z/_]+\.py)`: ((?:`\w+`(?:, )?)+)", row[4]):
            module = importlib.import_module(path.removesuffix(".py").replace("/", "."))
            for name in ticked(names):
                yield pytest.param(row, getattr(module, name), id=f"{'+'.join(ticked(row[1]))}-{name}")


def forms(value):
    """How a number may be written."""
    exact = {f"{value:g}" if isinstance(value, float) else str(value), f"{value:,}", f"{100 * value:g} %"}
    return exact | {f"{value / 2**20:g} MiB", WORDS.get(value, f"{value}")}


def numbers(value, row):
    """The numbers of a constant that belong to the row."""
    if isinstance(value, dict):
        keys = [what for what in ticked(row[1]) if what in value]
        return [
            n for each in ([value[key] for key in keys] or [list(value.values())[:1]]) for n in numbers(each, row)
        ]
    if isinstance(value, tuple | list):
        return [n for each in value for n in numbers(each, row)]
    return [value] if isinstance(value, int | float) else []


def test_each_place_with_a_limit_has_a_row_and_each_word_is_one_of_the_metric():
    assert {where for row in ROWS for where in ticked(row[0])} == LIMITED_WHERE
    assert {what for row in ROWS for what in ticked(row[1])} == LIMITED_WHAT


def applied():
    """Every limit that the sources name in one place: `what` and `where`."""
    sources = [path for folder in ("services", "shared") for path in (ROOT / folder).rglob("*.py")]
    texts = [path.read_text(encoding="utf-8") for path in sources]
    return {pair for text in texts for pair in re.findall(r'limited\(\s*"(\w+)", "(\w+)"', text)}


def test_each_limit_that_the_sources_apply_can_be_counted_and_has_a_row():
    documented = {(what, where) for row in ROWS for what in ticked(row[1]) for where in ticked(row[0])}
    assert len(applied()) > 20
    assert applied() - documented == set()


@pytest.mark.parametrize(("row", "value"), list(named()))
def test_each_number_is_that_of_the_constant(row, value):
    for number in numbers(value, row):
        assert any(
            re.search(rf"(?<![\d,]){re.escape(form)}(?![\d,]*\d)", row[2] + row[3]) for form in forms(number)
        ), number


def test_each_key_is_one_of_the_configuration():
    keys = [text for row in ROWS for text in ticked(row[4]) if re.fullmatch(r"(chat|limits)\.\w+", text)]
    for key in keys:
        section, _, name = key.partition(".")
        assert hasattr(getattr(Config(), section), name), key
    assert keys
