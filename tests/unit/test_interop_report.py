"""`make interop` compares each row of each kind with what is right, and says what is not."""

import pytest

from tests.interop.expected import COLUMNS, EXPECTED
from tests.interop.kinds.catalogue import KINDS
from tests.interop.report import Found, table, wires

NAME = "client of code base 2"
ROW = "chat from us"


def right():
    return Found(
        cells={(NAME, row, column): o for row, outs in EXPECTED[NAME].items() for column, o in outs.items()}
    )


@pytest.mark.parametrize("name", KINDS)
def test_every_row_that_is_tried_has_a_right_outcome_and_no_other_has(name):
    assert [str(row) for row in KINDS[name](None).rows()] == list(EXPECTED[name])
    assert all(list(outcomes) == list(COLUMNS) for outcomes in EXPECTED[name].values())


def test_where_all_is_right_nothing_is_wrong():
    assert right().wrong == []
    assert not any("!" in line for line in table(NAME, right().cells))
    assert wires([right()]) == ["nothing of Parley's alone was sent to it"]


def test_what_is_not_right_is_wrong():
    found = right()
    found.cells[NAME, ROW, ("node first", "")] = "DIED at MESSAGE"
    assert found.wrong == [f"{ROW}, node first: DIED at MESSAGE, not DELIVERED"]
    assert sum("! DIED at MESSAGE" in line for line in table(NAME, found.cells)) == 1


def test_a_row_that_was_not_tried_is_shown():
    found = right()
    del found.cells[NAME, ROW, ("node first", "")]
    assert sum("! not tried" in line for line in table(NAME, found.cells)) == 1


@pytest.mark.parametrize(
    "found", [Found(claims=[("it lives", "no")]), Found(faults=["PIECE: a name   frame"]), Found(broken="a trace")]
)
def test_a_claim_that_does_not_hold_a_frame_of_ours_and_a_run_that_broke_are_wrong(found):
    assert len(found.wrong) == 1


def test_a_claim_that_holds_is_not():
    assert Found(claims=[("it lives", "")]).wrong == []


def test_what_was_on_a_wire_is_told_once():
    twice = Found(faults=["PIECE: a name   one frame", "PIECE: a name   another"])
    assert wires([twice, twice]) == ["! on the wire: PIECE: a name   one frame"]
