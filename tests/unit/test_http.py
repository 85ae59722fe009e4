"""The HTTP port of a process: four pages, and a driver around h11 that answers, keeps alive and closes."""

import asyncio
import base64
import ipaddress
import json
import re
import time

import h11
import pytest
from prometheus_client import CollectorRegistry, Counter

from parley.shared.discovery.interfaces import Interface
from parley.shared.http.access import Access
from parley.shared.http.pages import Pages
from parley.shared.http.server import (
    CONNECTIONS,
    HEAD,
    IDLE,
    PER_ADDRESS,
    PIPELINED,
    SHARE,
    HttpConnection,
    Turns,
)
from parley.shared.http.tokens import LONGEST_WAIT, NO_TOKEN, TokenCheck, shown_token
from tests.support.simulated import SimulatedLoop

TOKEN = b"token-of-the-pages"
GET = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.fixture
def reasons():
    """Why the process is not ready; a test fills it."""
    return []


@pytest.fixture
def pages(reasons):
    registry = CollectorRegistry()
    Counter("parley_frames", "Frames", ["feature"], registry=registry).labels("MESSAGES").inc(3)
    return Pages(registry, lambda: {"server_id": "älpha", "peers": []}, lambda: reasons)


# Pages --------------------------------------------------------------------------------------------


def test_metrics_are_prometheus_text(pages):
    status, content_type, body = pages.answer("GET", "/metrics")
    assert (status, content_type.split(";")[0]) == (200, "text/plain")
    assert b'parley_frames_total{feature="MESSAGES"} 3.0' in body


def test_a_process_that_answers_is_alive_even_if_it_is_not_ready(pages, reasons):
    reasons.append("not registered with discovery")
    assert pages.answer("GET", "/healthz") == (200, "text/plain; charset=utf-8", b"alive\n")


def test_ready_or_every_reason_why_not(pages, reasons):
    assert pages.answer("GET", "/readyz")[::2] == (200, b"ready\n")
    reasons += ["not accepting connections", "not registered with discovery"]
    assert pages.answer("GET", "/readyz")[::2] == (
        503,
        b"not accepting connections\nnot registered with discovery\n",
    )


def test_status_is_json(pages):
    status, content_type, body = pages.answer("GET", "/status")
    assert (status, content_type, json.loads(body)) == (
        200,
        "application/json",
        {"server_id": "älpha", "peers": []},
    )


@pytest.mark.parametrize(
    "target", ["/", "", "/Metrics", "/metrics/", "//metrics", "*", "http://x/metrics", "/status/.."]
)
def test_any_other_path_is_not_found(pages, target):
    assert pages.answer("GET", target)[0] == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "get"])
def test_pages_are_read_only(pages, method):
    assert pages.answer(method, "/status")[0] == 405
    assert pages.answer(method, "/absent")[0] == 404


def test_a_query_does_not_change_the_page(pages):
    assert pages.answer("GET", "/readyz?verbose=1")[0] == 200


# Connections ----------------------------------------------------------------------------------------


class Transport(asyncio.Transport):
    """What is written, and whether it is over."""

    def __init__(self, address="127.0.0.1"):
        super().__init__({"peername": (address, 12345)})
        self.written = b""
        self.is_closed = self.is_resting = False

    def set_write_buffer_limits(self, high=None, low=None):
        pass

    def pause_reading(self):
        self.is_resting = True

    def resume_reading(self):
        self.is_resting = False

    def write(self, data):
        assert not self.is_closed
        self.written += data

    def close(self):
        self.is_closed = True

    def abort(self):
        self.is_closed = True

    def is_closing(self):
        return self.is_closed


class Browser:
    """The other side: sends bytes, and reads the answers with h11."""

    def __init__(self, pages, turns=None, loop=None, address="127.0.0.1"):
        self.loop = loop or SimulatedLoop()
        self.transport = Transport(address)
        self.limited = []
        self.turns = turns or Turns(self.limited.append)
        self.connection = HttpConnection(pages, self.turns)
        self.inside(self.connection.connection_made, self.transport)

    def inside(self, function, *arguments):
        async def call():
            function(*arguments)

        self.loop.run(call())

    def send(self, data):
        if not self.transport.is_closed:
            self.inside(self.connection.data_received, data)
            self.loop.run_for(0.001)

    def answers(self, *methods):
        """Status and body of each answer, to requests of these methods."""
        client = h11.Connection(h11.CLIENT)
        client.receive_data(self.transport.written)
        found = []
        for method in methods:
            client.send(h11.Request(method=method, target="/", headers=[("Host", "x")]))
            client.send(h11.EndOfMessage())
            response, body = client.next_event(), b""
            while isinstance(event := client.next_event(), h11.Data):
                body += event.data
            assert isinstance(event, h11.EndOfMessage)
            found.append((response.status_code, dict(response.headers), body))
            if client.our_state is h11.DONE and client.their_state is h11.DONE:
                client.start_next_cycle()
        return found

    def end(self):
        self.connection.connection_lost(None)
        self.loop.close()


