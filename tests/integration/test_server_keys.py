"""Servers' names and their keys, with real nodes: another key, no key, old and forged announcements, copies.

Each node keeps its data; whatever is refused is counted, told to its operator, and changes no link of the true one.
"""

import contextlib
import json
import shutil
import signal
import socket
import subprocess
import sys

import pytest

from parley.shared.discovery.announcements import encode_announcement, our_mark
from parley.shared.discovery.nonces import encode_request
from parley.shared.trust.keys import PrivateKey, fingerprint
from parley.shared.trust.pins import Verdict
from parley.shared.trust_storage.identity import find_identity
from parley.shared.trust_storage.pins_file import PinsFile
from parley.shared.wire.framing import read_datagram
from parley.shared.wire.messages import decode, pb
from tests.support.nodes import COUNTED, Node, wait_linked, wait_until
from tests.support.plain_program import DISCOVERY_PORT
from tests.support.secured import Secured

ALPHA, BETA, THIRD, ATTACKER = (f"127.0.83.{n}" for n in (1, 2, 3, 66))
SETTINGS = COUNTED | {
    "PARLEY_DISCOVERY__DISCOVERY_INTERVAL": "0.5",
    "PARLEY_DISCOVERY__SERVER_EXPIRY": "3",
    "PARLEY_LINK__BACKOFF_MAX": "1",
}
REFUSED = "parley_key_refusals_total"
SERVICES = ("discovery", "chat")
CHAT = [pb.Endpoint(feature="MESSAGES", port=6666)]


def node(name, address, directory, **settings):
    more = {key.upper(): value for key, value in settings.items()}
    return Node(name, address, directory, SERVICES, SETTINGS | more)


