"""`parley forget`: what a device holds of a user goes, and others' stays; nothing goes while a program runs."""

import sqlite3
import subprocess
import sys
import time

import pytest

from parley.cli.main import main
from parley.client.cache.cache_file import CacheFile
from parley.client.contacts.contacts_file import ContactsFile
from parley.client.trust.forgetting import InUse, forget
from parley.client.trust.numbers_file import NumbersFile
from parley.client.trust.user_directory import UserDirectory
from parley.shared.addresses import User
from parley.shared.trust.keys import PrivateKey
from parley.shared.trust.pins import How, Pin
from parley.shared.trust_storage.pins_file import PinsFile
from parley.shared.wire.messages import pb

ALICE, BOB = User("alice", "Alpha"), User("bob", "beta")
OTHERS_NAME = User(".alice", "alpha.key.0123")


@pytest.fixture
def directory(tmp_path):
    """A directory that has everything of alice, and two messages that no server took."""
    directory = UserDirectory(tmp_path)
    directory.make_device(ALICE)
    cache = CacheFile(directory.history_file(ALICE))
    for number in (1, 2):
        cache.keep(pb.ChatMessage(messageSnowflake=number, textContent="a secret"))
    cache.close()
    for file in (ContactsFile(directory.contacts_file(ALICE)), NumbersFile(directory.received_file(ALICE))):
        file.close()
    with PinsFile(directory.pins) as pins:
        pins.put(Pin("alpha", PrivateKey(b"1" * 32).public, How.SEEN, 1.7e9))
    return directory


def files(directory):
    return sorted(str(path.relative_to(directory.path)) for path in directory.path.rglob("*") if path.is_file())


def test_all_of_a_user_goes_but_the_key_which_goes_where_that_is_wanted(directory):
    found = forget(directory, ALICE, with_key=False)
    assert found == (True, 2, True, True, True, False, True, False)
    assert files(directory) == ["devices/alice@alpha.key"]
    (directory.path / "devices" / ".alice@alpha.key.0123456789abcdef").touch()  # what a crash left of another
    directory.make_device(OTHERS_NAME)
    found = forget(directory, ALICE, with_key=True)
    assert (found.key, found.key_stays, found.history) == (True, False, False)
    assert files(directory) == ["devices/.alice@alpha.key.0123.key"]
    directory.forget_device(OTHERS_NAME)
    assert forget(directory, ALICE, with_key=True).is_nothing


def test_what_others_of_this_directory_have_stays_and_the_servers_keys_with_it(directory):
    CacheFile(directory.history_file(BOB)).close()
    found = forget(directory, ALICE, with_key=True)
    assert found.pins_stay
    assert not found.pins
    assert files(directory) == ["history/bob@beta.db", "trust/pins.db"]
    with PinsFile(directory.pins) as pins:
        assert pins.pin_of("alpha") is not None


@pytest.mark.parametrize("kind", ["history", "contacts", "received", "trust"])
def test_nothing_goes_while_another_program_has_any_of_it_and_all_does_after_a_crash(directory, kind):
    path = next((directory.path / kind).glob("*.db"))
    program = (
        "import sqlite3, sys, os\n"
        f"db = sqlite3.connect({str(path)!r}, isolation_level=None)\n"
        "db.execute('PRAGMA journal_mode=WAL')\n"
        "db.execute('CREATE TABLE more (x)'); db.execute('INSERT INTO more VALUES (1)')\n"
        "print('open', flush=True); sys.stdin.read(1); os._exit(9)\n"
    )
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", program], stdin=pipe, stdout=pipe) as other:
        assert other.stdout.readline() == b"open\n"
        before = files(directory)
        with pytest.raises(InUse, match="alice@Alpha is in use"):
            forget(directory, ALICE, with_key=True)
        assert files(directory) == before
        assert directory.read_device(ALICE) is not None
        other.communicate(b"x")
    assert path.with_name(path.name + "-wal").exists()
    forget(directory, ALICE, with_key=True)
    assert files(directory) == []


def test_a_client_that_is_merely_open_is_a_program_that_runs(directory):
    cache = CacheFile(directory.history_file(ALICE))
    with pytest.raises(InUse):
        forget(directory, ALICE, with_key=False)
    cache.close()
    assert forget(directory, ALICE, with_key=False).unsent == 2


def test_who_begins_meanwhile_waits_and_begins_with_files_of_its_own(directory, monkeypatch):
    """No file of the old ones is under the new one's name, and the new one is whole."""
    path = directory.history_file(ALICE)
    waited = []

    def unlinked(each, **how):
        if each == path:  # the moment before it goes
            late = sqlite3.connect(path, timeout=0)
            with pytest.raises(sqlite3.OperationalError, match="locked"):
                late.execute("SELECT * FROM unsent")
            waited.append(late)
        unlink(each, **how)

    unlink = type(path).unlink
    monkeypatch.setattr(type(path), "unlink", unlinked)
    forget(directory, ALICE, with_key=False)
    monkeypatch.undo()
    again = CacheFile(path)
    waited[0].close()
    assert again.unsent(0) == []
    again.keep(pb.ChatMessage(messageSnowflake=int(time.time() * 1000) << 22))
    assert len(again.unsent(0)) == 1
    again.close()


@pytest.mark.parametrize("kind", ["history", "contacts", "received", "trust"])
def test_a_damaged_file_goes_too(directory, kind):
    path = next((directory.path / kind).glob("*.db"))
    path.write_bytes(b"no database " * 999)
    forget(directory, ALICE, with_key=True)
    assert files(directory) == []


# The command ----------------------------------------------------------------------------------


@pytest.fixture
def command(directory, monkeypatch, capsys):
    """Runs it: its exit code, and what it prints on both streams."""
    monkeypatch.setenv("PARLEY_CLIENT__DATA_DIR", str(directory.path))

    def run(*arguments):
        with pytest.raises(SystemExit) as ended:
            main(["forget", "--as", "alice@alpha", *arguments])
        printed = capsys.readouterr()
        return ended.value.code, printed.out, printed.err

    return run


def test_it_says_what_is_gone_what_stayed_and_what_is_elsewhere(command, directory):
    code, out, _ = command()
    assert code == 0
    assert "removed: what no server had taken yet: 2 messages, which nobody gets" in out
    assert "kept: this device's key" in out
    assert "`parley clear --all --as alice@alpha`" in out
    assert "secret" not in out
    code, out, _ = command("--device-key", "--yes")
    assert code == 0
    assert out.startswith("removed: this device's key; alpha lists it still")
    assert files(directory) == []
    assert command()[1].startswith("there was nothing of alice@alpha to remove")


def test_the_key_goes_only_after_somebody_said_so(command, directory, monkeypatch):
    monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)
    code, _, err = command("--device-key")
    assert (code, "say --yes" in err) == (2, True)
    for answer in (False, True):
        monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
        monkeypatch.setattr("typer.confirm", lambda *_, answer=answer, **__: answer)
        assert command("--device-key")[0] == (0 if answer else 1)
        assert (files(directory) == []) == answer


def test_it_refuses_in_one_line_while_a_chat_runs(command, directory):
    with PinsFile(directory.pins):
        code, out, err = command("--device-key", "--yes")
    assert (code, out) == (1, "")
    what_runs = "`parley chat` and what else runs as alice@alpha"
    assert err == f"parley: alice@alpha is in use on this machine: end {what_runs}\n"
