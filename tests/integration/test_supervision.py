"""`parley serve`: what dies comes back, what goes on is not disturbed, and Ctrl-C leaves nothing behind."""

import signal
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.support.commands import ServedNode
from tests.support.nodes import SERVICES, Node, wait_linked, wait_until
from tests.support.plain_client import PlainClient
from tests.support.plain_server import LOCATION, MESSAGES, TYPING
from tests.support.standing import assert_still_standing, standing_links

pytestmark = pytest.mark.timed

ALPHA, BETA = "127.0.24.1", "127.0.24.2"
FEATURES = (MESSAGES, TYPING, LOCATION)
FAMILY = len(SERVICES) + 3
"""Processes of a node: who watches it for people, and chat's two: the archive's, and the one that forks that."""
RELINKED = 1.0
"""Seconds from being ready to being linked again."""


@pytest.fixture(scope="module")
def beta(tmp_path_factory):
    with Node("beta", BETA, tmp_path_factory.mktemp("beta")) as node:
        yield node


@pytest.fixture(scope="module")
def served(tmp_path_factory, beta):
    """A node under `parley serve`, linked with beta; for tests that kill its processes."""
    with ServedNode("alpha", ALPHA, tmp_path_factory.mktemp("alpha")) as node:
        wait_linked([node, beta])
        yield node


def _input(pid):
    """What a process has for its standard input."""
    return Path(f"/proc/{pid}/fd/0").readlink()


def kill_and_wait(served, service):
    """SIGKILL a process; return when (monotonic) the next one was ready."""
    before = served.pid(service)
    served.kill(service)
    wait_until(lambda: served._pids().get(service, before) != before, what=f"another {service}")
    served.wait_ready(service)
    return time.monotonic()


@pytest.mark.parametrize("service", SERVICES[1:])
def test_a_killed_process_comes_back_and_is_linked_and_the_others_links_never_drop(served, beta, figure, service):
    others = [each for each in SERVICES[1:] if each != service]
    before = standing_links([served, beta], others)
    ready = kill_and_wait(served, service)
    wait_linked([served, beta], [service], timeout=RELINKED)
    took = time.monotonic() - ready
    figure(f"{service} killed: linked again {took:.2f} s after being ready")
    assert took < RELINKED
    assert_still_standing(before, standing_links([served, beta], others))
    served.command.wait_line(f"{service} ended (SIGKILL); starting it again")
    offers = [each["feature"] for each in served.status("discovery")["offers"]]
    assert sorted(offers) == sorted(FEATURES)


def test_a_killed_discovery_comes_back_with_all_registered_and_no_link_dropped(served, beta):
    before = standing_links([served, beta])
    assert len(before) == 6
    kill_and_wait(served, "discovery")
    served.wait_ready()
    wait_until(lambda: len(served.status("discovery")["offers"]) == len(FEATURES))
    wait_until(lambda: [each["server_id"] for each in served.status("discovery")["directory"]] == ["beta"])
    assert_still_standing(before, standing_links([served, beta]))


def test_a_message_crosses_after_all_that(served, beta):  # noqa: ARG001 - they are what is tested
    with (
        PlainClient("ann", "alpha", "127.0.24.11", enough=2) as ann,
        PlainClient("bob", "beta", "127.0.24.12", enough=2) as bob,
    ):
        ann.connect()
        bob.connect()
        assert ann.wait_status(ann.send_text("bob", "beta", "after all"), "DELIVERED")["user"] == bob.user


def test_it_tells_what_it_offers_and_whom_it_found(served):
    served.command.wait_line(f"Parley node alpha on {ALPHA}")
    for feature, port in (("MESSAGES", 6666), ("TYPING_INDICATOR", 7777), ("LIVE_LOCATION", 8888)):
        served.command.wait_line(f"{feature} {ALPHA}:{port}")
    served.command.wait_line("+ beta found: ")
    assert f"PARLEY_ADDRESS={ALPHA} " in served.command.wait_line("join it: ")
    assert "chat --as YOU@alpha" in served.command.wait_line("join it: ")


def exits(of, service):
    """Links that ended as their other side exited. Lines of log about others are limited, so they do not tell."""
    return of.metrics(service).value("parley_link_closes_total", reason="exit")


