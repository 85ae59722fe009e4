"""A node's answer is read whole, and the connection that it came over takes the next request."""

import http.client
import io

import pytest

from parley.cli.operator.bounded_answers import read_answer


class Replies:
    """A connection on which the answers are there already."""

    def __init__(self, *answers):
        self._acknowledgements = list(answers)

    def sendall(self, _data):
        """Whatever is asked."""

    def makefile(self, _mode):
        return io.BytesIO(self._acknowledgements.pop(0))

    def close(self):
        """Nothing is open."""


def answer(body, *heads):
    return b"HTTP/1.1 200 OK\r\n" + b"".join(head + b"\r\n" for head in heads) + b"\r\n" + body


SIZED = answer(b"[1]", b"Content-Length: 3")
CHUNKED = answer(b"3\r\n[1]\r\n0\r\n\r\n", b"Transfer-Encoding: chunked")


@pytest.mark.parametrize("each", [SIZED, CHUNKED], ids=["sized", "chunked"])
def test_a_connection_takes_one_request_after_another(each):
    connection = http.client.HTTPConnection("chat")
    connection.sock = Replies(each, each, each)
    for _ in range(3):
        connection.request("POST", "/drop", b"{}")
        assert read_answer(connection.getresponse(), 10.0) == b"[1]"


def test_an_answer_that_is_too_long_is_refused():
    connection = http.client.HTTPConnection("chat")
    connection.sock = Replies(answer(b"x" * 5000, b"Content-Length: 5000"))
    connection.request("GET", "/status")
    with pytest.raises(ValueError, match="it answers with more than"):
        read_answer(connection.getresponse(), 10.0, most=4096)
