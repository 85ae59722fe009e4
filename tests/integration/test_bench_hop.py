"""The benchmark of the hop: its generator finds all that goes wrong, and it measures Parley and a relay."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys

import psutil
import pytest

from bench.cost import tree
from bench.hop import generator, parley
from bench.hop.generator import FIXED, PARLEY_ACK, RECEIVED, Generator, Hop, LoadError, Records
from bench.hop.system import Running
from parley.shared.wire.framing import encode_frame
from parley.shared.wire.messages import pb
from tests.support.nodes import ROOT, wait_until

pytestmark = pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler")


@pytest.fixture
def link():
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        socket.create_connection(listener.getsockname()) as one,
        listener.accept()[0] as two,
    ):
        yield one, two


def test_every_message_that_comes_is_counted_and_timed(link, tmp_path):
    hop = parley.hop(*link, acknowledges=False)
    loaded = Generator(tmp_path, hop)
    assert loaded.run(1_000, batch=64).messages == 1_000
    times = loaded.run(50, window=1, timed=True).latencies
    assert len(times) == 50
    assert all(0.0 < each < 10.0 for each in times)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda m: [m(0), m(2), m(1)],
        lambda m: [m(0), m(1), m(1)],
        lambda m: [m(0), m(1), m(2).replace(b"xx", b"xy")],
    ],
    ids=["out of order", "twice", "spoilt"],
)
def test_what_comes_wrong_is_found(link, tmp_path, spoil):
    good = parley.hop(*link, acknowledges=False)
    wrong = b"".join(spoil(good.message))
    size = len(good.message(0))
    bad = Hop(*link, lambda n: wrong[n * size : (n + 1) * size], good.comes)
    with pytest.raises(LoadError, match="wrong"):
        Generator(tmp_path, bad).run(3)


def test_what_does_not_come_is_found(link, tmp_path, monkeypatch):
    monkeypatch.setattr(generator, "PATIENCE", 0.1)
    hop = parley.hop(*link, acknowledges=False)
    half = Hop(*link, lambda n: hop.message(n)[: len(hop.message(n)) // 2], hop.comes)
    with pytest.raises(LoadError, match="of 1 messages 0 came"):
        Generator(tmp_path, half).run(1)


def test_what_takes_too_long_is_given_up(link, tmp_path):
    hop = parley.hop(*link, acknowledges=False)
    with pytest.raises(LoadError, match="it took too long"):
        Generator(tmp_path, hop, limit=0.001).run(1_000_000, window=1)


def test_a_final_status_that_is_not_delivered_is_wrong(link, tmp_path):
    status = pb.ChatMessageResponse.DeliveryStatus(user=parley.BOB.to_pb(), status="USER_NOT_FOUND")
    refusal = pb.ChatMessageResponse(messageSnowflake=1 << 62, statuses=[status]).SerializeToString()
    told = Records(PARLEY_ACK, first=1 << 62)
    comes = Records(FIXED, is_numbered=False, pattern=b"1")
    one, two = link
    two.sendall(encode_frame("MESSAGE_ACK", refusal))
    with pytest.raises(LoadError, match="1 came, 0 were acknowledged, 1 were wrong"):
        Generator(tmp_path, Hop(one, two, lambda _n: b"1", comes, told)).run(1, until=RECEIVED)


def test_a_system_whose_turn_it_is_not_does_nothing(link):
    def states():
        return {psutil.Process(pid).status() == psutil.STATUS_STOPPED for pid in tree([parent.pid])}

    with subprocess.Popen(["sh", "-c", "sleep 60 & wait"]) as parent:
        try:
            wait_until(lambda: len(tree([parent.pid])) == 2, what="a child")
            system = Running(parley.hop(*link), [parent.pid])
            system.hold()
            wait_until(lambda: states() == {True}, what="both stopped")
            with system.going():
                wait_until(lambda: states() == {False}, what="both going on")
            wait_until(lambda: states() == {True}, what="both stopped again")
        finally:
            for pid in reversed(tree([parent.pid])):
                os.kill(pid, signal.SIGKILL)


def bench(path, only, messages, singles):
    """A short run of the whole program; it finds a network namespace of its own, or uses its own addresses."""
    rounds = ["--rounds", "1", "--latency-rounds", "1"]
    size = ["--messages", str(messages), "--singles", str(singles)]
    command = [sys.executable, "-m", "bench.hop", *rounds, *size, "--only", only, "--json", str(path)]
    done = subprocess.run(command, cwd=ROOT, env=os.environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "; all its processes: " in done.stdout
    return {name: system["figures"] for name, system in json.loads(path.read_text())["systems"].items()}


def test_parley_and_a_relay_are_measured_in_one_run(tmp_path):
    figures = bench(tmp_path / "bench.json", "parley,uvloop-relay", 500, 100)
    for name, figure in (
        ("parley", "free_64_acknowledged"),
        ("parley", "cpu_whole_64"),
        ("uvloop-relay", "free_1"),
    ):
        assert figures[name][figure]["median"] > 0.0


def test_the_librarys_signed_messages_are_measured(tmp_path):
    figures = bench(tmp_path / "bench.json", "parley-signed", 50, 20)["parley-signed"]
    assert figures["latency_p50_at_once"]["median"] > 0.0
    assert figures["free_64_acknowledged"]["median"] > 0.0
