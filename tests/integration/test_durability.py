"""What waits survives the death of any process, and what an author was told of it stays true."""

import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing, contextmanager

import pytest

from tests.support.nodes import ROOT, TIMEOUT, Node, wait_linked, wait_until
from tests.support.plain_client import PlainClient

ALPHA, BETA, ELSEWHERE = "127.0.31.1", "127.0.31.2", "127.0.31.3"
SERVICES = ("discovery", "chat")
COUNT = 100
SETTINGS = {"PARLEY_LINK__BACKOFF_MAX": "0.5"}


@pytest.fixture(scope="module")
def nodes(tmp_path_factory):
    directory = tmp_path_factory.mktemp("nodes")
    with (
        Node("alpha", ALPHA, directory, SERVICES, SETTINGS) as alpha,
        Node("beta", BETA, directory, SERVICES, SETTINGS) as beta,
    ):
        wait_linked([alpha, beta], ["chat"])
        yield alpha, beta


@contextmanager
def connected(user, node, number, **options):
    """A client of somebody at their server, of the first code base: what it writes to nobody says so.

    A client of which nothing is known yet is written to slowly (`WRITE_GAP`).
    """
    address = f"127.0.31.{number}"
    with PlainClient(user, node.server_id, address, broadcast=node.address, enough=1, **options) as client:
        client.connect()
        hello = client.send_text("nobody", node.server_id, "hello")
        client.wait_status(hello, "USER_NOT_FOUND")
        with client.lock:
            client.acks[:] = [each for each in client.acks if each["messageSnowflake"] != hello]
        yield client


def ann(alpha, **options):
    return connected("ann", alpha, 11, **options)


def bob(beta, **options):
    return connected("bob", beta, 12, **options)


def kill_chat(*those):
    """SIGKILL, at once for all of them; then they start again and are linked."""
    for node in those:
        node.kill("chat")
    for node in those:
        node.start("chat")


def wait_again(nodes):
    for node in nodes:
        node.wait_ready()
    wait_linked(nodes, ["chat"])


def send_all(client, prefix):
    """COUNT texts for bob; returns snowflake → text."""
    return {client.send_text("bob", "beta", f"{prefix} {n}"): f"{prefix} {n}" for n in range(COUNT)}


def wait_statuses(client, snowflakes, status):
    for snowflake in snowflakes:
        client.wait_status(snowflake, status)


def statuses(client):
    """Every status that somebody heard, by number."""
    found = {}
    for ack in client.acks:
        for each in ack.get("statuses", []):
            found.setdefault(ack["messageSnowflake"], []).append(each.get("status", "UNKNOWN_STATUS"))
    return found


def owed(node):
    """How many statuses are on disk for those who are away."""
    with closing(sqlite3.connect(node.directory / "data" / node.server_id / "chat.db")) as db:
        return db.execute("SELECT COUNT(*) FROM owed").fetchone()[0]


def wait_forgotten(node):
    """Nothing that was delivered comes again if a process dies now: an existing client would show it again."""
    path = node.directory / "data" / node.server_id / "chat.db"

    def waiting():
        with closing(sqlite3.connect(path)) as db:
            return db.execute("SELECT COUNT(*) FROM message").fetchone()[0]

    wait_until(lambda: waiting() == 0, what=f"that nothing waits at {node}")


def wait_texts(client, texts):
    """All of these came, in this order, each once."""
    texts = list(texts)
    client.wait_for(lambda: len(client.messages) >= len(texts))
    assert [each.get("textContent") for each in client.messages] == texts


@pytest.mark.parametrize("dies", [("beta",), ("alpha",), ("alpha", "beta")], ids=" and ".join)
def test_what_waits_for_somebody_away_survives_the_death_of_a_chat_process(nodes, dies):
    """The recipient's, the author's, both: those who were told USER_AWAY hear DELIVERED, and it is so."""
    alpha, beta = nodes
    with bob(beta):
        pass
    with ann(alpha) as author:
        sent = send_all(author, f"{dies}")
        wait_statuses(author, sent, "USER_AWAY")
        kill_chat(*(node for node in nodes if node.server_id in dies))
        wait_again(nodes)
        if "alpha" not in dies:
            with bob(beta) as recipient:
                wait_texts(recipient, sent.values())
                wait_statuses(author, sent, "DELIVERED")
            assert all(heard == ["USER_AWAY", "DELIVERED"] for heard in statuses(author).values())
            return
    with ann(alpha) as author, bob(beta) as recipient:
        wait_texts(recipient, sent.values())
        wait_statuses(author, sent, "DELIVERED")
        assert all(heard == ["DELIVERED"] for heard in statuses(author).values())


def test_what_waits_for_a_server_that_is_away_survives_the_death_of_the_authors(nodes):
    """OTHER_SERVER_TIMEOUT says that it is kept here: so it is."""
    alpha, beta = nodes
    with bob(beta):
        pass
    wait_forgotten(beta)
    beta.kill("chat")
    with ann(alpha) as author:
        sent = send_all(author, "for a server that is away")
        wait_statuses(author, sent, "OTHER_SERVER_TIMEOUT")
    kill_chat(alpha)
    beta.start("chat")
    wait_again(nodes)
    with bob(beta) as recipient, ann(alpha) as author:
        wait_texts(recipient, sent.values())
        wait_statuses(author, sent, "DELIVERED")