@pytest.fixture
def browser(pages):
    it = Browser(pages)
    yield it
    it.end()


def test_a_request_is_answered_and_the_connection_kept(browser):
    browser.send(GET)
    ((status, headers, body),) = browser.answers("GET")
    assert (status, body) == (200, b"alive\n")
    assert headers[b"content-length"] == b"6"
    assert not browser.transport.is_closed


def test_a_request_byte_by_byte(browser):
    for byte in GET:
        browser.send(bytes([byte]))
    assert browser.answers("GET")[0][0] == 200


def test_requests_in_one_read_are_answered_in_order(browser):
    browser.send(GET + GET.replace(b"/healthz", b"/absent") + GET.replace(b"/healthz", b"/readyz"))
    assert [status for status, _, _ in browser.answers("GET", "GET", "GET")] == [200, 404, 200]


def test_requests_one_after_another_on_one_connection(browser):
    for count in range(1, 4):
        browser.send(GET)
        assert len(browser.answers(*["GET"] * count)) == count


def test_head_is_answered_without_a_body(browser):
    browser.send(GET.replace(b"GET", b"HEAD"))
    ((status, headers, body),) = browser.answers("HEAD")
    assert (status, headers[b"content-length"], body) == (200, b"6", b"")
    browser.send(GET)
    assert len(browser.answers("HEAD", "GET")) == 2


@pytest.mark.parametrize(
    "request_bytes",
    [b"GET /healthz HTTP/1.0\r\n\r\n", GET.replace(b"Host", b"Connection: close\r\nHost")],
    ids=["HTTP/1.0", "Connection: close"],
)
def test_a_connection_that_is_to_be_closed_is_closed(browser, request_bytes):
    browser.send(request_bytes)
    assert browser.answers("GET")[0][0] == 200
    assert browser.transport.is_closed


def test_a_body_is_read_and_ignored(browser):
    browser.send(b"POST /status HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nab")
    assert browser.transport.written == b""
    browser.send(b"cde" + GET)
    assert [status for status, _, _ in browser.answers("POST", "GET")] == [405, 200]


NO_HTTP = [
    b"\x16\x03\x01\x02\x00\x01\x00",
    b"CONNECT_CLIENT 16 \n",
    b"GET\r\n\r\n",
    b"GET /healthz HTTP/1.1\r\n\r\n",
    b"GET /h\xc3\xa4 HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
    b"A" * 200_000,
    b"\x00" * 10 + b"\r\n\r\n",
]


@pytest.mark.parametrize("data", NO_HTTP, ids=lambda data: repr(data[:20]))
def test_what_is_no_http_closes_the_connection(browser, data):
    browser.send(data + b"\r\n\r\n")
    assert browser.transport.is_closed


def test_a_good_request_before_a_bad_one_is_answered(browser):
    browser.send(GET + b"?\r\n\r\n")
    assert browser.answers("GET")[0][0] == 200
    assert browser.transport.is_closed


def test_a_connection_that_asks_nothing_is_closed(browser):
    browser.loop.run_for(IDLE - 0.1)
    assert not browser.transport.is_closed
    browser.loop.run_for(0.2)
    assert browser.transport.is_closed


def test_each_request_lengthens_its_life(browser):
    for _ in range(3):
        browser.loop.run_for(IDLE - 1)
        browser.send(GET)
    assert not browser.transport.is_closed
    browser.loop.run_for(IDLE + 1)
    assert browser.transport.is_closed


def test_the_server_knows_its_open_connections(pages):
    browser = Browser(pages)
    assert list(browser.turns.connections) == [browser.connection]
    browser.end()
    assert not browser.turns.connections


def test_a_closed_connection_leaves_no_timer(pages):
    browser = Browser(pages)
    browser.connection.connection_lost(None)
    browser.loop.run_for(2 * IDLE)
    assert not browser.transport.is_closed
    browser.loop.close()


