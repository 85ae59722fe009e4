"""What is done about links that cost too much: how often, how much together, how many lines."""

import asyncio
from types import SimpleNamespace

import pytest

from parley.shared.config import LimitsConfig
from parley.shared.limits.buffers import ENOUGH, look, losers
from parley.shared.limits.rates import (
    COPIES,
    DATAGRAMS,
    FACTOR,
    FAILED,
    LONGEST,
    RATES,
    SLOWED,
    TOLERATED,
    DatagramRates,
    Rates,
    Used,
)
from parley.shared.service.guard import MOST, Guard
from parley.shared.telemetry import log_throttle as complaints_module
from parley.shared.telemetry.log_throttle import MINUTE, LogThrottle

ADDRESS, ELSEWHERE = "10.0.0.1", "10.0.0.2"

# Lines -----------------------------------------------------------------------------------------------


def test_a_few_lines_of_a_kind_are_written_in_a_minute_and_the_number_of_the_others():
    complaints = LogThrottle({"a": 2, "b": 1})
    assert [complaints.allows("a", 10.0 + n) for n in range(5)] == [True, True, False, False, False]
    assert complaints.allows("b", 15.0)
    assert complaints.left_out(69.0) == {}
    assert complaints.due() == 10.0 + MINUTE
    assert complaints.left_out(complaints.due()) == {"a": 3}
    assert complaints.left_out(100.0) == {}
    assert complaints.due() is None
    assert complaints.allows("a", 100.0)


def test_lines_now_and_then_are_all_written():
    complaints = LogThrottle({"a": 2})
    assert all(complaints.allows("a", 31.0 * n) for n in range(100))


def test_whatever_kind_of_line_somebody_causes_in_all_processes_of_a_node_it_has_ten_a_minute():
    assert all(4 * most <= 10 for most in MOST.values())


@pytest.mark.parametrize(("kind", "level"), [("frame_rejected", "warning"), ("link_closed", "info")])
def test_the_number_of_lines_left_out_is_as_urgent_as_they_are(kind, level, monkeypatch):
    monkeypatch.setattr(complaints_module, "MINUTE", 0.01)

    async def left_out():
        told = asyncio.get_running_loop().create_future()
        log = SimpleNamespace(
            info=lambda event, **fields: told.set_result(("info", event, fields)),
            warning=lambda event, **fields: told.set_result(("warning", event, fields)),
        )
        guard = Guard(SimpleNamespace(log=log, metrics=SimpleNamespace(limited=lambda *_: None)), LimitsConfig())
        for _ in range(MOST[kind] + 3):
            guard.complain(kind, lambda: None)
        return await asyncio.wait_for(told, 5)

    assert asyncio.run(left_out()) == (level, "log_lines_left_out", {"kind": kind, "count": 3})


# Rates -----------------------------------------------------------------------------------------------


def test_of_the_copies_of_one_edit_a_few_count_whoever_they_are_for():
    used = Used()
    assert [used.counts_copy("first") for _ in range(COPIES + 1)] == [True, *[False] * (COPIES - 1), True]
    assert used.counts_copy("second")
    assert used.counts_copy("first")


def spend(rates, used, now, what="pings", *, amount=1, address=ADDRESS, is_server=False):
    return rates.spend(used, address, what, now, amount=amount, is_server=is_server)


@pytest.mark.parametrize("what", RATES)
def test_a_burst_is_all_right_and_what_is_more_has_to_rest(what):
    rate, burst = RATES[what]
    rates, used = Rates(), Used()
    assert spend(rates, used, 0.0, what, amount=int(burst)) is None
    rest = spend(rates, used, 0.0, what, amount=int(rate))
    assert (rest.seconds, rest.is_end) == (1.0, False)
    assert spend(rates, used, 0.0, what, amount=10_000).seconds == LONGEST
    assert spend(rates, used, 1e6, what) is None