def test_what_is_unanswered_is_on_disk_soon_and_survives(nodes):
    """Its recipient is there and says nothing; their server dies."""
    alpha, beta = nodes
    with ann(alpha) as author:
        with bob(beta, status=None) as silent:
            sent = send_all(author, "unanswered")
            silent.wait_for(lambda: len(silent.messages) >= COUNT)
            kill_chat(beta)
        wait_again(nodes)
        with bob(beta) as recipient:
            wait_texts(recipient, sent.values())
            wait_statuses(author, sent, "DELIVERED")
    assert "USER_NOT_FOUND" not in str(author.acks)


def test_answers_that_waited_to_be_read_while_the_process_was_held_up_are_no_silence(tmp_path):
    """What they answer is not written to disk: after a pause the answers are read before what is unanswered is."""
    delay = 1.0
    settings = SETTINGS | {"PARLEY_CHAT__PERSIST_DELAY": str(delay)}
    with (
        Node("gamma", "127.0.31.4", tmp_path, SERVICES, settings) as gamma,
        connected("ann", gamma, 13) as author,
        connected("bob", gamma, 14, status=None) as recipient,
    ):
        began = time.monotonic()
        sent = [author.send_text("bob", "gamma", f"held up {n}") for n in range(COUNT)]
        recipient.wait_for(lambda: len(recipient.messages) >= COUNT)
        written = gamma.metrics("chat").value("parley_mailbox_commit_writes_sum")
        gamma.kill("chat", signal.SIGSTOP)
        try:
            assert time.monotonic() < began + delay, "this machine is too slow to stop it in time"
            for snowflake in sent:
                answer = {"messageSnowflake": snowflake, "statuses": [{"status": "DELIVERED"}]}
                recipient.connected["MESSAGES"].send("MESSAGE_ACK", answer)
            wait_until(lambda: time.monotonic() > began + 1.5 * delay)
        finally:
            gamma.kill("chat", signal.SIGCONT)
        wait_statuses(author, sent, "DELIVERED")
        assert gamma.metrics("chat").value("parley_mailbox_commit_writes_sum") == written


def test_a_final_status_that_is_owed_to_an_author_survives_the_death_of_their_server(nodes):
    alpha, beta = nodes
    with bob(beta):
        pass
    with ann(alpha) as author:
        sent = send_all(author, "owed")
        wait_statuses(author, sent, "USER_AWAY")
    wait_until(lambda: not alpha.status("chat")["subscribers"], what="ann is away")
    with bob(beta) as recipient:
        wait_texts(recipient, sent.values())
        wait_until(lambda: owed(alpha) == COUNT, what="the statuses are on disk")
    kill_chat(alpha)
    wait_again(nodes)
    with ann(alpha) as author:
        wait_statuses(author, sent, "DELIVERED")
        assert all(heard == ["DELIVERED"] for heard in statuses(author).values())


def test_a_message_sent_again_after_its_servers_death_is_no_second_one(nodes):
    alpha, beta = nodes
    with bob(beta):
        pass
    fields = {"user": {"userId": "bob", "serverId": "beta"}, "textContent": "again", "messageSnowflake": 4711}
    with ann(alpha) as author:
        author.send_message(fields)
        author.wait_status(4711, "USER_AWAY")
    kill_chat(alpha, beta)
    wait_again(nodes)
    with ann(alpha) as author:
        author.send_message(fields)
        author.wait_status(4711, "USER_AWAY")
        with bob(beta) as recipient:
            author.wait_status(4711, "DELIVERED")
            last = author.send_text("bob", "beta", "the last")
            author.wait_status(last, "DELIVERED")
            wait_texts(recipient, ["again", "the last"])


# What cannot be used -----------------------------------------------------------------------------------


def refused(node, **settings):
    """Start another chat process of a node; its exit code is 2, and what it says is one line."""
    done = subprocess.run(
        [sys.executable, "-m", "services.chat"],
        cwd=ROOT,
        env=node.environment | settings,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    said = [line for line in (done.stdout + done.stderr).splitlines() if not line.startswith("{")]
    assert len(said) == 1, said
    return said[0]


def test_a_second_chat_process_on_the_same_data_says_so_and_ends(nodes):
    """At another address, so that it is no standby of the first."""
    alpha, _beta = nodes
    assert "in use by another chat process" in refused(alpha, PARLEY_ADDRESS=ELSEWHERE)
    assert alpha.is_ready("chat")


def test_a_corrupt_mailbox_is_named_and_left_as_it_is(tmp_path):
    with Node("gamma", ELSEWHERE, tmp_path, ("discovery", "chat")) as gamma:
        gamma.kill("chat", signal.SIGTERM)
        assert gamma.wait_exit("chat") == 0
        path = gamma.directory / "data" / "gamma" / "chat.db"
        path.write_bytes(b"\x55" * path.stat().st_size)
        before = path.read_bytes()
        line = refused(gamma)
        assert str(path) in line
        assert "restore it from a backup" in line
        assert path.read_bytes() == before