# Who asks decides neither how long nor how much -------------------------------------------------------


def test_a_request_has_an_end_however_slowly_it_comes(browser):
    browser.send(GET[:1])
    for number in range(1, 10):
        browser.loop.run_for(HEAD / 10)
        browser.send(GET[number : number + 1])
    assert not browser.transport.is_closed
    browser.loop.run_for(HEAD / 10 + 0.01)
    assert browser.transport.is_closed
    assert "time" in browser.limited


class Dear:
    """A page that takes a tenth of a second."""

    body_limit = 0

    def __init__(self):
        self.loop = None
        self.answered = []

    def answer(self, _method, target, _body=b"", _asker="", _authorization=b"", _host=b""):
        self.answered.append((round(self.loop.time(), 3), target))
        self.loop.now += 0.1
        return 200, "text/plain", b"dear"


def get(target):
    return GET.replace(b"/healthz", target.encode())


def test_what_is_dear_is_answered_for_a_share_of_the_time_and_to_each_in_turn():
    pages, loop = Dear(), SimulatedLoop()
    pages.loop = loop
    turns = Turns()
    one = Browser(pages, turns, loop, "10.0.0.1")
    other = Browser(pages, turns, loop, "10.0.0.2")
    began = loop.time()
    one.inside(one.connection.data_received, get("/1") + get("/2") + get("/3"))
    other.send(get("/other"))
    loop.run_for(10.0)
    assert [target for _, target in pages.answered] == ["/1", "/other", "/2", "/3"] or [
        target for _, target in pages.answered
    ] == ["/1", "/2", "/other", "/3"]
    times = [round(at - began, 3) for at, _ in pages.answered]
    assert times == [round(number * 0.1 / SHARE, 3) for number in range(4)]
    one.connection.connection_lost(None)
    other.end()


def test_a_body_in_very_many_parts_is_read_in_turn_with_what_others_ask():
    pages, loop = Dear(), SimulatedLoop()
    pages.loop = loop
    turns = Turns()
    one = Browser(pages, turns, loop, "10.0.0.1")
    other = Browser(pages, turns, loop, "10.0.0.2")
    head = b"POST /parts HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    one.inside(one.connection.data_received, head + b"1\r\na\r\n" * 10_000 + b"0\r\n\r\n" + get("/after"))
    other.send(get("/other"))
    assert [target for _, target in pages.answered] == ["/other"]
    loop.run_for(10.0)
    assert [target for _, target in pages.answered] == ["/other", "/parts", "/after"]
    one.connection.connection_lost(None)
    other.end()


