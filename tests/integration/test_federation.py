"""A federation by invitation, with real nodes and the real command line."""

import asyncio
import json
from contextlib import ExitStack
from functools import partial

import pytest

from parley.cli.operator.federation_joining import Joiner, join_by_code, join_by_token
from parley.shared.errors import PeerUnreachable
from parley.shared.trust.federation.changes import FederationRefused
from parley.shared.trust.federation.tokens import Token, read_token
from parley.shared.trust.keys import PrivateKey
from parley.shared.trust.pairing import PairingRefused
from parley.shared.trust_storage.federation import FederationFiles
from tests.support.commands import Command, run_parley
from tests.support.nodes import Node, wait_linked, wait_until

STRICT = {
    "PARLEY_SECURITY__MODE": "strict",
    "PARLEY_DISCOVERY__DISCOVERY_INTERVAL": "0.5",
    "PARLEY_LINK__BACKOFF_MAX": "0.5",
}
SECONDS = 8.0
"""Until a revoked server is cut everywhere."""


def federation(node, *arguments, text=""):
    """A command that succeeds; what it prints."""
    done = run_parley("federation", *arguments, environment=node.environment, text=text)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def refused(node, *arguments):
    done = run_parley("federation", *arguments, environment=node.environment)
    assert done.returncode == 1, done
    return done.stderr


def members(node):
    lines = federation(node, "list", "--json").splitlines()
    return {json.loads(line)["server_id"] for line in lines}


def state(node):
    return FederationFiles(node.directory / "data", node.server_id).read().state


def joiner(name):
    return Joiner(name, PrivateKey.generate())


@pytest.fixture
def nodes(tmp_path):
    """Start nodes by name, each at an address of its own."""
    with ExitStack() as stack:
        begun = []

        def start(*names, services=("discovery", "chat"), **settings):
            addresses = range(len(begun) + 1, len(begun) + len(names) + 1)
            for number, name in zip(addresses, names, strict=True):
                node = Node(name, f"127.0.91.{number}", tmp_path, services, STRICT | settings)
                begun.append(stack.enter_context(node))
            return begun[-len(names) :]

        yield start


def test_three_servers_by_invitation_and_one_is_revoked_for_ever(nodes):
    services = ("discovery", "chat", "typing")
    alpha, beta, gamma = nodes("alpha", "beta", "gamma", services=services)
    wait_linked([alpha, beta, gamma], ["chat", "typing"])
    federation(alpha, "init")
    # From here on strangers are out: alpha is alone until it lets somebody in.
    wait_until(lambda: not alpha.linked("chat") and not alpha.linked("typing"), SECONDS, "alpha cuts strangers")
    token = federation(alpha, "invite", "--expires", "1h")
    assert "alpha" in federation(beta, "join", token)
    asked = run_parley("federation", "invite", environment=alpha.environment)
    assert asked.stderr.startswith(f"at the other server: parley federation join {asked.stdout}")
    federation(gamma, "join", federation(alpha, "invite", "--at", f"{alpha.address}:6666"))
    wait_linked([alpha, beta, gamma], ["chat", "typing"])
    wait_until(lambda: members(beta) == {"alpha", "beta", "gamma"}, what="beta hears of gamma")
    alpha.wait_metric("chat", 2, "parley_federation_joins_total", result="joined")
    assert "used already" in refused(gamma, "join", token, "--at", f"{alpha.address}:6666")
    with_gamma = state(gamma).newest

    federation(alpha, "revoke", "gamma", "--yes")
    for node in (alpha, beta):
        for service in ("chat", "typing"):
            wait_until(lambda n=node, s=service: "gamma" not in n.linked(s), SECONDS, f"gamma is cut at {node}")
    assert members(beta) == {"alpha", "beta"}
    # It stays cut after everybody was started again, with the list in its hands that it was a member of.
    for node in (alpha, beta, gamma):
        node.stop()
        for service in services:
            node.start(service)
        node.wait_ready()
    assert state(gamma).newest == with_gamma
    wait_linked([alpha, beta], ["chat", "typing"])
    alpha.wait_metric("discovery", 1, "parley_key_refusals_total", what="revoked")
    for service in ("chat", "typing"):
        assert (alpha.linked(service), beta.linked(service)) == ({"beta"}, {"alpha"})
    assert "never returns" in refused(gamma, "join", federation(alpha, "invite"), "--at", f"{alpha.address}:6666")


