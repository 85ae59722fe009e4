"""`parley trust`: which key each server's name has here; people compare keys, accept, revoke and forget them.

It works on the pins of a node, or with --mine on those of this person's clients. Whatever runs sees it a second
later.
"""

from __future__ import annotations

import re
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

import typer

from parley.cli.operator.federation_output import print_qr
from parley.cli.operator.trust_output import print_pins, print_refused, qr_of, shown_key
from parley.cli.options import ConfigFile, Json
from parley.cli.terminal import fail, line, note
from parley.client.trust.user_directory import UserDirectory
from parley.shared.config import Config, load
from parley.shared.errors import EXIT_CONFIG, ConfigError, ParleyError, StorageError
from parley.shared.names import spell, unspell
from parley.shared.printable import harmless
from parley.shared.service.data_directory import DataDirectory
from parley.shared.service.server_keys import trust_directory
from parley.shared.trust.keys import KEY, fingerprint
from parley.shared.trust.pins import How, Pin
from parley.shared.trust.server_trust import ServerTrust
from parley.shared.trust_storage.identity import FILE, find_identity
from parley.shared.trust_storage.pins_file import NAME, PinsFile

app = typer.Typer(
    help="Which key each server's name has here: compare keys, accept, revoke and forget them.",
    no_args_is_help=True,
)

DataDir = Annotated[
    str | None, typer.Option("--data-dir", metavar="DIR", help="Else data_dir of the configuration.")
]
ServerId = Annotated[
    str | None, typer.Option("--server-id", metavar="NAME", help="Else server_id, or the only one there.")
]
Mine = Annotated[bool, typer.Option("--mine", help="Of your own clients, and not of a node.")]
Qr = Annotated[bool, typer.Option("--qr", help="As a QR code, too.")]
Server = Annotated[str, typer.Argument(metavar="NAME", help="A server's name.")]

_HEX: Final = re.compile(r"[0-9a-fA-F]{64}")


@dataclass(frozen=True)
class _Place:
    """The pins that a command is about, and the name of the node that has them; empty: they are a person's."""

    directory: Path
    server_id: str
    config: Config


@app.command("list")
def list_(
    qr: Qr = False,
    as_json: Json = False,
    mine: Mine = False,
    data_dir: DataDir = None,
    server_id: ServerId = None,
    config: ConfigFile = None,
) -> None:
    """Print each server's key: its words, since when it is known, and how; then what was refused.

    Examples:
        parley trust list

        parley trust list --qr

    """
    with _located(config, data_dir, server_id, mine=mine) as place:
        known = _read(place)
        print_pins(known, as_json=as_json, with_qr=qr)
        print_refused(known, as_json=as_json)


@app.command()
def show(qr: Qr = False, data_dir: DataDir = None, server_id: ServerId = None, config: ConfigFile = None) -> None:
    """Print this node's own key, to be compared at another one.

    Examples:
        parley trust show --qr

    """
    with _located(config, data_dir, server_id, mine=None) as place:
        identity = find_identity(Path(place.config.data_dir), place.server_id)
        if identity is None:
            fail(f"{spell(place.server_id)} has no key yet: it is made when the node starts")
        line(f"{spell(place.server_id)}  {shown_key(identity.public)}")
        if qr:
            print_qr(qr_of(place.server_id, identity.public))


@app.command()
def accept(
    server: Server,
    key: Annotated[
        str, typer.Option("--key", metavar="FINGERPRINT", help="That one, and ask nobody: for scripts.")
    ] = "",
    mine: Mine = False,
    data_dir: DataDir = None,
    server_id: ServerId = None,
    config: ConfigFile = None,
) -> None:
    """Give a server's name the key that was refused it, after you compared the words with who runs that server.

    Examples:
        parley trust accept beta

        parley trust accept beta --key kq3h-zzye-2f7a-x5wd

    """
    with _located(config, data_dir, server_id, mine=mine) as place:
        name, known = unspell(server), _read(place)
        wanted = _wanted(known, name, key)
        if wanted in known.pins.revoked:
            raise ConfigError(f"the key {fingerprint(wanted)} was revoked here, and never returns")
        before = known.pins.of(name)
        if before is not None and before.key == wanted and before.how is How.APPROVED:
            line(f"{spell(name)} has this key already")
            return
        if not key:
            _compare(name, before, wanted, for_whom=" --mine" if mine else "")
        with PinsFile(place.directory) as file:
            file.accept(name, wanted)
        line(f"{spell(name)} has the key {fingerprint(wanted)} from now on")


@app.command()
def revoke(
    what: Annotated[str, typer.Argument(metavar="NAME|FINGERPRINT", help="A server's key, or that key.")],
    mine: Mine = False,
    data_dir: DataDir = None,
    server_id: ServerId = None,
    config: ConfigFile = None,
) -> None:
    """Refuse a key for ever. Its name stays nobody's until you accept another key for it.

    Examples:
        parley trust revoke beta

    """
    with _located(config, data_dir, server_id, mine=mine) as place:
        key = _named(_read(place), what)
        with PinsFile(place.directory) as file:
            file.revoke(key)
        line(f"the key {fingerprint(key)} is revoked")


