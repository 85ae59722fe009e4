"""What cannot be used is told in one clear line: a taken port, a bad configuration, an absent discovery."""

import socket
import subprocess
import sys
from contextlib import contextmanager

import pytest

from parley.shared.service.data_directory import DataDirectory
from tests.support.commands import Command, run_parley
from tests.support.nodes import ROOT, SERVICES, TIMEOUT, Node, wait_until

ADDRESS = "127.0.23.1"
TCP, UDP = socket.SOCK_STREAM, socket.SOCK_DGRAM


@pytest.fixture
def node(tmp_path):
    """A node that is not started: for its environment."""
    return Node("alpha", ADDRESS, tmp_path)


def run_service(service, node, **settings):
    """Run a process to its end."""
    return subprocess.run(
        [sys.executable, "-m", f"services.{service}"],
        cwd=ROOT,
        env=node.environment | settings,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )


def assert_one_line(ended, *parts):
    """Exit code 2 and one line of Parley's on standard error, that holds these parts."""
    [line] = ended.stderr.splitlines()
    assert line.startswith("parley: ")
    assert [part for part in parts if part not in line] == [], line
    assert (ended.returncode, ended.stdout) == (2, "")


# Ports ------------------------------------------------------------------------------------------------


@contextmanager
def taken(kind, port):
    with socket.socket(socket.AF_INET, kind) as sock:
        sock.bind((ADDRESS, port))
        if kind is TCP:
            sock.listen()
        yield


@pytest.mark.parametrize(
    ("service", "kind", "port"),
    [
        ("discovery", TCP, 9998),
        ("chat", TCP, 6666),
        ("chat", TCP, 9402),
        ("typing", UDP, 7778),
        ("location", TCP, 8888),
    ],
)
def test_a_taken_port_is_told_in_one_line_with_exit_code_2(node, service, kind, port):
    with taken(kind, port):
        ended = run_service(service, node)
    assert_one_line(ended, f"port {port}/{'tcp' if kind is TCP else 'udp'}", ADDRESS, "taken", "PARLEY_ADDRESS")


def test_an_address_that_is_not_this_machines_is_told_in_one_line(node):
    ended = run_service("chat", node, PARLEY_ADDRESS="192.0.2.1")  # TEST-NET-1, RFC 5737: nobody's
    assert_one_line(ended, "192.0.2.1", "PARLEY_ADDRESS")


@pytest.mark.parametrize(("service", "kind", "port"), [("chat", TCP, 6666), ("typing", UDP, 7778)])
def test_serve_ends_with_that_line_where_a_port_of_one_process_is_taken(node, service, kind, port):
    """The whole node ends, at once and with exit code 2, and leaves no process behind."""
    with taken(kind, port), Command("serve", environment=node.environment) as command:
        wait_until(lambda: (command.family(), command.popen.poll())[1] is not None)
        assert command.wait_exit() == 2
        assert not command.survivors()
        said = [line for line in command.errors if "discovery_unreachable" not in line]  # a slow start is told of
        assert [f"port {port}/" in line for line in said] == [True], (service, said)


def test_serve_of_one_process_ends_with_that_line_as_well(node):
    with taken(TCP, 6666):
        assert_one_line(run_parley("serve", "chat", environment=node.environment), "port 6666/tcp", "taken")


# Configuration --------------------------------------------------------------------------------------------

BAD_SETTINGS = {
    "discovery": ("PARLEY_CONFIG", "no-such-file.yml", "no-such-file.yml"),
    "chat": ("PARLEY_CHAT__COLOUR", "red", "chat.colour"),
    "typing": ("PARLEY_CHAT__PORT", "65536", "chat.port"),
    "location": ("PARLEY_ADDRESS", "localhost", "PARLEY_ADDRESS"),
}


@pytest.mark.parametrize("service", SERVICES)
def test_a_bad_variable_is_told_in_one_line_that_names_it_before_anything_is_bound(node, service):
    name, value, part = BAD_SETTINGS[service]
    with taken(TCP, 6666):
        assert_one_line(run_service(service, node, **{name: value}), part)


def test_a_bad_file_is_told_in_one_line_that_names_the_key(node):
    environment = node.environment
    (node.directory / "parley.yml").write_text("chat: {port: yes}\n")
    assert_one_line(run_service("chat", node), "chat.port")
    assert environment["PARLEY_CONFIG"].endswith("parley.yml")


@pytest.mark.parametrize(
    "arguments",
    [("serve",), ("serve", "chat"), ("send", "--as", "a@b", "c@d", "x")],
    ids=" ".join,
)
def test_every_command_tells_a_bad_configuration_in_one_line(node, arguments):
    assert_one_line(
        run_parley(*arguments, environment=node.environment | {"PARLEY_CHAT__PORT": "many"}), "chat.port"
    )


# Discovery that is not there ------------------------------------------------------------------------------


def test_an_absent_discovery_is_waited_for_and_told_of_once(tmp_path):
    """Somebody else has its port first, and is dialled again and again: that is one line."""
    alpha = Node("alpha", "127.0.23.2", tmp_path, ("chat",))
    DataDirectory(alpha.environment["PARLEY_DATA_DIR"]).make_secret()  # discovery has run before
    with socket.socket() as nobody:
        nobody.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        nobody.bind((alpha.address, 9998))
        nobody.listen()
        nobody.settimeout(TIMEOUT)
        alpha.start("chat")
        try:
            wait_dialled(nobody, until=lambda: alpha.logged("chat", "discovery_unreachable"))
            wait_dialled(nobody, until=iter([False, True]).__next__)
            nobody.close()
            alpha.start("discovery")
            alpha.wait_ready()
            assert len(alpha.logged("chat", "discovery_unreachable")) == 1
            alpha.kill("discovery")
            wait_until(lambda: len(alpha.logged("chat", "discovery_unreachable")) == 2)
            assert alpha.get("chat", "/healthz")[0] == 200
            alpha.start("discovery")
            alpha.wait_ready()
        finally:
            alpha.stop()


def wait_dialled(listener, until):
    """Take connections and close them at once, until something holds."""
    while not until():
        listener.accept()[0].close()


def test_a_process_that_knows_its_name_serves_without_discovery(tmp_path):
    alpha = Node("alpha", "127.0.23.3", tmp_path, ("chat",))
    alpha.start("chat")
    try:
        wait_until(lambda: socket.create_connection((alpha.address, 6666), 1.0).close() is None)
        status, reasons = alpha.get("chat", "/readyz")
        assert (status, reasons) == (503, b"not registered with discovery\n")
        assert alpha.metrics("chat").value("parley_ready") == 0
        alpha.start("discovery")
        alpha.wait_ready()
        wait_until(lambda: alpha.metrics("chat").value("parley_ready") == 1)
    finally:
        alpha.stop()
