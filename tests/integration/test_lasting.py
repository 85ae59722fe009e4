"""A node in which something ran out for a while goes on by itself, and says so meanwhile."""

import http.client
import os
import signal
import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path

import psutil
import pytest

from parley.services.node.forking import Signals, fork
from parley.services.node.supervisor import Child
from tests.support.namespaces import leave, why_not
from tests.support.nodes import HTTP_PORTS, Node, wait_until

ADDRESS = "127.0.36.1"


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    with Node("alpha", ADDRESS, tmp_path_factory.mktemp("lasting")) as it:
        yield it


def readiness(connection):
    """What /readyz says over a connection that is open already: status and text."""
    connection.request("GET", "/readyz")
    response = connection.getresponse()
    return response.status, response.read().decode()


class Starved:
    """A process that may open no further descriptor."""

    def __init__(self, pid):
        self._process = psutil.Process(pid)
        self._before = self._process.rlimit(psutil.RLIMIT_NOFILE)

    def __enter__(self):
        open_now = [int(path.name) for path in Path(f"/proc/{self._process.pid}/fd").iterdir()]
        lowest_free = next(number for number in range(1 << 20) if number not in open_now)
        self._process.rlimit(psutil.RLIMIT_NOFILE, (lowest_free, self._before[1]))
        return self

    def __exit__(self, *_):
        self._process.rlimit(psutil.RLIMIT_NOFILE, self._before)


def in_a_network_of_its_own(story):
    """Run `story` where there is nothing but loopback: a node that is bound to no address broadcasts everywhere."""

    def run():
        leave()
        story()

    with ThreadPoolExecutor(1) as thread:
        thread.submit(run).result()


@pytest.mark.skipif(bool(why_not()), reason=why_not() or "it can")
def test_discovery_asks_again_once_there_are_descriptors_again(tmp_path):
    asked = "parley_discovery_requests_total"
    settings = {"PARLEY_ADDRESS": "", "PARLEY_DISCOVERY__DISCOVERY_INTERVAL": "0.5"}

    def story():
        with Node("alpha", "127.0.0.1", tmp_path, ["discovery"], settings) as node:
            connection = http.client.HTTPConnection(node.address, HTTP_PORTS["discovery"], timeout=5.0)
            with closing(connection):
                assert readiness(connection)[0] == 200
                with Starved(node.pid("discovery")):
                    wait_until(lambda: "asking the network fails" in readiness(connection)[1])
                node.wait_ready("discovery")
            before = node.metrics("discovery").value(asked, direction="sent")
            node.wait_metric("discovery", before + 1, asked, direction="sent")
            failed, well = (node.logged("discovery", event) for event in ("loop_failed", "loop_well_again"))
            assert [each["what"] for each in failed].count("asking the network") == 1
            assert {each["what"] for each in well} == {each["what"] for each in failed}, "others wait for them, too"
            assert node.metrics("discovery").value("parley_errors_total") >= 1

    in_a_network_of_its_own(story)


@pytest.mark.parametrize(
    ("service", "port"),
    [
        ("discovery", 9401),
        ("discovery", 9998),
        ("chat", 6666),
        ("chat", 9402),
        ("typing", 7777),
        ("location", 8888),
    ],
)
def test_every_listener_accepts_again_once_there_are_descriptors_again(node, service, port):
    with ExitStack() as stack:
        with Starved(node.pid(service)):
            for _ in range(8):
                stack.enter_context(socket.create_connection((ADDRESS, port), 5.0)).sendall(b"x")
        sock = stack.enter_context(socket.create_connection((ADDRESS, port), 5.0))
        sock.settimeout(10.0)
        sock.sendall(b"GET /healthz HTTP/1.1\r\nHost: alpha\r\n\r\n")  # on a link it is no protocol
        assert sock.recv(1000)
    node.wait_ready(service)


def test_a_process_that_cannot_be_started_now_is_tried_again():
    tries = []

    def start():
        tries.append(1)
        if len(tries) < 3:
            raise BlockingIOError(11, "Resource temporarily unavailable")
        return os.getpid()

    child = Child("chat", start)
    for _ in range(2):
        assert child.start() == "Resource temporarily unavailable"
        assert not child.runs
        assert child.due is not None
    assert child.start() == ""
    assert child.due is None


def test_signals_are_heard_again_after_a_fork_that_failed(monkeypatch):
    def fails():
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(os, "fork", fails)
    with Signals(signal.SIGUSR1) as signals:
        with pytest.raises(BlockingIOError):
            fork(lambda: None, signals)
        assert signal.SIGUSR1 not in signal.pthread_sigmask(signal.SIG_BLOCK, [])