def trust(of, *arguments):
    """What `parley trust` prints there."""
    done = subprocess.run(
        [sys.executable, "-m", "parley", "trust", *arguments],
        env=of.environment,
        cwd=of.root,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def pins(of):
    """Server → its fingerprint, as the node has it on its disk."""
    lines = map(json.loads, trust(of, "list", "--json").splitlines())
    return {each["name"]: each["fingerprint"] for each in lines if "refused" not in each}


def key_of(of):
    return fingerprint(find_identity(of.directory / "data", of.server_id).public)


def assurance(of, peer):
    (found,) = [each for each in of.status("chat")["peers"] if each["server_id"] == peer]
    return found["assurance"]


def last_error(of, peer):
    (found,) = [each for each in of.status("chat")["peers"] if each["server_id"] == peer]
    return found["last_error"]


def wait_known(of, other):
    """Wait until its discovery has the other one's key: another process of it may have been first."""

    def known():
        return {each["server_id"]: each["fingerprint"] for each in of.status("discovery")["keys"]}

    wait_until(lambda: known().get(other.server_id) == key_of(other) and places(of, other.server_id))


def places(of, name):
    return [each["features"] for each in of.status("discovery")["directory"] if each["server_id"] == name]


def troubles(of, service="discovery"):
    return {each["kind"] for each in of.status(service)["troubles"]}


def refusals(of, what):
    return sum(of.metrics(service).value(REFUSED, what=what) for service in SERVICES)


def wait_refused(of, what, more_than=0.0):
    wait_until(lambda: refusals(of, what) > more_than, what=f"{what} refused by {of}")


@contextlib.contextmanager
def udp(host):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((host, 0))
        sock.settimeout(5.0)
        yield sock


@pytest.fixture
def alpha(tmp_path):
    with node("alpha", ALPHA, tmp_path) as made:
        yield made


def test_two_nodes_know_each_others_keys_and_keep_them_over_a_restart(tmp_path, alpha):
    with node("beta", BETA, tmp_path) as beta:
        wait_linked([alpha, beta], ["chat"])
        assert "seen" in assurance(alpha, "beta")
        wait_until(lambda: pins(alpha) == {"beta": key_of(beta)})
        wait_until(lambda: pins(beta) == {"alpha": key_of(alpha)})
        alpha.stop()
        for service in SERVICES:
            alpha.start(service)
        alpha.wait_ready()
        assert pins(alpha) == {"beta": key_of(beta)}
        wait_linked([alpha, beta], ["chat"])
        keys = {each["server_id"]: each for each in alpha.status("discovery")["keys"]}
        assert keys["beta"]["fingerprint"] == key_of(beta)
        assert keys["beta"]["known"] == "seen first"
        assert keys["alpha"]["known"] == "own"
        assert refusals(alpha, "other_key") == refusals(beta, "other_key") == 0


def test_another_key_is_refused_until_the_operator_accepts_it_on_the_running_node(tmp_path, alpha):
    with node("beta", BETA, tmp_path) as beta:
        wait_linked([alpha, beta], ["chat"])
        before = key_of(beta)
    shutil.rmtree(tmp_path / "beta" / "data")
    with node("beta", BETA, tmp_path) as beta:
        wait_refused(alpha, "other_key")
        wait_until(lambda: "key_refused" in troubles(alpha))
        assert "parley trust accept beta" in str(alpha.status("discovery")["troubles"])
        assert alpha.linked("chat") == set()
        assert pins(alpha) == {"beta": before}
        trust(alpha, "accept", "beta", "--key", key_of(beta))
        wait_linked([alpha, beta], ["chat"])
        wait_until(lambda: "approved" in assurance(alpha, "beta"))
        assert last_error(alpha, "beta") == ""  # it is over
    told = {each["reason"] for each in alpha.logged("chat", "frame_rejected")}
    assert not told & {"other_key", "unproven"}  # key_refused tells it


def test_somebody_elses_beta_is_refused_and_the_link_of_the_true_one_stays(tmp_path, alpha):
    with node("beta", BETA, tmp_path) as beta:
        wait_linked([alpha, beta], ["chat"])
        wait_known(alpha, beta)
        with node("beta", ATTACKER, tmp_path / "elsewhere"):
            wait_refused(alpha, "other_key")
            refused = refusals(alpha, "other_key")
            wait_refused(alpha, "other_key", refused)
            assert alpha.linked("chat") == {"beta"}
            assert str(places(alpha, "beta")).count(ATTACKER) == 0
        assert not alpha.logged("chat", "peer_disconnected")
        assert pins(alpha) == {"beta": key_of(beta)}


def test_forged_and_old_announcements_change_nothing(tmp_path, alpha):
    with node("beta", BETA, tmp_path) as beta:
        wait_linked([alpha, beta], ["chat"])
        wait_known(alpha, beta)
        before = places(alpha, "beta")
        mark = our_mark("1", "forged")
        with udp(ATTACKER) as sock:
            sock.sendto(encode_request(b"0123456789abcdef"), (BETA, DISCOVERY_PORT))
            captured = sock.recv(4096)
            assert decode(read_datagram(captured), pb.ServerAnnounce).identity.key
            plain = encode_announcement("beta", CHAT, mark=mark, nonce=b"nobody's")
            signed = encode_announcement("beta", CHAT, mark=mark, nonce=b"x", identity=PrivateKey(b"m" * 32))
            for datagram in (plain, captured, signed, encode_announcement("beta", CHAT)):
                sock.sendto(datagram, (ALPHA, DISCOVERY_PORT))
            wait_refused(alpha, "plain_for_keyed", 1.0)
        assert places(alpha, "beta") == before
        assert alpha.linked("chat") == {"beta"}
        assert pins(alpha) == {"beta": key_of(beta)}


def test_a_node_that_is_set_back_to_plain_is_refused_until_its_key_is_forgotten(tmp_path, alpha):
    with node("beta", BETA, tmp_path) as beta:
        wait_linked([alpha, beta], ["chat"])
    with node("beta", BETA, tmp_path, parley_security__mode="open") as beta:
        wait_refused(alpha, "plain_for_keyed")
        assert alpha.linked("chat") == set()
        trust(alpha, "forget", "beta")
        wait_linked([alpha, beta], ["chat"])
        assert assurance(alpha, "beta") == "plain"


def test_tls_at_an_open_node_is_called_so(tmp_path):
    with node("beta", BETA, tmp_path, parley_security__mode="open") as beta:
        with contextlib.suppress(OSError):
            Secured((BETA, 6666), ATTACKER).close()
        (line,) = wait_until(lambda: beta.logged("chat", "frame_rejected"))
    assert line["detail"] == "began TLS; this node's security.mode is open"


def test_a_name_that_was_used_in_plain_gets_a_key_by_the_operator_alone(tmp_path, alpha):
    with node("beta", BETA, tmp_path, parley_security__mode="open") as beta:
        wait_linked([alpha, beta], ["chat"])
        assert assurance(alpha, "beta") == "plain"
    with node("beta", BETA, tmp_path) as beta:
        wait_refused(alpha, "plain_held")
        assert pins(alpha) == {}
        wait_until(lambda: any(each["known"] == "held in plain" for each in alpha.status("discovery")["keys"]))
        trust(alpha, "accept", "beta", "--key", key_of(beta))
        wait_linked([alpha, beta], ["chat"])
        assert "approved" in assurance(alpha, "beta")


def test_a_name_that_an_existing_program_announces_is_taken_by_no_key_and_its_place_sees_no_tls(alpha):
    """A server that knows no links never has one: that it is heard is all that tells of it."""
    with socket.create_server((THIRD, 6666)) as old, udp(THIRD) as sock:
        wait_until(
            lambda: sock.sendto(encode_announcement("old", CHAT), (ALPHA, DISCOVERY_PORT)) and places(alpha, "old")
        )
        directory = alpha.directory / "data" / "alpha" / "trust"
        wait_until(lambda: not may_take(directory, "old"), what="the name is noted on disk")

        def refused():
            with Secured((ALPHA, 6666), ATTACKER) as link, contextlib.suppress(AssertionError):  # it hangs up
                link.connect_server("old", PrivateKey(b"m" * 32))
            return refusals(alpha, "plain_held")

        wait_until(refused, what="chat reads that, too")
        assert pins(alpha) == {}
        old.setblocking(False)
        with pytest.raises(BlockingIOError):
            old.accept()


def test_a_key_that_is_quicker_than_the_news_of_a_plain_name_is_hung_up(alpha):
    """Another process of the node heard the name in plain a moment ago: chat reads that within a second."""
    with PinsFile(alpha.directory / "data" / "alpha" / "trust") as file:
        file.use_in_plain("old")
    with Secured((ALPHA, 6666), ATTACKER) as link:
        with contextlib.suppress(AssertionError):  # chat has read it already
            link.connect_server("old", PrivateKey(b"m" * 32))
        link.sock.settimeout(4.0)  # seconds; whoever says nothing is hung up after ten
        while link.frame() is not None:
            pass
    assert pins(alpha) == {}


def may_take(directory, name):
    """Whether a new key may have that name, as another process of the node reads it."""
    with PinsFile(directory) as file:
        return file.read().judge(name, b"k" * 32, file.written[0]) is Verdict.NEW


def test_in_strict_whoever_has_no_key_is_refused_in_one_clear_line(tmp_path):
    with (
        node("alpha", ALPHA, tmp_path, parley_security__mode="strict") as alpha,
        node("gamma", THIRD, tmp_path, parley_security__mode="strict") as gamma,
        node("beta", BETA, tmp_path, parley_security__mode="open") as beta,
    ):
        wait_linked([alpha, gamma], ["chat"])
        wait_refused(alpha, "no_key")
        assert alpha.linked("chat") == {"gamma"}
        lines = [each for each in alpha.logged("discovery", "key_refused") if each["peer_id"] == "beta"]
        assert len(lines) == 1
        assert "strict" in lines[0]["detail"]
        wait_until(lambda: "security.mode is strict" in last_error(beta, "alpha"))


def test_a_copy_of_a_node_is_told_to_both_and_a_restart_is_not(tmp_path, alpha):
    copied = tmp_path / "copy"
    with node("beta", BETA, tmp_path) as beta:
        wait_linked([alpha, beta], ["chat"])
        beta.stop()
        for service in SERVICES:
            beta.start(service)
        beta.wait_ready()
        wait_linked([alpha, beta], ["chat"])
        ignored = shutil.ignore_patterns("*.sock", "*.lock")
        shutil.copytree(tmp_path / "beta" / "data", copied / "beta" / "data", ignore=ignored)
        with node("beta", ATTACKER, copied) as copy:
            for each in (beta, copy):
                wait_until(lambda each=each: "node_cloned" in troubles(each), 25.0, f"{each} is told")
            wait_until(lambda: "node_cloned" in troubles(alpha, "chat"), 25.0)
        assert refusals(alpha, "other_key") == 0
    assert not alpha.logged("discovery", "key_refused")


def test_a_node_moves_with_its_data_and_nobody_is_alarmed(tmp_path, alpha):
    with node("beta", BETA, tmp_path) as beta:
        wait_linked([alpha, beta], ["chat"])
        beta.kill("discovery", signal.SIGKILL)
        beta.kill("chat", signal.SIGKILL)
    with node("beta", THIRD, tmp_path) as beta:
        wait_linked([alpha, beta], ["chat"])
        assert troubles(alpha) | troubles(beta) | troubles(alpha, "chat") == set()
