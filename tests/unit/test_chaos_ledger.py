"""The crash test's record finds each thing that must not be, and nothing where all is well."""

import pytest

from tests.chaos.ledger import KINDS, Ledger
from tests.chaos.report import Figures, failures, figures

ADA, BEN, BEN_2, CLEO = "ada@alpha/1", "ben@beta/1", "ben@beta/2", "cleo@gamma/1"
TO_BEN = "ben@beta"


def told(ledger, *statuses, shown=(), author=ADA, at=0.0):
    """A message to ben, what its author heard and to which clients it was shown; its number."""
    number = ledger.sent(author, TO_BEN, at)
    for status in statuses:
        ledger.heard(number, status, at + 1.0)
    for client in shown:
        ledger.shown(number, client, at + 0.5)
    return number


def wrong(ledger):
    return [(each.kind, each.message.number) for each in ledger.wrong()]


def test_what_goes_well_is_not_wrong():
    ledger = Ledger()
    told(ledger, "DELIVERED", shown=[BEN])
    told(ledger, "USER_AWAY", "DELIVERED", shown=[BEN])
    told(ledger, "OTHER_SERVER_TIMEOUT", "USER_AWAY", "DELIVERED", shown=[BEN, BEN_2])
    told(ledger, "OTHER_ERROR")
    told(ledger, "UNKNOWN_STATUS", shown=[BEN])
    assert ledger.wrong() == []


@pytest.mark.parametrize("promise", ["DELIVERED", "USER_AWAY", "OTHER_SERVER_TIMEOUT"])
def test_a_message_that_was_promised_and_never_shown_is_lost(promise):
    ledger = Ledger()
    number = told(ledger, promise, "UNKNOWN_STATUS")
    assert wrong(ledger) == [("lost", number)]


def test_a_message_shown_twice_to_one_client_is_found():
    ledger = Ledger()
    number = told(ledger, "DELIVERED", shown=[BEN, BEN_2, BEN])
    assert wrong(ledger) == [("twice", number)]


def test_a_message_shown_after_a_later_one_is_found():
    ledger = Ledger()
    first, second = told(ledger, "DELIVERED"), told(ledger, "DELIVERED")
    ledger.shown(second, BEN, 1.0)
    ledger.shown(first, BEN, 2.0)
    assert wrong(ledger) == [("out of order", first)]


def test_the_order_is_of_one_author_at_one_client():
    ledger = Ledger()
    first, second = told(ledger, "DELIVERED"), told(ledger, "DELIVERED", author=CLEO)
    third = told(ledger, "DELIVERED")
    ledger.shown(second, BEN, 1.0)
    ledger.shown(first, BEN, 2.0)
    ledger.shown(third, BEN, 3.0)
    ledger.shown(first, BEN_2, 4.0)
    assert ledger.wrong() == []


@pytest.mark.parametrize("statuses", [(), ("USER_AWAY",), ("OTHER_SERVER_TIMEOUT", "USER_AWAY")])
def test_a_message_without_a_final_status_is_found(statuses):
    ledger = Ledger()
    number = told(ledger, *statuses, shown=[BEN])
    assert wrong(ledger) == [("unfinished", number)]


def test_whoever_is_gone_for_ever_hears_no_more_but_is_owed_what_was_promised():
    ledger = Ledger()
    told(ledger, shown=[BEN])
    told(ledger, "USER_AWAY", shown=[BEN])
    told(ledger)
    number = told(ledger, "USER_AWAY")
    ledger.gone(ADA)
    assert wrong(ledger) == [("lost", number)]


def test_a_message_shown_to_somebody_else_is_found():
    ledger = Ledger()
    number = told(ledger, "DELIVERED", shown=[BEN, CLEO])
    assert wrong(ledger) == [("misdelivered", number)]


def test_a_message_that_was_refused_and_shown_is_found():
    ledger = Ledger()
    number = told(ledger, "OTHER_ERROR", shown=[BEN])
    assert wrong(ledger) == [("untrue", number)]


@pytest.mark.parametrize("status", ["USER_NOT_FOUND", "OTHER_SERVER_NOT_FOUND", "USER_BLOCKED"])
def test_a_refusal_of_somebody_who_is_known_is_found(status):
    ledger = Ledger()
    number = told(ledger, status)
    assert wrong(ledger) == [("untrue", number)]


def test_a_text_that_nobody_sent_is_noted():
    ledger = Ledger()
    ledger.shown(17, BEN, 1.0)
    assert len(ledger.strangers) == 1


def test_the_report_tells_of_each_kind_with_its_message():
    ledger = Ledger()
    told(ledger, "DELIVERED", at=5.0)
    told(ledger, "DELIVERED", shown=[BEN, BEN], at=6.0)
    text = "\n".join(failures(ledger.wrong(), []))
    assert KINDS["lost"] in text
    assert KINDS["twice"] in text
    assert "ada@alpha/1 → ben@beta, sent 5.00; heard DELIVERED at 6.00; shown never" in text


def test_messages_that_fared_alike_are_told_of_once():
    ledger = Ledger()
    for _ in range(5):
        told(ledger, "DELIVERED")
    told(ledger, "USER_AWAY", "DELIVERED")
    lines = failures(ledger.wrong(), [])
    assert [line.partition("; heard ")[2] for line in lines[1:]] == [
        "DELIVERED at 1.00; shown never; and 4 like it",
        "USER_AWAY at 1.00, DELIVERED at 1.00; shown never",
    ]


def test_the_figures_count_statuses_and_what_was_suppressed():
    ledger = Ledger()
    told(ledger, "USER_AWAY", "DELIVERED", shown=[BEN])
    told(ledger, "DELIVERED", shown=[BEN, BEN_2])
    text = "\n".join(figures(Figures(seed=5, seconds=1.0, written=2, frames=7), ledger, []))
    assert "seed               5" in text
    assert "2 DELIVERED" in text
    assert "1 USER_AWAY" in text
    assert "2.0/s" in text
    assert "4 came over the wire and were not shown" in text
