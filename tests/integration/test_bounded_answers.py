"""What answers a command may be no node: it is read no further than an answer can be long, and said in one line."""

import json
import socket
import threading
from contextlib import contextmanager

import psutil
import pytest

from parley.cli.operator.bounded_answers import LARGEST, read_answer
from parley.cli.operator.mailbox_access import Running
from parley.services.chat.operator.commands import Retry
from parley.shared.errors import PeerError
from tests.support.commands import Command, client_environment, run_parley
from tests.support.nodes import wait_until

HOST, CLIENT = "127.0.96.1", "127.0.96.50"
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n%b\r\n"
MIB = 1 << 20


class Answering:
    """A server that gives everybody the same answer: its pieces, again and again, until nobody reads any more.

    `status`: the whole answer to who asks for /status, where that is another.
    """

    def __init__(self, server, head, *pieces, again=False, status=b""):
        self._server, self._head, self._pieces, self._again, self._status = server, head, pieces, again, status
        self.sent = 0
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self):
        while True:
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            with connection:
                self._answer(connection)

    def _answer(self, connection):
        try:
            asked = b""
            while not asked.endswith((b"\r\n\r\n", b"}")) or (asked.startswith(b"POST") and b"}" not in asked):
                asked += connection.recv(65536)
            if self._status and asked.startswith(b"GET /status"):
                connection.sendall(self._status)
                return
            connection.sendall(self._head)
            while True:
                for piece in self._pieces:
                    connection.sendall(piece)
                    self.sent += len(piece)
                if not self._again:
                    return
        except OSError:
            return

    def close(self):
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self._thread.join(10)
        assert not self._thread.is_alive()


@contextmanager
def answering(*answer, **how):
    made = Answering(socket.create_server((HOST, 9401)), *answer, **how)
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
def environment(tmp_path):
    return client_environment(CLIENT, tmp_path)


def assert_fails(ended, part):
    assert ended.returncode == 1
    assert ended.stderr.count("\n") == 1
    assert part in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("more", [b"Content-Length: 1073741824\r\n", b""], ids=["of 1 GB", "without an end"])
def test_an_answer_that_is_too_long_is_read_no_further(environment, more):
    with answering(HEAD % more, b" " * MIB, again=True) as server:
        ended = run_parley("status", HOST, environment=environment)
    assert_fails(ended, "it answers with more than 16 mib")
    assert LARGEST <= server.sent < 2 * LARGEST


def test_a_head_without_an_end_is_read_no_further(environment):
    with answering(b"HTTP/1.1 200 OK\r\n", b"X-More: " + b"x" * 1000 + b"\r\n", again=True) as server:
        ended = run_parley("status", HOST, environment=environment)
    assert_fails(ended, f"no node answers at {HOST}:9401")
    assert server.sent < 8 * MIB


@pytest.mark.parametrize(
    "body",
    [
        "",
        "hello",
        "[]",
        "{}",
        "null",
        "[" * 100_000,
        json.dumps({"server_id": "a", "version": "1", "links": [], "pairs": 7, "offers": []}),
        json.dumps({"server_id": {}, "version": "1", "links": {}, "pairs": [{}], "offers": []}),
        json.dumps({"server_id": "a", "version": "1", "links": {}, "pairs": [], "offers": [{"feature": []}]}),
    ],
    ids=range(9),
)
@pytest.mark.parametrize("options", [(), ("--json",)])
def test_an_answer_that_says_something_else_is_no_node(environment, body, options):
    with answering(HEAD % b"Connection: close\r\n", body.encode()):
        ended = run_parley("status", HOST, *options, environment=environment)
    assert_fails(ended, f"at {HOST}:9401")


def test_what_a_watched_node_sends_is_not_gathered(environment):
    events = HEAD.replace(b"application/json", b"text/event-stream") % b""
    with (
        answering(events, b": nothing " * 6400, again=True, status=HEAD % b"" + b"{}") as server,
        Command("status", HOST, "--watch", environment=environment) as watching,
    ):
        wait_until(lambda: server.sent > 128 * MIB, what="it is read on")
        assert psutil.Process(watching.popen.pid).memory_info().rss < 100 * MIB


def test_an_answer_that_never_ends_is_not_waited_for():
    class Slow:
        @staticmethod
        def read1(_size):
            return b" "

    with pytest.raises(ValueError, match="its answer takes longer than 0 s"):
        read_answer(Slow(), 0.0)


def test_the_operator_s_socket_is_read_no_further_either(tmp_path):
    directory = tmp_path / "alpha"
    directory.mkdir()
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(directory / "chat.sock"))
    server.listen()
    made = Answering(server, HEAD % b"Content-Length: 1073741824\r\n", b" " * MIB, again=True)
    try:
        with pytest.raises(PeerError, match="it answers with more than 16 MiB"):
            Running(directory).retry(Retry([]))
        assert made.sent < 2 * LARGEST
    finally:
        made.close()


def test_an_operator_s_answer_of_another_kind_is_said(tmp_path):
    directory = tmp_path / "alpha"
    directory.mkdir()
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(directory / "chat.sock"))
    server.listen()
    made = Answering(server, HEAD % b"Connection: close\r\n", b"[7]")
    try:
        with pytest.raises(PeerError, match="answers something else"):
            Running(directory).retry(Retry([]))
    finally:
        made.close()
