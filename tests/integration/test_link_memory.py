"""What a connection may cost of a real process's memory, whoever it is and however it ends."""

import pytest

from tests.support.attackers import connect_frame, dialled, resident
from tests.support.nodes import Node, wait_until

ADDRESS, ATTACKER = "127.0.41.1", "127.0.41.66"
MIB = 1 << 20
CONNECT = connect_frame("eve", "alpha")


@pytest.fixture(scope="module")
def alpha(tmp_path_factory):
    with Node("alpha", ADDRESS, tmp_path_factory.mktemp("memory"), ("discovery", "chat")) as node:
        yield node


def test_a_flood_of_bad_connections_is_a_few_lines_and_a_number(alpha):
    def lines():
        return alpha.stderr("chat").count("\n")

    def limited(what):
        return alpha.metrics("chat").value("parley_limited_total", what=what, where="link")

    before = lines()
    for number in range(400):
        sock = dialled(ADDRESS, ATTACKER)
        sock.sendall(b"nonsense" if number % 2 else CONNECT + b"nonsense")
        sock.settimeout(10)
        while sock.recv(4096):
            pass
        sock.close()
    wait_until(lambda: limited("log_lines") >= 400, what="the lines that were left out are counted")
    assert 1 <= lines() - before <= 10


FAULTS = {
    "a wrong terminator": b"A 2000000 " + b"x" * 2_000_001,
    "an unfinished frame": b"A 2000000 " + b"x" * 1_900_000,
    "unfinished, and as large as may be before a CONNECT": b"A 65536 " + b"x" * 65_000,
    "a wrong terminator, connected": CONNECT + b"A 2000000 " + b"x" * 2_000_001,
    "an unfinished frame, connected": CONNECT + b"A 2000000 " + b"x" * 1_900_000,
}


@pytest.mark.parametrize("data", FAULTS.values(), ids=FAULTS)
def test_six_hundred_connections_one_after_another_leave_nothing_behind(alpha, data):
    before = resident(alpha)
    for _ in range(600):
        sock = dialled(ADDRESS, ATTACKER)
        try:
            sock.sendall(data)
        except OSError:  # hung up on
            pass
        finally:
            sock.close()
    wait_until(lambda: alpha.status("chat")["subscribers"] == 0)
    assert resident(alpha) - before < 64 * MIB