@pytest.mark.parametrize("how", ["ctrl-c", "sigterm"])
def test_a_stopped_node_hangs_up_on_everybody_in_time_and_leaves_no_process(tmp_path, beta, figure, how):
    name = f"gamma-{how}"
    with (
        ServedNode(name, "127.0.24.3", tmp_path) as node,
        PlainClient("ann", name, "127.0.24.13", broadcast="127.0.24.3", enough=1) as ann,
    ):
        wait_linked([node, beta])
        before = {service: exits(beta, service) for service in SERVICES[1:]}
        links = [ann.connect(feature) for feature in FEATURES]
        wait_until(lambda: len(node.command.family()) == FAMILY, what="all of its processes")
        began = time.monotonic()
        if how == "ctrl-c":
            node.command.interrupt()
        else:
            node.command.signal(signal.SIGTERM)
        code = node.command.wait_exit()
        took = time.monotonic() - began
        figure(f"{how}: a whole node stopped in {took:.2f} s")
        assert (code, node.command.survivors()) == (0, [])
        assert took < 3.0
        ann.wait_for(lambda: all(link.closed for link in links))
    hung_up = {each.link: each.fields for each in ann.received if each.name == "HANGUP"}
    assert [hung_up.get(link) for link in links] == [{"reason": "EXIT"}] * len(links)
    for service in SERVICES[1:]:
        wait_until(lambda service=service: name not in beta.linked(service))
        wait_until(lambda service=service: exits(beta, service) > before[service], what=f"{service} heard why")


def test_nothing_outlives_a_killed_supervisor(tmp_path):
    with ServedNode("delta", "127.0.24.4", tmp_path) as node:
        wait_until(lambda: len(node.command.family()) == FAMILY, what="all of its processes")
        node.command.signal(signal.SIGKILL)
        assert node.command.wait_exit() == -signal.SIGKILL
        wait_until(lambda: not node.command.survivors(), what="its children's end")


# Children are forked ----------------------------------------------------------------------------------


def test_processes_have_the_command_lines_that_they_have_alone_and_the_supervisor_for_a_parent(served):
    for service in SERVICES:
        process = psutil.Process(served.pid(service))
        assert process.ppid() == served.command.popen.pid
        assert " ".join(process.cmdline()).strip() == f"{sys.executable} -m services.{service}"
        assert process.name() == f"parley-{service}"[:15]  # the kernel keeps so much


def test_a_process_that_was_started_again_is_like_the_first(served, beta):
    kill_and_wait(served, "typing")
    wait_linked([served, beta], ["typing"])
    process = psutil.Process(served.pid("typing"))
    assert process.ppid() == served.command.popen.pid
    assert _input(process.pid) == _input(served.pid("chat"))


@pytest.mark.parametrize(("number", "words"), [(signal.SIGTERM, "exit code 0"), (signal.SIGKILL, "SIGKILL")])
def test_a_signal_to_one_process_is_not_one_to_the_node(served, number, words):
    before = served.pid("location")
    served.kill("location", number)
    wait_until(lambda: served._pids().get("location", before) != before, what="another location")
    served.wait_ready("location")
    served.command.wait_line(f"location ended ({words}); starting it again")


def test_who_watches_the_node_for_people_is_started_again_too(served):
    supervisor, features = served.command.popen.pid, {served.pid(service) for service in SERVICES}
    family = served.command.family()
    (watcher,) = [each for each in family if each.ppid() == supervisor and each.pid not in features]
    watcher.kill()
    served.command.wait_line("watcher ended (SIGKILL); starting it again")
    wait_until(lambda: len([line for line in served.command.lines if line.startswith("ready: alpha")]) > 1)


def test_nothing_outlives_a_killed_supervisor_that_has_started_something_again(tmp_path):
    with ServedNode("epsilon", "127.0.24.5", tmp_path) as node:
        kill_and_wait(node, "chat")
        wait_until(lambda: len(node.command.family()) == FAMILY, what="all of its processes")
        node.command.signal(signal.SIGKILL)
        node.command.wait_exit()
        wait_until(lambda: not node.command.survivors(), what="its children's end")