def test_nothing_is_read_beyond_what_waits_for_its_turn(browser):
    browser.inside(browser.connection.data_received, GET * (PIPELINED // len(GET) + 2))
    assert browser.transport.is_resting
    browser.loop.run_for(1.0)
    assert not browser.transport.is_resting


def test_who_does_not_read_is_not_answered_and_in_the_end_cut_off(browser):
    browser.inside(browser.connection.pause_writing)
    browser.send(GET)
    assert browser.transport.written == b""
    browser.inside(browser.connection.resume_writing)
    browser.loop.run_for(0.001)
    assert browser.answers("GET")[0][0] == 200
    browser.inside(browser.connection.pause_writing)
    browser.loop.run_for(IDLE + 0.1)
    assert browser.transport.is_closed


def test_of_too_many_connections_of_an_address_the_oldest_idle_one_goes(pages):
    loop, limited = SimulatedLoop(), []
    turns = Turns(limited.append)
    all_of_them = [Browser(pages, turns, loop, "10.0.0.1") for _ in range(PER_ADDRESS + 2)]
    others = [Browser(pages, turns, loop, f"10.0.{number}.1") for number in range(1, CONNECTIONS - PER_ADDRESS + 2)]
    assert [each.transport.is_closed for each in all_of_them[:4]] == [True, True, True, False]
    assert not any(each.transport.is_closed for each in others)
    assert limited.count("connections") == 3
    assert len(turns.connections) == CONNECTIONS
    for each in [*all_of_them, *others]:
        each.connection.connection_lost(None)
    loop.close()


@pytest.mark.parametrize("interval", [1.0, 0.1])
def test_metrics_are_rendered_once_in_an_interval_whoever_asks(reasons, monkeypatch, interval):
    now, registry = [100.0], CollectorRegistry()
    monkeypatch.setattr("parley.shared.http.pages.time.monotonic", lambda: now[0])
    pages = Pages(registry, dict, lambda: reasons, metrics_interval=interval)
    counter = Counter("parley_frames", "Frames", registry=registry)

    def rendered():
        counter.inc()
        return pages.answer("GET", "/metrics")[2]

    pages_read = set()
    for _ in range(3):
        page = rendered()
        assert page not in pages_read, "the first is new, and the others get it"
        pages_read.add(page)
        assert {rendered() for _ in range(1000)} == {page}
        now[0] += 5 * interval


def test_metrics_say_when_they_were_rendered(pages):
    began = time.time()
    [as_of] = re.findall(rb"\n# As of ([\d.]+)\.\n$", pages.answer("GET", "/metrics")[2])
    assert abs(float(as_of) - began) < 60


@pytest.mark.parametrize(
    ("path", "asker", "in_container", "may"),
    [
        ("/metrics", "127.0.0.1", False, True),
        ("/metrics", "127.9.9.9", False, True),
        ("/metrics", "", False, True),  # a Unix socket
        ("/metrics", "192.0.2.7", False, True),  # configured
        ("/metrics", "198.51.100.9", False, True),  # in a configured network
        ("/metrics", "203.0.113.5", False, False),  # this machine's network, and no container's
        ("/metrics", "203.0.113.5", True, True),
        ("/metrics", "8.8.8.8", True, False),
        ("/status", "203.0.113.5", False, True),
        ("/", "203.0.113.5", False, True),
        ("/", "8.8.8.8", False, False),
        ("/events", "8.8.8.8", False, False),
        ("/healthz", "8.8.8.8", False, True),
        ("/readyz", "8.8.8.8", False, True),
    ],
)
def test_who_may_see_what(monkeypatch, path, asker, in_container, may):
    network = ipaddress.IPv4Network("203.0.113.0/24")
    monkeypatch.setattr(
        "parley.shared.http.access.interfaces", lambda: [Interface("eth0", "203.0.113.1", network, "")]
    )
    access = Access(["192.0.2.7", "198.51.100.0/24"], in_container=in_container)
    refusal = access.judge(path, asker)
    assert refusal == (None if may else (403, "address", "not from this address: see limits.metrics_from"))


def test_who_shows_the_token_may_see_all_from_anywhere_and_who_does_not_nothing_but_that_it_is_alive():
    access = Access(["198.51.100.0/24"], TokenCheck(lambda: TOKEN, lambda: 0.0), in_container=True)
    for path in ("/", "/status", "/metrics", "/readyz", "/events"):
        for asker in ("198.51.100.9", "8.8.8.8", "172.17.0.1"):
            assert access.judge(path, asker).status == 401
            assert access.judge(path, asker, b"Bearer " + TOKEN) is None
        assert access.judge(path, "127.0.0.1") is None
    assert access.judge("/healthz", "8.8.8.8") is None


@pytest.mark.parametrize(
    ("host", "may"),
    [
        ("", True),  # HTTP/1.0
        ("127.0.0.1:9401", True),
        ("192.168.7.20", True),
        ("[::1]:9401", True),
        ("localhost:9401", True),
        ("alpha", True),
        ("alpha-chat:9402", True),
        ("alpha.local", True),
        ("alpha.local.:9401", True),
        ("Alpha.Home.ARPA", True),
        ("alpha.example.org:9401", True),  # configured
        ("ALPHA.example.org.", True),
        ("evil.example.org", False),
        ("alpha.example.org.evil.com:9401", False),
        ("127.0.0.1.evil.com:9401", False),
        ("127.0.0.1:9401.evil.com", False),
        ("local.evil.com", False),
        ("[::1].evil.com", False),
    ],
)
def test_a_page_is_shown_under_names_that_nobody_else_can_have(host, may):
    """Else a web site whose name points to this machine reads it by the browser of somebody here."""
    access = Access([], hosts=["Alpha.Example.org"], in_container=False)
    for asker in ("127.0.0.1", "192.0.2.7"):
        refusal = access.judge("/readyz", asker, b"", host.encode())
        assert refusal == (None if may else (421, "host", "this node is not known by that name: see http.hosts"))
    assert access.judge("/healthz", "127.0.0.1", b"", host.encode()) is None
    tokens = Access([], TokenCheck(lambda: TOKEN, lambda: 0.0), hosts=["alpha.example.org"])
    assert (tokens.judge("/status", "127.0.0.1", b"", host.encode()) is None) == may


def test_the_name_that_a_browser_asks_for_reaches_the_page():
    refused = []
    browser = Browser(Pages(CollectorRegistry(), dict, list, {}, Access([]).judge, refused.append))
    browser.send(b"GET /readyz HTTP/1.1\r\nHost: evil.example.org:9401\r\n\r\n")
    browser.send(b"GET /readyz HTTP/1.1\r\nHost: localhost:9401\r\n\r\n")
    browser.loop.run_for(1.0)
    statuses = [answer[0] for answer in browser.answers("GET", "GET")]
    assert (statuses, refused) == ([421, 200], ["host"])
    browser.end()


@pytest.mark.parametrize(
    ("shown", "token"),
    [
        (b"Bearer " + TOKEN, TOKEN),
        (b"bearer   " + TOKEN + b" ", TOKEN),
        (b"Basic " + base64.b64encode(b"anybody:" + TOKEN), TOKEN),
        (b"basic " + base64.b64encode(b":" + TOKEN), TOKEN),
        (b"Basic " + base64.b64encode(TOKEN), b""),  # a user, and no password
        (b"Basic no base64!", b""),
        (b"Digest " + TOKEN, b""),
        (TOKEN, b""),
        (b"Bearer", b""),
        (b"", b""),
    ],
)
def test_a_token_is_shown_by_programs_and_by_browsers(shown, token):
    assert shown_token(shown) == token


def test_wrong_tokens_have_to_wait_longer_each_time_and_nobody_elses_do():
    now = [0.0]
    check = TokenCheck(lambda: TOKEN, lambda: now[0])

    def shows(token, asker="8.8.8.8"):
        return check.judge(asker, b"Bearer " + token)

    assert [shows(b"guess").reason for _ in range(5)] == ["wrong_token"] * 3 + ["too_many_tokens"] * 2
    assert shows(TOKEN).status == 429, "it is not even looked at"
    assert shows(TOKEN, "8.8.4.4") is None
    assert check.judge("8.8.8.8", b"").reason == "no_token", "who shows none guesses nothing"
    looked_at = 0
    for _ in range(3600):
        now[0] += 1.0
        looked_at += shows(b"guess").reason == "wrong_token"
    assert looked_at < 70
    now[0] += LONGEST_WAIT
    assert shows(TOKEN) is None
    assert shows(b"guess").reason == "wrong_token", "and all is forgiven"


def test_while_the_token_is_not_known_it_is_nobodys():
    check = TokenCheck(lambda: None, lambda: 0.0)
    assert check.judge("8.8.8.8", b"Bearer ").reason == "no_token"
    assert check.judge("8.8.8.8", b"Bearer None").reason == "wrong_token"


def test_a_browser_is_told_to_ask_its_user_and_what_it_shows_reaches_the_page():
    refused, access = [], Access([], TokenCheck(lambda: TOKEN, lambda: 0.0))
    browser = Browser(Pages(CollectorRegistry(), dict, list, {}, access.judge, refused.append), address="8.8.8.8")
    for shown in (b"", b"Authorization: Basic eDp5\r\n", b"Authorization: Basic eDp0b2tlbi1vZi10aGUtcGFnZXM=\r\n"):
        browser.send(b"GET /readyz HTTP/1.1\r\nHost: x\r\n" + shown + b"\r\n")
    browser.loop.run_for(1.0)
    (one, asked, line), (two, _, _), (three, headers, _) = browser.answers("GET", "GET", "GET")
    assert (one, two, three) == (401, 401, 200)
    assert asked[b"www-authenticate"].startswith(b"Basic realm=")
    assert b"www-authenticate" not in headers
    assert line == b"from another machine the token is needed: it is in DATA_DIR/NAME/http.token of this node\n"
    assert refused == ["no_token", "wrong_token"]
    browser.end()


def test_who_may_not_see_a_page_is_told_so():
    closed = Pages(
        CollectorRegistry(),
        dict,
        list,
        judge=lambda *asked: NO_TOKEN if asked[:2] == ("/metrics", "8.8.8.8") else None,
    )
    assert closed.answer("GET", "/metrics", b"", "8.8.8.8")[0] == 401
    assert closed.answer("GET", "/metrics", b"", "127.0.0.1")[0] == 200
