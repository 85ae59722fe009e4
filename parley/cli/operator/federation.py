"""`parley federation`: who is in, by invitation; for the operators of servers.

The commands work on the node's data directory. Its running processes notice a change within a second, and tell the
other members.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Final

import typer

from parley.cli.operator.federation_joining import Joiner, join_by_code, join_by_token
from parley.cli.operator.federation_output import print_members, print_qr, print_status
from parley.cli.options import ConfigFile, Json, ServerOption
from parley.cli.terminal import confirm, fail, finder, line, note, run
from parley.services.chat.operator.commands import seconds
from parley.shared.config import Config, host_name, load, split_host_port
from parley.shared.errors import EXIT_CONFIG, ConfigError, ParleyError, PeerUnreachable
from parley.shared.names import spell
from parley.shared.trust.federation.authority import short
from parley.shared.trust.federation.changes import FederationRefused
from parley.shared.trust.federation.signed_list import SignedList
from parley.shared.trust.federation.state import Federation
from parley.shared.trust.federation.tokens import PREFIX, Token, read_token
from parley.shared.trust.keys import fingerprint
from parley.shared.trust.pairing import SECONDS, make_code
from parley.shared.trust_storage.federation import FederationFiles
from parley.shared.trust_storage.federation_acts import FederationActs
from parley.shared.trust_storage.identity import have_identity, identity_path
from parley.shared.wire.messages import MESSAGES

app = typer.Typer(help="A federation of servers by invitation, for their operators.", no_args_is_help=True)
signers_app = typer.Typer(help="The servers that may invite, revoke and sign.", no_args_is_help=True)
app.add_typer(signers_app, name="signers")

DataDir = Annotated[
    str | None, typer.Option("--data-dir", metavar="DIR", help="Else data_dir of the configuration.")
]
ServerId = Annotated[
    str | None, typer.Option("--server-id", metavar="NAME", help="Else server_id, or the only one there.")
]
Name = Annotated[str, typer.Argument(metavar="NAME", help="A member's name, or its key's fingerprint.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
_POLL: Final = 0.2
"""Seconds between two looks at whether a spoken code was used."""


# Founding, inviting, joining ------------------------------------------------------------------------------


@app.command()
def init(data_dir: DataDir = None, server_id: ServerId = None, config: ConfigFile = None) -> None:
    """Found a federation. This server is its first member and signer, and keeps the authority's key.

    Examples:
        parley federation init

    """
    with _acting(config, data_dir, server_id) as (acts, _, name):
        state = acts.init()
        line(f"the federation {short(state.federation)} is founded; {spell(name)} is its first member")
        note("keep the authority's key in a safe place, too: parley federation export FILE")


@app.command()
def invite(
    qr: Annotated[bool, typer.Option("--qr", help="As a QR code, too.")] = False,
    spoken: Annotated[bool, typer.Option("--spoken", help="As a code of 8 characters, for two minutes.")] = False,
    expires: Annotated[str, typer.Option("--expires", metavar="3d", help="Seconds, or with s, m, h, d.")] = "3d",
    at: Annotated[
        list[str] | None, typer.Option("--at", metavar="HOST:PORT", help="Where this server's chat is reached.")
    ] = None,
    data_dir: DataDir = None,
    server_id: ServerId = None,
    config: ConfigFile = None,
) -> None:
    """Print an invitation for one server, once: its operator runs `parley federation join` with it.

    Without --at it is good in this network, where the servers find each other.

    Examples:
        parley federation invite --qr

        parley federation invite --at chat.example.org:6666 --expires 1h

        parley federation invite --spoken

    """
    with _acting(config, data_dir, server_id) as (acts, _, _name):
        if spoken:
            _speak(acts)
            return
        token = acts.invite(seconds(expires), tuple(at or ()))
        if qr:
            print_qr(token.text())
        line(token.text())
        note(f"at the other server: parley federation join {token.text()}")
        note("whoever has this can join once: pass it on where nobody else reads")


def _speak(acts: FederationActs) -> None:
    """Show a code until it is used or over."""
    acts.check_signer()
    code = make_code()
    acts.invitations.speak(code)
    line(code)
    note(f"at the other server, within {SECONDS:.0f} s: parley federation join {code}")
    members = _members(acts)
    try:
        while acts.invitations.code() is not None:
            time.sleep(_POLL)
    except KeyboardInterrupt:
        sys.exit(130)
    finally:
        acts.invitations.end_code(code)
    new = _members(acts) - members
    if not new:
        fail("nobody used the code; let another one be shown")
    line(f"{', '.join(map(spell, sorted(new)))} joined")


def _members(acts: FederationActs) -> set[str]:
    state = acts.files.read().state
    return {one.server_id for one in state.all_members()} if state is not None else set()


@app.command()
def join(
    invitation: Annotated[str, typer.Argument(metavar="TOKEN|CODE", help="As the inviting server printed it.")],
    at: Annotated[
        list[str] | None, typer.Option("--at", metavar="HOST:PORT", help="Where the inviting server's chat is.")
    ] = None,
    server: ServerOption = None,
    data_dir: DataDir = None,
    server_id: ServerId = None,
    config: ConfigFile = None,
) -> None:
    """Join a federation by an invitation.

    Examples:
        parley federation join parley1…

        parley federation join 4KX9-7QMT

    """
    with _acting(config, data_dir, server_id) as (acts, settings, name):
        me = Joiner(name, have_identity(Path(settings.data_dir), name))
        if invitation.strip().lower().startswith(PREFIX):
            token = read_token(invitation)
            shown = run(lambda c: _by_token(c, token, at or [], server or (), me), config)
            state = acts.enter(shown, token.federation, token.number)
        else:
            shown, federation = run(lambda c: _by_code(c, invitation, at or [], server or (), me), config)
            state = acts.enter(shown, federation, 0)
        line(f"{spell(name)} is in the federation {short(state.federation)} now:")
        print_members(state, as_json=False)


async def _by_token(
    config: Config, token: Token, at: list[str], asked: tuple[str, ...] | list[str], me: Joiner
) -> SignedList:
    addresses = [*map(_address, [*at, *token.addresses])] or await _addresses(config, asked)
    return await join_by_token(addresses, token, me)


async def _by_code(
    config: Config, code: str, at: list[str], asked: tuple[str, ...] | list[str], me: Joiner
) -> tuple[SignedList, bytes]:
    addresses = [*map(_address, at)] or await _addresses(config, asked)
    return await join_by_code(addresses, code, me)


def _address(text: str) -> tuple[str, int]:
    return split_host_port(text, 6666)


async def _addresses(config: Config, asked: tuple[str, ...] | list[str]) -> list[tuple[str, int]]:
    """Where the chat of each server with a key is. PeerUnreachable where there is none."""
    found = await (await finder(config, asked)).discover_servers(2.0)
    addresses = [(each.host, each.port) for one in found if one.key for each in one.endpoints(MESSAGES)]
    if not addresses:
        raise PeerUnreachable(
            "no server with a key was found in this network: name the inviting one with --at HOST:PORT"
        )
    return addresses


# Seeing and revoking --------------------------------------------------------------------------------------


@app.command("list")
def list_(
    as_json: Json = False, data_dir: DataDir = None, server_id: ServerId = None, config: ConfigFile = None
) -> None:
    """Print the members, one a line: name, key, how and when it came in, and who let it in.

    Examples:
        parley federation list

    """
    with _acting(config, data_dir, server_id) as (acts, _, _name):
        print_members(_state(acts), as_json=as_json)


@app.command()
def status(
    as_json: Json = False, data_dir: DataDir = None, server_id: ServerId = None, config: ConfigFile = None
) -> None:
    """Print which federation this server is in, the newest list's number and age, and what is kept here.

    Examples:
        parley federation status

    """
    with _acting(config, data_dir, server_id) as (acts, settings, name):
        kept = acts.files.read()
        own = have_identity(Path(settings.data_dir), name).public
        invitations = acts.invitations.count(kept.state.number) if kept.state is not None else 0
        print_status(
            kept, own, has_authority=acts.files.authority() is not None, invitations=invitations, as_json=as_json
        )


@app.command()
def revoke(
    name: Name, yes: Yes = False, data_dir: DataDir = None, server_id: ServerId = None, config: ConfigFile = None
) -> None:
    """Put a member out for ever: its key never returns, and all members cut their links with it.

    Examples:
        parley federation revoke gamma

    """
    with _acting(config, data_dir, server_id) as (acts, _, _name):
        confirm(f"Revoke {spell(name)}? Its key can never be a member again.", yes=yes)
        member = acts.revoke(name)
        line(f"{spell(member.server_id)} ({fingerprint(member.key)}) is revoked")


@app.command()
def leave(
    yes: Yes = False, data_dir: DataDir = None, server_id: ServerId = None, config: ConfigFile = None
) -> None:
    """Leave the federation. The others' list has this server until one of its signers revokes it.

    Examples:
        parley federation leave

    """
    with _acting(config, data_dir, server_id) as (acts, _, _name):
        confirm("Leave the federation? Only an invitation brings this server back.", yes=yes)
        line(f"left the federation {short(acts.leave().federation)}")


# Signers and the authority --------------------------------------------------------------------------------


@signers_app.command("list")
def signers_list(
    as_json: Json = False, data_dir: DataDir = None, server_id: ServerId = None, config: ConfigFile = None
) -> None:
    """Print the servers that may sign, one a line.

    Examples:
        parley federation signers list

    """
    with _acting(config, data_dir, server_id) as (acts, _, _name):
        print_members(_state(acts), as_json=as_json, only_signers=True)


@signers_app.command("add")
def signers_add(
    name: Name, data_dir: DataDir = None, server_id: ServerId = None, config: ConfigFile = None
) -> None:
    """Let a member invite, revoke and sign, too. At the server where the authority's key is.

    Examples:
        parley federation signers add beta

    """
    with _acting(config, data_dir, server_id) as (acts, _, _name):
        line(f"{spell(acts.add_signer(name).server_id)} signs for the federation, too")


@app.command()
def export(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A new file; it is sealed with a passphrase.")],
    data_dir: DataDir = None,
    server_id: ServerId = None,
    config: ConfigFile = None,
) -> None:
    """Write the authority's key into a file, sealed with a passphrase. Keep it away from this machine.

    Examples:
        parley federation export federation.txt

    """
    with _acting(config, data_dir, server_id) as (acts, _, _name):
        sealed = acts.export(_passphrase(is_new=True))
        try:
            with file.open("x", encoding="ascii") as out:
                file.chmod(0o600)
                out.write(sealed)
        except OSError as error:
            raise ConfigError(f"cannot write {file}: {error.strerror}") from None
        line(f"the authority's key is in {file}; without the passphrase it is of no use")


@app.command()
def restore(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="An export.")],
    data_dir: DataDir = None,
    server_id: ServerId = None,
    config: ConfigFile = None,
) -> None:
    """Have the authority's key of an export here: this server is a member and a signer from then on.

    Examples:
        parley federation restore federation.txt

    """
    with _acting(config, data_dir, server_id) as (acts, _, name):
        try:
            text = file.read_text(encoding="ascii")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"cannot read {file}: {error}") from None
        state = acts.restore(text, _passphrase(is_new=False))
        line(f"{spell(name)} has the authority of the federation {short(state.federation)}, and signs for it")


# Helpers ----------------------------------------------------------------------------------------------------


@contextmanager
def _acting(
    config_file: str | None, data_dir: str | None, server_id: str | None
) -> Iterator[tuple[FederationActs, Config, str]]:
    """The acts of the node that is meant, with its configuration and name; a failure ends in one line."""
    try:
        config = load(config_file, data_dir=data_dir, server_id=server_id)
        name = _name(config)
        data = Path(config.data_dir)
        yield FederationActs(FederationFiles(data, name), name, have_identity(data, name)), config, name
    except ConfigError as error:
        fail(str(error), EXIT_CONFIG)
    except ParleyError as error:
        fail(str(error))


def _name(config: Config) -> str:
    """The node's name: the configured one, that of the only key in the data directory, or the host's."""
    if not config.security.has_keys:
        raise ConfigError("there are no keys, and so no federation, with security.mode: open")
    if config.server_id:
        return config.server_id
    data = Path(config.data_dir)
    found = sorted(path.parent.name for path in data.glob(f"*/{identity_path(data, 'x').name}"))
    if len(found) > 1:
        raise ConfigError(f"{data.absolute()} has the keys of {', '.join(found)}: name one with --server-id")
    return found[0] if found else host_name()


def _state(acts: FederationActs) -> Federation:
    state = acts.files.read().state
    if state is None:
        raise FederationRefused("none", "this server is in no federation: parley federation init, or join")
    return state


def _passphrase(*, is_new: bool) -> str:
    """A passphrase: asked for at a terminal, else the first line of standard input."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\n")
    return str(typer.prompt("Passphrase", hide_input=True, confirmation_prompt=is_new, err=True))