def test_links_that_stand_say_invited_once_both_are_in(nodes):
    alpha, beta = nodes("alpha", "beta", PARLEY_SECURITY__MODE="mixed")
    wait_linked([alpha, beta], ["chat"])
    federation(alpha, "init")
    federation(beta, "join", federation(alpha, "invite"))
    for node in (alpha, beta):
        wait_until(
            lambda n=node: [each["assurance"] for each in n.status("chat")["peers"]] == ["encrypted, invited"],
            what=f"{node} says invited",
        )
        assert len(node.logged("chat", "peer_connected")) <= 1
    for node in (alpha, beta):  # neither takes the other's list for a stranger's
        rejected = node.metrics("chat").value("parley_frames_rejected_total", reason="unknown_name")
        assert (rejected, "FEDERATION_LIST" in node.stderr("chat")) == (0, False)


def test_a_spoken_code_lets_one_server_in(nodes):
    alpha, beta = nodes("alpha", "beta")
    federation(alpha, "init")
    with Command("federation", "invite", "--spoken", environment=alpha.environment) as inviting:
        code = inviting.wait_line("-")
        federation(beta, "join", code)
        inviting.wait_line("beta joined")
        assert inviting.wait_exit() == 0
    wait_linked([alpha, beta], ["chat"])


@pytest.fixture
def inviter(nodes):
    """Alpha, which founded a federation; and what asks it to join."""
    (alpha,) = nodes("alpha")
    federation(alpha, "init")
    alpha.wait_metric("chat", 1, "parley_federation_members")
    return alpha


def ask(node, token, me):
    return asyncio.run(join_by_token([(node.address, 6666)], token, me))


def reason(act, *arguments):
    with pytest.raises((FederationRefused, PairingRefused)) as told:
        act(*arguments)
    return told.value.reason


def test_each_attack_on_invitations_is_refused_and_counted(inviter):
    token = read_token(federation(inviter, "invite"))
    counted = partial(inviter.wait_metric, "chat", 1, "parley_federation_joins_total")
    guess = Token(token.federation, b"g" * 20, 1, 0)
    assert reason(ask, inviter, guess, joiner("mallory")) == "unknown"
    counted(result="unknown")
    assert ask(inviter, token, joiner("beta")).number == 2
    counted(result="joined")
    assert reason(ask, inviter, token, joiner("mallory")) == "used"
    counted(result="used")
    short = read_token(federation(inviter, "invite", "--expires", "0.001"))
    assert reason(ask, inviter, short, joiner("late")) == "expired"
    counted(result="expired")
    other = read_token(federation(inviter, "invite"))
    assert reason(ask, inviter, other, joiner("ALPHA")) == "taken"
    counted(result="taken")
    # Another federation's token: the secret is not even said, since alpha is no signer of that one.
    foreign = Token(b"f" * 32, token.secret, 1, 0)
    with pytest.raises(PeerUnreachable):
        ask(inviter, foreign, joiner("beta"))
    assert members(inviter) == {"alpha", "beta"}
    lines = [each["reason"] for each in inviter.logged("chat", "federation_join_refused")]
    assert lines == ["unknown", "used"]  # more in the same minute are told as one number
    assert inviter.logged("chat", "federation_joined")
    assert not inviter.logged("chat", "callback_failed")


def test_codes_are_guessed_three_times(inviter):
    with Command("federation", "invite", "--spoken", environment=inviter.environment) as inviting:
        inviting.wait_line("-")
        outcomes = []
        for guess in range(5):
            code = f"0000-000{guess}"
            me = joiner(f"mallory{guess}")
            outcomes.append(reason(asyncio.run, join_by_code([(inviter.address, 6666)], code, me)))
        assert outcomes[:3] == ["wrong_code"] * 3
        assert set(outcomes[3:]) <= {"tries", "unknown"}
        assert inviting.wait_exit() == 1
    assert members(inviter) == {"alpha"}


def test_the_authority_is_restored_on_another_machine(nodes):
    alpha, beta = nodes("alpha", "beta")
    federation(alpha, "init")
    sealed = alpha.directory / "sealed.txt"
    federation(alpha, "export", str(sealed), text="correct horse battery\n")
    federation(beta, "join", federation(alpha, "invite"))
    wait_linked([alpha, beta], ["chat"])
    (gamma,) = nodes("gamma")
    federation(gamma, "restore", str(sealed), text="correct horse battery\n")
    wait_linked([alpha, beta, gamma], ["chat"])
    wait_until(lambda: members(alpha) == members(beta) == members(gamma) == {"alpha", "beta", "gamma"}, SECONDS)
    federation(gamma, "revoke", "alpha", "--yes")
    wait_until(lambda: beta.linked("chat") == {"gamma"}, SECONDS, "alpha is cut")
