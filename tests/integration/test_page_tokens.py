"""In `strict` the pages are for this machine and for who shows the token: programs, browsers, `parley status`."""

import http.client
import stat
import subprocess
import sys
from contextlib import closing

import pytest

from tests.support.commands import run_parley
from tests.support.monitoring import Prometheus, needs_chromium, needs_prometheus
from tests.support.namespaces import Lan, why_not
from tests.support.nodes import COUNTED, HTTP_PORTS, ROOT, SERVICES, Node, Samples, wait_until

if reason := why_not():
    pytest.skip(f"who is not on loopback needs a network: {reason}", allow_module_level=True)

STRICT = {"PARLEY_SECURITY__MODE": "strict", **COUNTED}
PAGES = [(service, path) for service in HTTP_PORTS for path in ("/status", "/metrics", "/readyz")]
LINE = b"from another machine the token is needed: it is in DATA_DIR/NAME/http.token of this node\n"


@pytest.fixture(scope="module")
def lan():
    """All here is in a network of its own, at the end of a cable: nodes on all addresses tell nobody else."""
    with Lan() as found, found.inside():
        yield found


class LanNode(Node):
    """A node on all addresses, which is asked from the network's."""

    def __init__(self, name, lan, directory, services=SERVICES, **settings):
        super().__init__(name, "127.0.0.1", directory, services, settings | {"PARLEY_ADDRESS": ""})
        self.address = lan.client

    @property
    def token(self):
        return self.directory / "data" / self.server_id / "http.token"

    def shows(self, token):
        self.headers = {"Authorization": f"Bearer {token}"} if token else {}

    def is_ready(self, service):
        """Its token is there once its name is known."""
        if self.token.exists():
            self.shows(self.token.read_text().strip())
        return super().is_ready(service)


@pytest.fixture(scope="module")
def node(lan, tmp_path_factory):
    with LanNode("alpha", lan, tmp_path_factory.mktemp("tokens"), **STRICT) as found:
        yield found


@pytest.fixture(autouse=True)
def _anew(node):
    """Who guessed before is forgotten: each test asks with the token first."""
    node.shows(node.token.read_text().strip())
    for service in HTTP_PORTS:
        wait_until(lambda service=service: node.get(service, "/readyz")[0] == 200, 90, "wrong tokens are forgiven")


def fetch(node, port, path, host="", **headers):
    """Status, body, and the challenge of a page."""
    with closing(http.client.HTTPConnection(host or node.address, port, timeout=5)) as connection:
        connection.request("GET", path, headers=headers)
        response = connection.getresponse()
        return response.status, response.read(), response.getheader("WWW-Authenticate")


def test_all_processes_have_one_token_that_is_its_owners_alone(node):
    assert len(node.token.read_text().strip()) == 64
    assert stat.S_IMODE(node.token.stat().st_mode) == 0o600


@pytest.mark.parametrize(("service", "path"), [*PAGES, ("discovery", "/"), ("discovery", "/events")])
def test_who_is_not_on_loopback_sees_a_page_with_the_token_alone(node, service, path):
    refused = node.metrics(service).value("parley_http_refusals_total", reason="no_token")
    status, body, challenge = fetch(node, HTTP_PORTS[service], path)
    assert (status, body) == (401, LINE)
    assert challenge.startswith("Basic realm=")
    node.wait_metric(service, refused + 1, "parley_http_refusals_total", reason="no_token")
    if path != "/events":  # it does not end
        assert fetch(node, HTTP_PORTS[service], path, **node.headers)[0] == 200


def test_that_a_process_is_alive_is_no_secret(node):
    assert fetch(node, HTTP_PORTS["chat"], "/healthz")[:2] == (200, b"alive\n")


@pytest.mark.parametrize(("service", "path"), PAGES)
def test_on_loopback_no_token_is_asked_for(node, service, path):
    assert fetch(node, HTTP_PORTS[service], path, "127.0.0.1")[0] == 200


@pytest.mark.parametrize("service", HTTP_PORTS)
def test_a_containers_health_check_needs_none(node, service):
    node.wait_ready(service)
    command = [sys.executable, "-IS", "deploy/ready.py", str(HTTP_PORTS[service])]
    assert subprocess.run(command, cwd=ROOT, check=False, capture_output=True).returncode == 0