@app.command()
def forget(
    server: Server,
    mine: Mine = False,
    data_dir: DataDir = None,
    server_id: ServerId = None,
    config: ConfigFile = None,
) -> None:
    """Have no key for a server's name: the next one has it, or a program without a key.

    Examples:
        parley trust forget beta

    """
    with _located(config, data_dir, server_id, mine=mine) as place:
        name = unspell(server)
        if _read(place).pins.of(name) is None:
            fail(f"{harmless(spell(name))} has no key here")
        with PinsFile(place.directory) as file:
            file.drop(name)
        line(f"{spell(name)} has no key any more")


# Helpers ----------------------------------------------------------------------------------------------------


def _wanted(known: ServerTrust, name: str, key: str) -> bytes:
    """The key to accept. ConfigError where none is meant, or it is not clear which."""
    if _HEX.fullmatch(key):
        return bytes.fromhex(key)
    refused = [each.key for each in known.refusals.of(name) if len(each.key) == KEY]
    pinned = known.pins.of(name)
    if key:
        keys = [*refused, *([pinned.key] if pinned is not None else [])]
        found = [each for each in keys if fingerprint(each) == key.strip().lower()]
        if not found:
            raise ConfigError(f"no key {harmless(key)} was refused for {harmless(spell(name))}: parley trust list")
        return found[0]
    if len(refused) == 1:
        return refused[0]
    if refused:
        raise ConfigError(
            f"{len(refused)} keys were refused for {harmless(spell(name))}: name one with --key (parley trust list)"
        )
    raise ConfigError(f"nothing was refused for {harmless(spell(name))}, so there is nothing to accept")


def _named(known: ServerTrust, what: str) -> bytes:
    """The key of a name, or the one with a fingerprint. ConfigError where there is none."""
    if _HEX.fullmatch(what):
        return bytes.fromhex(what)
    pin = known.pins.of(unspell(what))
    if pin is not None:
        return pin.key
    keys = [*(each.key for each in known.pins.by_name.values()), *(key for _, key in known.refusals.by_key)]
    found = [key for key in keys if key and fingerprint(key) == what.strip().lower()]
    if not found:
        raise ConfigError(f"there is no key of {harmless(what)} here: parley trust list")
    return found[0]


def _compare(name: str, before: Pin | None, wanted: bytes, *, for_whom: str) -> None:
    """Show both keys, and ask whether the new one is the right one."""
    if not sys.stdin.isatty():
        raise ConfigError(
            f"nobody can be asked here whether the keys are the same: parley trust accept{for_whom} "
            f"{harmless(spell(name))} --key {fingerprint(wanted)}, after comparing"
        )
    note(f"until now  {shown_key(before.key) if before is not None else 'no key'}")
    note(f"now        {shown_key(wanted)}")
    note(f"Call whoever runs {spell(name)}: `parley trust show` there must print the second line.")
    if not typer.confirm("Are the words the same?", err=True):
        fail("nothing was changed")


def _read(place: _Place) -> ServerTrust:
    """All that is known; where there is no file yet, nothing is."""
    if not (place.directory / NAME).exists():
        return ServerTrust()
    with PinsFile(place.directory) as file:
        return file.read()


@contextmanager
def _located(
    config_file: str | None, data_dir: str | None, server_id: str | None, *, mine: bool | None
) -> Iterator[_Place]:
    """The pins that are meant; what goes wrong inside ends in one line. `mine` is None where only nodes have it."""
    try:
        config = load(config_file, data_dir=data_dir, server_id=server_id)
        yield _of_person(config) if mine else _of_node(config, may_be_mine=mine is not None)
    except ConfigError as error:
        fail(str(error), EXIT_CONFIG)
    except ParleyError as error:
        fail(str(error))
    except (OSError, sqlite3.Error) as error:
        fail(f"the pins cannot be used: {error}")


def _of_person(config: Config) -> _Place:
    directory = UserDirectory.of(config)
    if directory is None:
        raise StorageError("there is no home directory: set PARLEY_CLIENT__DATA_DIR")
    return _Place(directory.pins, "", config)


def _of_node(config: Config, *, may_be_mine: bool) -> _Place:
    """Of the node that is configured, or the only one that has a key there."""
    data = Path(config.data_dir)
    found = sorted(path.parent.name for path in data.glob(f"*/{FILE}"))
    name = config.server_id or (found[0] if len(found) == 1 else "")
    if len(found) > 1 and not name:
        raise ConfigError(f"{data.absolute()} has the keys of {', '.join(found)}: name one with --server-id")
    if not name or name not in found:
        whose = f" of {config.server_id}" if config.server_id else ""
        text = (
            f"{data.absolute()} has no key of a node{whose}: name the directory with --data-dir (or "
            "PARLEY_DATA_DIR), the server with --server-id; or security.mode is open there, where no node has a key"
        )
        if may_be_mine and DataDirectory(data).secret() is None:  # somebody without a node, as most people are
            text = f"of your own clients: --mine; of a node: {text}"
        elif may_be_mine:
            text = f"{text}; of your own clients: --mine"
        raise ConfigError(text)
    return _Place(trust_directory(data, name), name, config)
