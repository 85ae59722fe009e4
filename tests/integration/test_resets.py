"""A name that its operator gave away: contacts are told before the new device's messages. Real nodes."""

import json
import re

import pytest

from tests.support.commands import Command, client_environment, run_parley
from tests.support.nodes import COUNTED, Node, wait_linked, wait_until

CODE = re.compile(r"[0-9A-Z]{4}-[0-9A-Z]{4}")
ADDRESSES = {"alpha": "127.0.95.1", "beta": "127.0.95.2"}


@pytest.fixture(scope="module")
def nodes(tmp_path_factory):
    directory, services = tmp_path_factory.mktemp("nodes"), ["discovery", "chat"]
    with (
        Node("alpha", ADDRESSES["alpha"], directory, services, COUNTED) as alpha,
        Node("beta", ADDRESSES["beta"], directory, services, COUNTED) as beta,
    ):
        wait_linked([alpha, beta], ["chat"])
        yield alpha, beta


@pytest.fixture
def home(tmp_path):
    """Make the environment of a device of a user, by the user's name and the device's."""

    def make(user, device="laptop"):
        directory = tmp_path / f"{user}-{device}"
        directory.mkdir(exist_ok=True)
        own = {"XDG_DATA_HOME": str(directory / ".local" / "share")}
        return client_environment(ADDRESSES[user.partition("@")[2]], directory, **own)

    return make


@pytest.fixture
def send(home):
    """Send a text as a user, from one of their devices."""

    def sent(author, to, text, device="laptop"):
        done = run_parley("send", "--wait", "0", "--as", author, to, text, environment=home(author, device))
        assert done.returncode in (0, 3), done.stderr

    return sent


def told(lines):
    return [line for line in lines if line.startswith("!")]


def test_an_open_chat_is_told_of_a_reset_before_the_new_device_writes(nodes, home, send):
    alpha, _ = nodes
    with Command("chat", "--as", "bob@beta", environment=home("bob@beta")) as bob:
        bob.wait_error("/help")
        send("alice@alpha", "bob@beta", "one")
        bob.wait_line("alice@alpha: one")
        assert run_parley("user", "reset", "alice", environment=alpha.environment).returncode == 0
        bob.wait_error("! alice@alpha was given away by alpha's operator: whoever comes first has that name.")
        send("alice@alpha", "bob@beta", "two", "stolen")
        bob.wait_line("alice@alpha: two")
        send("alice@alpha", "bob@beta", "three", "stolen")
        bob.wait_line("alice@alpha: three")
        (change,) = told(bob.errors)[1:]
        assert change.startswith("! alice@alpha was given away by alpha's operator: it is another device now.")


def test_a_contact_who_was_away_is_told_with_the_first_message(nodes, home, send):
    alpha, _ = nodes
    with Command("listen", "--as", "erin@beta", environment=home("erin@beta")) as erin:
        erin.wait_error("listening")
        send("dora@alpha", "erin@beta", "one")
        erin.wait_line("one")
        erin.interrupt()  # a kill may come before its contacts are written
        erin.wait_exit()
    assert run_parley("user", "reset", "dora", environment=alpha.environment).returncode == 0
    for text in ("two", "three"):
        send("dora@alpha", "erin@beta", text, "stolen")
    with Command("listen", "--json", "--as", "erin@beta", environment=home("erin@beta")) as erin:
        changes = [json.loads(erin.wait_line(f'"{text}"')).get("key_change") for text in ("two", "three")]
        assert changes == ["given_away", None]
        assert len(told(erin.errors)) == 1


# The device that is refused --------------------------------------------------------------------------------


@pytest.fixture
def run(home, nodes):
    """Run a command to its end as a user, on one of their devices."""
    assert nodes

    def done(user, device, *arguments):
        return run_parley(*arguments, "--as", user, environment=home(user, device))

    return done


@pytest.fixture
def link(home, run):
    """Add a device of a user by a code that another one enters."""

    def linked(user, new, earlier):
        with Command("device", "link", "--name", new, "--as", user, environment=home(user, new)) as linking:
            code = wait_until(lambda: next((each for each in linking.lines if CODE.fullmatch(each)), ""))
            assert run(user, earlier, "device", "add", code).returncode == 0
            assert linking.wait_exit() == 0

    return linked


def test_a_revoked_chat_ends_and_its_device_comes_back_with_another_key(home, run, link):
    user = "frank@beta"
    assert run(user, "laptop", "users").returncode == 0
    link(user, "phone", "laptop")
    assert run(user, "phone", "device", "forget").returncode == 2  # a key that counts is kept
    with Command("chat", "--as", user, environment=home(user, "phone")) as chat:
        chat.wait_error("/help")
        assert run(user, "laptop", "device", "revoke", "phone").returncode == 0
        assert chat.wait_exit() == 4
        (refusal,) = chat.errors[1:]
        assert f"`parley device forget --as {user}`" in refusal
    assert run(user, "phone", "device", "link").returncode == 4
    assert run(user, "phone", "device", "forget").returncode == 0
    link(user, "phone", "laptop")


def test_after_a_reset_the_printed_commands_give_the_only_device_its_name_again(nodes, home, run):
    user, beta = "grace@beta", nodes[1]
    assert run(user, "laptop", "device", "link").stdout == f"{user} was nobody's, and is this device's now\n"
    assert "already" in run(user, "laptop", "device", "link").stdout
    with Command("chat", "--as", user, environment=home(user)) as chat:
        chat.wait_error("/help")
        assert run_parley("user", "reset", user, environment=beta.environment).returncode == 0
        assert chat.wait_exit() == 4
        (refusal,) = chat.errors[1:]
        assert refusal.startswith(f"{user} was reset by its operator, and is nobody's now.")
    assert run(user, "laptop", "users").returncode == 4
    for command in re.findall(r"`parley (device \w+) --as", refusal):
        done = run(user, "laptop", *command.split())
        assert done.returncode == 0
    assert done.stdout == f"{user} was nobody's, and is this device's now\n"
    assert run(user, "laptop", "users").returncode == 0