def test_wrong_tokens_are_counted_and_soon_not_looked_at(node):
    url = HTTP_PORTS["location"], "/status"
    said = [fetch(node, *url, Authorization=f"Bearer {shown}")[0] for shown in ["x" * 64] * 5]
    assert said == [401, 401, 401, 429, 429]
    assert fetch(node, *url, **node.headers)[0] == 429, "nor is the right one"
    counted = Samples(fetch(node, HTTP_PORTS["location"], "/metrics", "127.0.0.1")[1].decode())
    assert counted.value("parley_http_refusals_total", reason="wrong_token") == 3
    assert counted.value("parley_http_refusals_total", reason="too_many_tokens") == 3
    assert counted.value("parley_limited_total", what="tokens", where="http") == 3


def test_parley_status_has_the_token_of_its_own_data_directory(node):
    done = run_parley("status", node.address, "--json", environment=node.environment)
    assert '"server_id": "alpha"' in done.stdout, done.stderr
    assert done.returncode == 0
    without_a_name = {key: value for key, value in node.environment.items() if key != "PARLEY_SERVER_ID"}
    assert run_parley("status", node.address, environment=without_a_name).returncode == 0


def test_parley_status_elsewhere_needs_the_tokens_file_and_says_so(node, tmp_path):
    elsewhere = node.environment | {"PARLEY_DATA_DIR": str(tmp_path)}
    done = run_parley("status", node.address, environment=elsewhere)
    (line,) = done.stderr.splitlines()
    assert (done.returncode, done.stdout) == (1, "")
    assert line.startswith(f"parley: the node at {node.address}:9401 shows its pages to who has its token")
    done = run_parley("status", node.address, "--token-file", str(node.token), environment=elsewhere)
    assert done.returncode == 0, done.stderr
    (tmp_path / "short").write_text("short\n")
    done = run_parley("status", node.address, "--token-file", str(tmp_path / "short"), environment=elsewhere)
    assert done.returncode == 2
    assert "the first line of" in done.stderr


def test_a_configured_token_is_asked_for_in_every_mode(lan, tmp_path):
    token = tmp_path / "token"
    token.write_text("a token of the operator's".replace(" ", "-") + "\n")
    settings = COUNTED | {"PARLEY_HTTP__TOKEN_FILE": str(token), "PARLEY_DISCOVERY__PORT": "9989"}
    for service in HTTP_PORTS:  # not at the ports of the other node here
        settings[f"PARLEY_{service.upper()}__HTTP_PORT"] = str(HTTP_PORTS[service] + 100)
    settings |= {"PARLEY_DISCOVERY__TCP_PORT": "9898", "PARLEY_CHAT__PORT": "6566"}
    node = LanNode("beta", lan, tmp_path, ("discovery", "chat"), **settings)
    try:
        node.start("discovery")
        shown = {"Authorization": "Bearer a-token-of-the-operator's"}
        wait_until(lambda: fetch(node, 9501, "/readyz", **shown)[0] == 200, what="it has started")
        assert fetch(node, 9501, "/readyz")[0] == 401
        assert not node.token.exists()
    finally:
        node.stop()


@needs_prometheus
def test_prometheus_shows_it_from_its_file(node, tmp_path, lan):
    with Prometheus(tmp_path, lan.client, [node], token_file=node.token) as prometheus:
        wait_until(lambda: sum(value for _, value in prometheus.query('up{job="parley"}')) == 4, 60, "all are up")


@needs_chromium
def test_a_browser_asks_its_user_and_the_page_is_live(node):
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as engine:
        chromium = engine.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        stranger = chromium.new_context().new_page()
        with pytest.raises(playwright.Error, match="AUTH_CREDENTIALS"):  # there is nobody whom it could ask
            stranger.goto(f"http://{node.address}:9401/")
        knows = {"username": "anybody", "password": node.token.read_text().strip()}
        page = chromium.new_context(http_credentials=knows).new_page()
        assert page.goto(f"http://{node.address}:9401/").status == 200
        page.wait_for_selector(".is-live")
        page.click("text=/status")
        page.wait_for_url("**/status")
        assert '"server_id": "alpha"' in page.content()
        chromium.close()
