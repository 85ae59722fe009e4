"""The status page in a real browser, headless: what breaks and is mended, and what a browser must not do."""

import contextlib
import http.client
import re
import socket

import pytest

from parley.shared.discovery.announcements import encode_announcement
from parley.shared.http.event_streams import READERS
from parley.shared.wire.messages import pb
from tests.support.commands import client_environment, run_parley
from tests.support.monitoring import needs_chromium
from tests.support.nodes import HTTP_PORTS, ROOT, Node, wait_linked, wait_until

pytestmark = [needs_chromium, pytest.mark.timed]
playwright = pytest.importorskip("playwright.sync_api")

NETWORK = "127.0.93"
SETTINGS = {"PARLEY_LINK__BACKOFF_MAX": "1"}
ARGUMENTS = ["--no-sandbox", "--disable-background-networking", "--disable-component-update", "--no-first-run"]
SOON = 2000
"""Milliseconds within which a link's colour must have changed."""
PICTURES = ROOT / "build"
"""Where screenshots are written, for a person to look at."""


@pytest.fixture(scope="module")
def nodes(tmp_path_factory):
    directory = tmp_path_factory.mktemp("page")
    made = [Node(name, f"{NETWORK}.{n}", directory, settings=SETTINGS) for n, name in enumerate(NAMES, 1)]
    with made[0], made[1], made[2]:
        wait_linked(made)
        yield made


NAMES = ("alpha", "beta", "gamma")


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as engine:
        chromium = engine.chromium.launch(executable_path="/usr/bin/chromium", args=ARGUMENTS)
        yield chromium
        chromium.close()


def address(node):
    return f"http://{node.address}:{HTTP_PORTS['discovery']}"


@pytest.fixture
def watched(browser, nodes):
    """The page of the first node, and all that went wrong on it and was asked for."""
    context = browser.new_context(viewport={"width": 1000, "height": 900})
    page = context.new_page()
    page.faults, page.asked = [], []
    page.on("console", lambda message: page.faults.append(message.text) if message.type != "log" else None)
    page.on("pageerror", lambda error: page.faults.append(str(error)))
    page.on("request", lambda request: page.asked.append(request.url))
    page.goto(address(nodes[0]))
    page.wait_for_selector(".is-live")
    yield page
    context.close()


def edge(one, other, state):
    return f'[data-edge="{one} {other}"].{state}'


def picture(page, name):
    PICTURES.mkdir(exist_ok=True)
    page.screenshot(path=PICTURES / name, full_page=True)


def test_it_shows_three_servers_and_the_links_between_each_two(watched):
    for one, other in (("alpha", "beta"), ("alpha", "gamma"), ("beta", "gamma")):
        watched.wait_for_selector(edge(one, other, "linked"), state="attached", timeout=15_000)
    assert watched.locator("#picture [data-node]").evaluate_all(
        "all => all.map(e => e.dataset.node).sort()"
    ) == list(NAMES)
    assert watched.locator("#links tbody tr").count() == 6
    assert watched.locator("#links td.linked").count() == 6
    picture(watched, "status-page.png")
    assert watched.faults == []


def test_a_link_changes_its_colour_when_a_process_is_killed_and_back(watched, nodes):
    beta = nodes[1]
    watched.wait_for_selector(edge("alpha", "beta", "linked"), state="attached")
    colour = "selector => getComputedStyle(document.querySelector(selector)).stroke"
    before = watched.evaluate(colour, edge("alpha", "beta", "linked"))
    beta.kill("chat")
    watched.wait_for_selector(edge("alpha", "beta", "partly"), state="attached", timeout=SOON)
    assert watched.evaluate(colour, edge("alpha", "beta", "partly")) != before
    # The link between the two others is what they announce, every few seconds.
    watched.wait_for_selector(edge("beta", "gamma", "partly"), state="attached", timeout=15_000)
    picture(watched, "status-page-chat-killed.png")
    beta.start("chat")
    beta.wait_ready("chat")
    beta.wait_linked("chat", "alpha")
    watched.wait_for_selector(edge("alpha", "beta", "linked"), state="attached", timeout=SOON)
    assert watched.evaluate(colour, edge("alpha", "beta", "linked")) == before
    assert watched.faults == []


def test_a_server_that_is_gone_is_shown_without_links(watched, nodes):
    gamma = nodes[2]
    for service in gamma.services:
        gamma.kill(service)
    watched.wait_for_selector(edge("alpha", "gamma", "down"), state="attached", timeout=SOON)
    assert "connection refused" in watched.wait_for_selector("#links td:has-text('refused')").inner_text()
    picture(watched, "status-page-server-gone.png")
    for service in gamma.services:
        gamma.start(service)
    gamma.wait_ready()
    wait_linked(nodes)
    watched.wait_for_selector(edge("alpha", "gamma", "linked"), state="attached", timeout=15_000)


