"""How curves are summed up and shown: growth, units, the page's tables."""

import json

import pytest

from bench.curves.curve import Curve, Quantity, aligned, slope, table, text
from bench.curves.page import curve_text, hop_table, replaced
from bench.curves.sources import curves


def curve(values):
    """One quantity, a median for each size."""
    made = Curve("made", "A curve", "things", [Quantity("cost", "cost", "s", at_most=1.15)])
    for size, value in values.items():
        made.add(size, [{"cost": value}, {"cost": 2 * value}, {"cost": value / 2}])
    return made


@pytest.mark.parametrize("exponent", [-1.0, 0.0, 1.0, 2.0])
def test_growth_is_the_exponent(exponent):
    sizes = [1, 10, 100, 1000]
    assert slope([(size, 3.0 * size**exponent) for size in sizes]) == pytest.approx(exponent)


def test_growth_needs_two_sizes_and_leaves_out_none():
    assert slope([(0, 5.0), (100, 5.0)]) is None
    assert slope([(0, 7.0), (10, 1.0), (100, 10.0)]) == pytest.approx(1.0)


def test_growth_of_the_last_tenfold_is_told_apart():
    whole, last = curve({1: 1.0, 10: 1.0, 100: 1.0, 1000: 100.0}).growth("cost", "")
    assert last == pytest.approx(2.0)
    assert whole < last


def test_what_grows_faster_than_it_should_is_named():
    assert curve({10: 1.0, 100: 10.0}).too_steep() == []
    (line,) = curve({10: 1.0, 100: 100.0}).too_steep()
    assert "made: cost grows with exponent 2.00" in line


def test_a_value_is_the_median_with_least_and_most():
    (row,) = curve({10: 1.0}).rows
    assert row.values["cost"] == (1.0, 0.5, 2.0, 3)


def test_a_curve_is_read_as_it_was_written():
    written = curve({10: 1.0, 100: 2.0})
    assert Curve.from_json("made", json.loads(json.dumps(written.to_json()))) == written


@pytest.mark.parametrize(
    ("value", "unit", "shown"),
    [
        (0.00012, "s", "120 µs"),
        (1.5, "s", "1.50 s"),
        (0.0425, "s/min", "42.5 ms/min"),
        (3 * 1024 * 1024, "B", "3.00 MiB"),
        (2048, "B/s", "2.00 KiB/s"),
        (12345.6, "/s", "12,346/s"),
        (0.125, "core", "12.5 %"),
        (0.0, "s", "0 ns"),
    ],
)
def test_values_are_shown_with_three_digits_and_their_unit(value, unit, shown):
    assert text(value, unit) == shown


def test_a_table_has_a_row_for_each_size_and_one_for_the_growth():
    lines = table(curve({10: 0.001, 100: 0.01}))
    assert lines == [
        ["things", "cost"],
        ["10", "1.00 ms (0.500 … 2.00)"],
        ["100", "10.0 ms (5.00 … 20.0)"],
        ["growth (last tenfold)", "+1.00 (+1.00)"],
    ]
    assert len({len(line) for line in aligned(lines).splitlines()}) == 1


def test_what_stands_between_markers_is_replaced_and_nothing_else():
    page = "before\n<!-- curve: made -->\nold\n<!-- end -->\n<!-- hop -->\nkept\n<!-- end -->\nafter\n"
    assert replaced(page, {"curve: made": "new\n"}) == page.replace("old", "new")


def test_a_curve_that_the_page_has_no_marker_for_is_refused():
    with pytest.raises(KeyError, match="curve: made"):
        replaced("<!-- hop -->\n<!-- end -->", {"curve: made": ""})


def test_a_curve_stands_on_the_page_with_its_plot():
    shown = curve_text(curve({10: 0.001, 100: 0.01}), "made.svg")
    assert shown.startswith("![A curve](made.svg)\n\n| things | cost |\n| --- | ---: |\n| 10 | 1.00 ms")


def test_the_hop_has_a_row_for_each_system_and_a_reason_for_each_that_was_skipped():
    shown = hop_table(
        {
            "systems": {
                "parley": {
                    "skipped": None,
                    "figures": {
                        "latency_p50": {"median": 100.0, "rounds": [90.0, 100.0, 110.0]},
                        "free_64": {"median": 250000.0, "rounds": [250000.0]},
                    },
                    "ratios": {"to_c-relay": {"latency_p50": 1.25, "latency_p50_at_once": None}},
                },
                "other": {"skipped": "not installed", "figures": {}},
            }
        }
    )
    assert shown == (
        "|  | latency p50 | messages/s, 64 per send | p50 × C relay | at once × C relay |\n"
        "| --- | ---: | ---: | ---: | ---: |\n"
        "| parley | 100 µs (90.0 µs … 110 µs) | 250,000 | 1.25 | – |\n"
        "\nother was skipped: not installed.\n"
    )


def test_figures_of_idle_links_become_curves(tmp_path):
    idle = {
        "clients": [
            {"links": 1000, "pss_bytes": 3e7, "cpu_share": [0.01, 0.02, 0.03]},
            {"links": 100, "pss_bytes": 2e7, "cpu_share": [0.001, 0.002, 0.003]},
        ],
        "datagrams": [{"nodes": 2, "per_second_and_node": 0.5}],
    }
    (tmp_path / "idle.json").write_text(json.dumps(idle))
    clients, datagrams = curves(tmp_path)
    assert [row.size for row in clients.rows] == [100, 1000]
    assert [quantity.key for quantity in clients.quantities] == ["pss_bytes", "cpu_share"]
    assert clients.rows[1].values["cpu_share"].median == pytest.approx(0.02)
    assert datagrams.points("per_second_and_node", "") == [(2, 0.5)]
