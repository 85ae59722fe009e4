"""A person's keys and pins with real nodes and the real command line."""

import asyncio
import shutil
import stat

import pytest

from parley import ChatFeature, Config, Server, ServerKeyChanged
from parley.client.trust.dial_trust import FIRST
from parley.shared.addresses import Endpoint
from parley.shared.config import ClientConfig
from parley.shared.trust_storage.identity import find_identity
from tests.support.commands import Command, client_environment, run_parley
from tests.support.nodes import Node

ADDRESS = "127.0.77.1"
PATIENCE = FIRST * 0.9
"""Seconds: less than a client that tries again by itself rests."""


@pytest.fixture
def alpha(tmp_path):
    with Node("alpha", ADDRESS, tmp_path / "nodes") as node:
        yield node


@pytest.fixture
def home(tmp_path):
    """Make a home for one device."""

    def make(name, **settings):
        directory = tmp_path / name
        directory.mkdir(exist_ok=True)
        own = {"XDG_DATA_HOME": str(directory / ".local" / "share")}
        return client_environment(ADDRESS, directory, **own | settings)

    return make


def users(environment, *more):
    return run_parley("users", "--as", "alice@alpha", *more, environment=environment)


@pytest.mark.usefixtures("alpha")
def test_a_device_key_is_made_at_first_use_and_people_are_told_once(home, tmp_path):
    first, second = (users(home("laptop")) for _ in range(2))
    assert (first.returncode, first.stdout, first.stderr) == (0, "", "")
    assert (second.returncode, second.stdout, second.stderr) == (0, "", "")
    (key,) = (tmp_path / "laptop").rglob("*.key")
    assert key.name == "alice@alpha.key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600


def test_another_key_of_a_pinned_server_is_refused_in_one_line(alpha, home, tmp_path):
    assert users(home("laptop")).returncode == 0
    alpha.stop()
    shutil.rmtree(alpha.directory / "data")
    with Node("alpha", ADDRESS, tmp_path / "nodes"):
        refused = users(home("laptop"))
        assert (refused.returncode, refused.stdout) == (4, "")
        assert refused.stderr.startswith("parley: alpha has another key than before (")
        assert refused.stderr.endswith("`parley trust accept --mine alpha`\n")
        assert users(home("tablet")).returncode == 0


def test_a_pinned_server_is_not_spoken_to_in_plain_again(alpha, home, tmp_path):
    assert users(home("laptop")).returncode == 0
    alpha.stop()
    with Node("alpha", ADDRESS, tmp_path / "nodes", settings={"PARLEY_SECURITY__MODE": "open"}):
        refused = users(home("laptop"))
        assert (refused.returncode, refused.stdout) == (4, "")
        assert "alpha is known by its key, and answers without it now" in refused.stderr
        assert len(refused.stderr.splitlines()) == 1
        assert users(home("tablet")).returncode == 0


def test_in_mode_open_there_is_no_key(home, tmp_path):
    with Node("alpha", ADDRESS, tmp_path / "nodes", settings={"PARLEY_SECURITY__MODE": "open"}):
        done = users(home("laptop", PARLEY_SECURITY__MODE="open"))
    assert (done.returncode, done.stderr) == (0, "")
    assert list((tmp_path / "laptop").rglob("*.key")) == []


@pytest.mark.usefixtures("alpha")
def test_where_no_key_can_be_kept_it_is_said_once(home, tmp_path):
    blocked = tmp_path / "file"
    blocked.touch()
    with Command(
        "chat", "--as", "alice@alpha", environment=home("laptop", PARLEY_CLIENT__DATA_DIR=str(blocked))
    ) as chat:
        chat.wait_error("you are alice@alpha")
        assert sum("no key for alice@alpha" in line for line in chat.errors) == 1


def test_who_asks_again_for_a_connection_hears_of_the_other_key_at_once(tmp_path):
    """Programs try again where a server is away: where keys speak against it, they are told, not left waiting."""

    async def connect():
        chat = ChatFeature("alice@alpha", config)
        return await asyncio.wait_for(chat.handle_connection(servers), PATIENCE), await chat.close()

    async def connect_twice():
        chat = ChatFeature("alice@alpha", config)
        for _ in range(2):
            with pytest.raises(ServerKeyChanged):
                await asyncio.wait_for(chat.handle_connection(servers), PATIENCE)

    config = Config(address="127.0.77.9", client=ClientConfig(data_dir=str(tmp_path / "alice")))
    for story in (connect, connect_twice):
        with Node("alpha", ADDRESS, tmp_path / "nodes") as node:
            identity = find_identity(node.directory / "data", "alpha")
            places = {"MESSAGES": (Endpoint(ADDRESS, 6666),)}
            servers = (Server("alpha", places, heard=True, key=identity.public),)
            asyncio.run(story())
        shutil.rmtree(node.directory / "data")
