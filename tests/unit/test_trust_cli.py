"""`parley trust`: keys are shown in words, compared, accepted, revoked and forgotten."""

import json

import pytest

from parley.cli.main import main
from parley.cli.operator import trust as command
from parley.shared.service.data_directory import DataDirectory
from parley.shared.service.server_keys import refusal_line
from parley.shared.trust.keys import PrivateKey, fingerprint
from parley.shared.trust.mnemonics import COUNT, mnemonic
from parley.shared.trust.pins import How, Pin
from parley.shared.trust.refusals import OTHER_KEY, PLAIN_FOR_KEYED, Refused
from parley.shared.trust_storage.identity import have_identity
from parley.shared.trust_storage.pins_file import PinsFile

ONE, TWO = PrivateKey(b"1" * 32).public, PrivateKey(b"2" * 32).public


@pytest.fixture
def node(tmp_path, monkeypatch):
    """The trust directory of a node called alpha, which has the key ONE for beta and refused TWO."""
    monkeypatch.setenv("PARLEY_DATA_DIR", str(tmp_path))
    monkeypatch.delenv("COLUMNS", raising=False)
    have_identity(tmp_path, "alpha")
    directory = tmp_path / "alpha" / "trust"
    with PinsFile(directory) as file:
        file.put(Pin("beta", ONE, How.SEEN, 1.7e9))
        file.refuse(Refused("Beta", TWO, OTHER_KEY, "10.0.0.2", 1.7e9), [])
    return directory


def run(capsys, *arguments):
    """What it prints; its exit code must be 0."""
    main(["trust", *arguments])
    return capsys.readouterr().out


def fails(capsys, *arguments):
    with pytest.raises(SystemExit) as ended:
        main(["trust", *arguments])
    assert ended.value.code in {1, 2}
    return capsys.readouterr().err


def read(directory):
    with PinsFile(directory) as file:
        return file.read()


def test_words_are_those_of_the_keys_hash():
    assert mnemonic(b"\0" * 32) == "grid duck problem valid cloth roof rate wealth"
    assert len(mnemonic(ONE).split()) == COUNT
    assert mnemonic(ONE) != mnemonic(TWO)


@pytest.mark.usefixtures("node")
def test_the_list_shows_keys_in_words_and_what_was_refused(capsys):
    text = run(capsys, "list")
    assert mnemonic(ONE) in text
    assert "2023-11-14" in text
    assert "10.0.0.2" in text
    assert mnemonic(TWO) in text
    first, second = (json.loads(each) for each in run(capsys, "list", "--json").splitlines())
    assert (first["name"], first["fingerprint"], first["how"]) == ("beta", fingerprint(ONE), "seen first")
    assert (second["name"], second["refused"], second["key"]) == ("Beta", "other_key", TWO.hex())


@pytest.mark.usefixtures("node")
def test_a_key_is_shown_as_a_qr_code(capsys):
    assert "█" in run(capsys, "list", "--qr")
    assert "█" in run(capsys, "show", "--qr")


def test_the_nodes_own_key_is_shown_as_others_see_it(capsys, node):
    own = have_identity(node.parents[1], "alpha").public
    assert mnemonic(own) in run(capsys, "show")


def test_a_refused_key_is_accepted_by_its_fingerprint(capsys, node):
    run(capsys, "accept", "BETA", "--key", fingerprint(TWO))
    known = read(node)
    assert known.key_of("beta") == TWO
    assert known.pins.of("beta").how is How.APPROVED
    assert known.refusals.of("beta") == []


@pytest.mark.parametrize("answer", [True, False])
def test_people_are_shown_both_keys_and_asked(capsys, node, monkeypatch, answer):
    monkeypatch.setattr(command.sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(command.typer, "confirm", lambda *_, **__: answer)
    if answer:
        main(["trust", "accept", "beta"])
        err = capsys.readouterr().err
    else:
        err = fails(capsys, "accept", "beta")
    assert mnemonic(ONE) in err
    assert mnemonic(TWO) in err
    assert read(node).key_of("beta") == (TWO if answer else ONE)


def test_nobody_accepts_a_key_without_being_asked(capsys, node, monkeypatch):
    monkeypatch.setattr(command.sys.stdin, "isatty", lambda: False, raising=False)
    told = fails(capsys, "accept", "beta")
    assert f"parley trust accept beta --key {fingerprint(TWO)}, after comparing" in told
    assert "nothing was refused" in fails(capsys, "accept", "gamma")
    assert "no key" in fails(capsys, "accept", "beta", "--key", fingerprint(b"3" * 32))
    with PinsFile(node) as file:
        file.refuse(Refused("beta", b"3" * 32, OTHER_KEY, "10.0.0.3", 0.0), [])
    assert "2 keys" in fails(capsys, "accept", "beta")
    assert read(node).key_of("beta") == ONE


def test_a_revoked_key_is_not_accepted_again(capsys, node):
    run(capsys, "revoke", fingerprint(TWO))
    assert "revoked" in fails(capsys, "accept", "beta", "--key", TWO.hex())
    run(capsys, "revoke", "beta")
    assert read(node).pins.revoked == {ONE, TWO}
    assert "revoked" in run(capsys, "list")


def test_a_name_is_forgotten(capsys, node):
    with PinsFile(node) as file:
        file.refuse(Refused("beta", b"", PLAIN_FOR_KEYED, "10.0.0.3", 0.0), [])
    run(capsys, "forget", "beta")
    assert read(node).key_of("beta") == b""
    assert read(node).refusals.of("beta") == []
    assert "no key" in fails(capsys, "forget", "beta")


def test_a_person_has_pins_of_their_own(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("PARLEY_CLIENT__DATA_DIR", str(tmp_path))
    monkeypatch.delenv("COLUMNS", raising=False)
    assert "no server's key" in run(capsys, "list", "--mine")
    run(capsys, "accept", "beta", "--key", ONE.hex(), "--mine")
    assert mnemonic(ONE) in run(capsys, "list", "--mine")


def test_where_no_node_is_the_line_says_how_to_name_one(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("PARLEY_DATA_DIR", str(tmp_path))
    told = fails(capsys, "list")
    assert told.startswith("parley: of your own clients: --mine; of a node:")
    assert "security.mode is open there, where no node has a key" in told
    DataDirectory(tmp_path).make_secret()
    assert fails(capsys, "list").endswith("; of your own clients: --mine\n")
    assert "--mine" not in fails(capsys, "show")
    have_identity(tmp_path, "alpha")
    have_identity(tmp_path, "beta")
    assert "--server-id" in fails(capsys, "list")
    assert "no server's key" in run(capsys, "list", "--server-id", "alpha")


def test_of_two_nodes_with_one_name_the_line_asks_first_whether_both_are_meant():
    told = refusal_line(OTHER_KEY, "beta", TWO, ONE, "10.0.0.2")
    assert told.index("give one another PARLEY_SERVER_ID") < told.index("parley trust accept beta")