def test_who_goes_on_for_long_is_hung_up_on_but_no_server():
    for is_server in (False, True):
        rates, used = Rates(), Used()
        ends, now = [], 0.0
        while now <= TOLERATED + LONGEST:
            rest = spend(rates, used, now, amount=100_000, is_server=is_server)
            ends.append(rest.is_end)
            now += rest.seconds
        assert ends[0] is False
        assert ends[-1] is not is_server


def test_who_paused_may_have_another_burst():
    rates, used = Rates(), Used()
    for start in (0.0, 100.0, 200.0):
        assert spend(rates, used, start, amount=500) is None
        assert not spend(rates, used, start, amount=1).is_end


def test_many_links_of_one_address_are_slowed_and_those_of_others_are_not():
    rates = Rates()
    _, burst = RATES["pings"]
    for _ in range(FACTOR):
        assert spend(rates, Used(), 0.0, amount=int(burst)) is None
    rest = spend(rates, Used(), 0.0)
    assert (rest.seconds, rest.is_end) == (SLOWED, False)
    assert spend(rates, Used(), 0.0, address=ELSEWHERE) is None
    assert spend(rates, Used(), 0.0, is_server=True) is None


def test_an_address_from_which_many_connections_failed_is_suspect_for_some_time():
    rates = Rates()
    rate, burst = FAILED
    for _ in range(int(burst)):
        assert not rates.is_suspect(ELSEWHERE, 0.0)
        rates.failed(ADDRESS, 0.0)
    assert rates.is_suspect(ADDRESS, 0.0)
    assert not rates.is_suspect(ADDRESS, 1.0 / rate)


# Buffers ---------------------------------------------------------------------------------------------


class Link:
    def __init__(self, unread, *, unsent=0, is_open=True, remote_host=ADDRESS):
        self.unread, self.unsent, self.is_open, self.remote_host = unread, unsent, is_open, remote_host


def test_nobody_loses_a_link_while_all_hold_no_more_than_they_may():
    links = [Link(10) for _ in range(10)]
    assert losers([(link.unread, link) for link in links], 100) == []


def test_those_lose_first_who_have_not_said_who_they_are_then_whose_address_holds_most():
    honest = Link(90, remote_host=ELSEWHERE)
    small = [Link(20) for _ in range(10)]
    large = Link(30)
    unknown = Link(5, is_open=False, remote_host="10.0.0.3")
    links = [honest, *small, large, unknown]
    lost = losers([(link.unread, link) for link in links], 200)
    assert lost[:2] == [unknown, large]
    assert honest not in lost
    assert sum(link.unread for link in links if link not in lost) <= 200 * ENOUGH


def test_what_was_read_and_what_is_to_be_written_have_limits_of_their_own():
    told = []
    reader, writer = Link(100), Link(0, unsent=100)
    look([reader, writer], 50, 60, lambda link, what: told.append((link, what)))
    assert told == [(reader, "bytes"), (writer, "memory")]
    look([reader, writer], 100, 100, lambda *_: pytest.fail("nobody holds too much"))


# Datagrams -------------------------------------------------------------------------------------------


def test_a_port_may_send_a_burst_of_datagrams_and_then_at_its_rate():
    rate, burst = DATAGRAMS
    rates = DatagramRates()
    assert sum(rates.allows(ADDRESS, 1, 0.0) for _ in range(2 * int(burst))) == burst
    assert rates.allows(ADDRESS, 2, 0.0)
    assert sum(rates.allows(ADDRESS, 1, 1.0) for _ in range(2 * int(burst))) == rate


def test_all_ports_of_an_address_together_may_send_so_many_datagrams_and_no_other_address_less():
    _rate, burst = DATAGRAMS
    rates = DatagramRates()
    taken = sum(rates.allows(ADDRESS, port, 0.0) for port in range(2 * FACTOR) for _ in range(int(burst)))
    assert taken == FACTOR * burst
    assert rates.allows(ELSEWHERE, 1, 0.0)
