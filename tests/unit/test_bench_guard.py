"""The regression guard's verdicts."""

import json

from bench.guard import limits
from bench.guard.limits import PYTHON, judge_instructions, judge_speed, load, nearest, update


def test_a_count_far_above_its_limit_fails_and_one_far_below_has_it_lowered():
    found = judge_instructions(
        {"same": 1.0, "a bit more": 1.09, "more": 1.11, "less": 0.8, "new": 1.0},
        {PYTHON: {"same": 1.0, "a bit more": 1.0, "more": 1.0, "less": 1.0}},
        (),
    )
    assert {each.figure: each.ok for each in found} == {
        "same": True,
        "a bit more": True,
        "more": False,
        "less": True,
        "new": False,
    }
    assert [each.figure for each in found if "lower the limit" in each.words] == ["less"]


def test_what_has_a_limit_and_was_not_counted_fails_but_where_its_way_is_left_out():
    limit = {PYTHON: {"compiled 1": 1.0, "compiled 16": 1.0, "python 1": 1.0}}
    found = judge_instructions({"compiled 1": 1.0}, limit, ["compiled"])
    assert [(each.figure, each.ok) for each in found] == [("compiled 1", True), ("compiled 16", False)]


def test_another_versions_limits_leave_more_room():
    other = {"3.1": {"figure": 1.0}}
    assert [each.ok for each in judge_instructions({"figure": 1 + limits.STRANGE - 0.01}, other, ())] == [True]
    assert [each.ok for each in judge_instructions({"figure": 1 + limits.STRANGE + 0.01}, other, ())] == [False]


def test_the_nearest_version_stands_for_one_that_is_not_there():
    assert nearest({"3.11": {}, "3.13": {}}, "3.11") == "3.11"
    assert nearest({"3.11": {}, "3.13": {}}, "3.14") == "3.13"


def test_less_than_a_floor_fails():
    found = judge_speed({"a": 0.5, "b": 0.49}, {"a": 0.5, "b": 0.5})
    assert [(each.figure, each.ok) for each in found] == [("a", True), ("b", False)]


def test_an_update_leaves_all_else_as_it_is(tmp_path):
    path = tmp_path / "limits.json"
    before = {"instructions": {"2.7": {"a": 1.0}}, "throughput": {"floors": {"b": 0.5}}}
    path.write_text(json.dumps(before), encoding="utf-8")
    update({"a": 1.23456}, path)
    assert load(path) == before | {"instructions": {"2.7": {"a": 1.0}, PYTHON: {"a": 1.2346}}}