def test_it_says_so_when_the_node_does_not_answer_and_goes_on_when_it_does(watched, nodes):
    alpha = nodes[0]
    alpha.kill("discovery")
    watched.wait_for_selector(".is-lost", timeout=5_000)
    alpha.start("discovery")
    alpha.wait_ready("discovery")
    watched.wait_for_selector(".is-live", timeout=10_000)
    watched.wait_for_selector(edge("alpha", "beta", "linked"), state="attached", timeout=15_000)


def test_nothing_is_loaded_from_elsewhere_and_no_script_in_the_page_runs(watched, nodes):
    assert {url.rpartition("/")[0] for url in watched.asked} == {address(nodes[0])}
    assert watched.evaluate("document.querySelectorAll('script:not([src]), [style], style').length") == 0
    image = "<img src=icon.svg onload=window.ran=1>"
    with watched.expect_console_message(lambda message: "Content Security Policy" in message.text):
        watched.evaluate("html => document.body.insertAdjacentHTML('beforeend', html)", image)
    watched.wait_for_function("() => document.querySelector('img').complete")
    assert watched.evaluate("window.ran") is None


def test_it_is_read_without_javascript(browser, nodes):
    wait_linked(nodes)
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(address(nodes[0]))
    text = page.locator("main").inner_text()
    assert re.search(r"beta\s+chat\s+linked", text)
    assert page.locator("#pairs tbody tr").count() == 3
    assert page.locator("#picture [data-edge]").count() == 3
    assert page.locator("header").inner_text().count("anew every 10 seconds") == 1
    context.close()


def test_it_is_read_on_a_telephone_and_in_the_dark(browser, nodes):
    context = browser.new_context(viewport={"width": 360, "height": 740}, color_scheme="dark")
    page = context.new_page()
    page.goto(address(nodes[0]))
    page.wait_for_selector(".is-live")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    heights = page.evaluate(HEIGHTS)
    assert len(heights) > 30
    assert min(heights) >= 11, "words are too small to be read"
    assert page.evaluate(HIDDEN) == [], "something has to be scrolled to, sideways"
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(20, 24, 28)"
    picture(page, "status-page-dark.png")
    context.close()


HEIGHTS = """[...document.querySelectorAll("h1, h2, p, li, td, text")]
    .filter(each => each.checkVisibility() && each.textContent).map(each => each.getBoundingClientRect().height)"""
"""How high the words are that are shown, in pixels of the screen."""
HIDDEN = """[...document.querySelectorAll("main *")].filter(each => each.checkVisibility())
    .filter(each => each.getBoundingClientRect().right > innerWidth + 1).map(each => each.outerHTML)"""
"""What is shown beyond the edge."""


def reads(node):
    """A connection on which the node sends what changes; None where too many read."""
    reader = socket.create_connection((node.address, HTTP_PORTS["discovery"]), timeout=5)
    reader.sendall(b"GET /events HTTP/1.1\r\nHost: alpha\r\n\r\n")
    if b" 200 " in reader.recv(100):
        return reader
    reader.close()
    return None


def test_a_page_too_many_says_so_and_goes_on_when_there_is_room(browser, nodes, tmp_path):
    node = nodes[0]
    environment = client_environment(f"{NETWORK}.50", tmp_path)
    with contextlib.ExitStack() as stack:
        for _ in range(READERS):
            # A page that was just closed counts until the node has heard so.
            stack.enter_context(wait_until(lambda: reads(node), what="room for all readers"))
        watching = run_parley("status", node.address, "--watch", environment=environment)
        assert (watching.returncode, watching.stderr.count("too many watch the node")) == (1, 1)
        context = browser.new_context()
        page = context.new_page()
        page.goto(address(node))
        page.wait_for_selector(".is-lost")
        assert "Too many watch" in page.locator("header").inner_text()
    page.wait_for_selector(".is-live", timeout=30_000)
    context.close()


def test_its_policy_forbids_all_but_its_own_files(nodes):
    connection = http.client.HTTPConnection(nodes[0].address, HTTP_PORTS["discovery"], timeout=5)
    for path in ("/", "/page.js", "/page.css", "/icon.svg", "/status", "/absent"):
        connection.request("GET", path)
        response = connection.getresponse()
        response.read()
        policy = response.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert response.headers["X-Content-Type-Options"] == "nosniff"
    connection.close()


def test_what_a_stranger_calls_itself_is_text_and_nothing_else(watched, nodes):
    name = "<img src=icon.svg onload=window.ran=1></title></svg>"
    endpoint = pb.Endpoint(feature="MESSAGES", port=6666)
    with socket.socket(type=socket.SOCK_DGRAM) as stranger:
        stranger.bind((f"{NETWORK}.66", 0))
        stranger.sendto(encode_announcement(name, [endpoint]), (nodes[0].address, 9999))
    watched.wait_for_function("name => document.querySelector('#servers').innerText.includes(name)", arg=name)
    assert watched.locator("img").count() == 0
    assert name in watched.locator("[data-node]").evaluate_all("all => all.map(e => e.dataset.node)")
    assert watched.faults == []
