"""`parley device …`: the devices that speak for a user."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import Annotated, Final

import typer

from parley.cli.options import As, ConfigFile, Json, ServerOption
from parley.cli.terminal import as_json, at_home, discover_home, finder, line, note, prepare, run, who_we_are
from parley.client.chat import ChatFeature
from parley.client.trust.new_device import DeviceLinking
from parley.client.trust.refusals import UserRefused
from parley.shared.config import Config, host_name
from parley.shared.errors import ConfigError
from parley.shared.names import spell
from parley.shared.trust.devices import Device, How
from parley.shared.trust.keys import fingerprint

app = typer.Typer(help="See which devices speak for you, add one by a code, or revoke one.", no_args_is_help=True)

HOWS: Final = {
    How.CLAIMED: "the first one",
    How.CONFIRMED: "added by another device",
    How.APPROVED: "approved by the server's operator",
    How.RESET: "the first one after the operator's reset",
    How.PASSWORD: "with your password",
}


@app.command("list")
def list_command(
    user: As = "", server: ServerOption = None, as_json: Json = False, config: ConfigFile = None
) -> None:
    """Print the devices that speak for you, one a line.

    Examples:
        parley device list --as alice@alpha

    """
    sys.exit(run(lambda c: _list(c, user, server or (), in_json=as_json), config))


@app.command()
def link(
    user: As = "",
    name: Annotated[str, typer.Option("--name", metavar="NAME", help="Of this device; else the host's.")] = "",
    server: ServerOption = None,
    config: ConfigFile = None,
) -> None:
    """Make this device one of yours: it shows a code, which you enter at a device that is yours already.

    Examples:
        parley device link --as alice@alpha

    """
    sys.exit(run(lambda c: _link(c, user, server or (), name), config))


@app.command()
def add(
    code: Annotated[str, typer.Argument(metavar="CODE", help="The code that the new device shows.")],
    user: As = "",
    server: ServerOption = None,
    config: ConfigFile = None,
) -> None:
    """Add the device that shows this code.

    Examples:
        parley device add 4KX9-7QMT --as alice@alpha

    """
    sys.exit(run(lambda c: _add(c, user, server or (), code), config))


@app.command()
def forget(user: As = "", server: ServerOption = None, config: ConfigFile = None) -> None:
    """Remove this device's key of a user, where the server has revoked it: the next one is new.

    Examples:
        parley device forget --as alice@alpha

    """
    sys.exit(run(lambda c: _forget(c, user, server or ()), config))


@app.command()
def revoke(
    device: Annotated[str, typer.Argument(metavar="NAME", help="The device's name or key, as `list` prints it.")],
    user: As = "",
    server: ServerOption = None,
    config: ConfigFile = None,
) -> None:
    """Have a device speak for you no more: it is refused at once, and its key never returns.

    Examples:
        parley device revoke old-laptop --as alice@alpha

    """
    sys.exit(run(lambda c: _revoke(c, user, server or (), device), config))


async def _list(config: Config, name: str, servers: Sequence[str], *, in_json: bool) -> int:
    chat = ChatFeature(who_we_are(config, name), config, discovery=await finder(config, servers))
    async with at_home(chat, servers):
        devices = await chat.devices.all()
    for device in devices:
        is_this = chat.device is not None and device.key == chat.device.public
        line(as_json(_fields(device, is_this=is_this)) if in_json else _sentence(device, is_this=is_this))
    return 0


def _fields(device: Device, *, is_this: bool) -> dict[str, object]:
    return {
        "name": device.name or None,
        "key": fingerprint(device.key),
        "added_at": device.added,
        "how": device.how.name.lower(),
        "this_device": is_this,
    }


def _sentence(device: Device, *, is_this: bool) -> str:
    day = time.strftime("%Y-%m-%d", time.localtime(device.added))
    this = ", this device" if is_this else ""
    return f"{fingerprint(device.key)}  {day}  {device.name or '(no name)'}: {HOWS[device.how]}{this}"


async def _link(config: Config, name: str, servers: Sequence[str], device_name: str) -> int:
    user = who_we_are(config, name)
    discovery = await finder(config, servers)
    found = await discover_home(discovery, user, servers)
    chat = prepare(ChatFeature(user, config, discovery=discovery))
    had_key = chat.trust.directory is not None and chat.trust.directory.read_device(user) is not None
    async with chat:
        try:
            await chat.handle_connection(found)
        except UserRefused as error:
            if error.refusal != "new_device":
                raise
        else:
            line(_let_in(chat, had_key=had_key))
            return 0

    def show(code: str) -> None:
        line(code)
        note(f"Enter it within two minutes at a device of {user}: `parley device add {code} --as {user}`,")
        note(f"or `/device add {code}` in `parley chat`. Ctrl-C ends it.")

    linking = DeviceLinking(user, config, on_code=show, name=device_name, discovery=discovery)
    async with linking:
        earlier = await linking.run(found)
    async with prepare(ChatFeature(user, config, discovery=discovery)) as again:
        await again.handle_connection(found)
    line(f"this device is one of {user}'s now; {earlier or 'another device'} added it")
    return 0


def _let_in(chat: ChatFeature, *, had_key: bool) -> str:
    """Words for a device that the server let in without a code."""
    user, device = chat.user, chat.device
    listed = chat.link.identity.devices if chat.link is not None else None
    if device is None or listed is None or all(each.key != device.public for each in listed.devices):
        name, server = spell(user.user_id), spell(user.server_id)
        return f"others use {user}, too; {server}'s operator gives it to this device: parley user approve {name}"
    return (
        f"this device is one of {user}'s already" if had_key else f"{user} was nobody's, and is this device's now"
    )


async def _forget(config: Config, name: str, servers: Sequence[str]) -> int:
    user = who_we_are(config, name)
    discovery = await finder(config, servers)
    found = await discover_home(discovery, user, servers)
    chat = prepare(ChatFeature(user, config, discovery=discovery))
    async with chat:
        try:
            await chat.handle_connection(found)
        except UserRefused as error:
            if not error.is_final or chat.trust.directory is None:
                raise
            chat.trust.directory.forget_device(user)
            line(f"this device has no key of {user} any more: parley device link --as {user}")
            return 0
    raise ConfigError(f"this device is one of {user}'s, and its key is kept: parley device revoke takes it away")


async def _add(config: Config, name: str, servers: Sequence[str], code: str) -> int:
    chat = ChatFeature(who_we_are(config, name), config, discovery=await finder(config, servers))
    async with at_home(chat, servers):
        device = await chat.devices.add(code, host_name())
    line(added(device))
    return 0


def added(device: Device) -> str:
    """Words for a device that was added."""
    return f"{device.name or 'the new device'} speaks for you from now on; its key is {fingerprint(device.key)}"


async def _revoke(config: Config, name: str, servers: Sequence[str], device: str) -> int:
    chat = ChatFeature(who_we_are(config, name), config, discovery=await finder(config, servers))
    async with at_home(chat, servers):
        revoked = named(await chat.devices.all(), device)
        await chat.devices.revoke(revoked.key)
    line(f"{revoked.name or fingerprint(revoked.key)} speaks for you no more")
    return 0


def named(devices: Sequence[Device], text: str) -> Device:
    """The device of that name, or of a key that begins so.

    Raises:
        ConfigError: there is none, or several.

    """
    wanted = text.strip().lower()
    found = [device for device in devices if wanted in (device.name.lower(), fingerprint(device.key))]
    found = found or [device for device in devices if wanted and fingerprint(device.key).startswith(wanted)]
    if len(found) == 1:
        return found[0]
    names = ", ".join(f"{device.name or '(no name)'} {fingerprint(device.key)}" for device in devices)
    if not found:
        raise ConfigError(f"no device is called {text!r}; yours: {names}")
    begins = fingerprint(found[0].key).partition("-")[0]
    raise ConfigError(
        f"several devices are called {text!r}; name one by its key: parley device revoke {begins}-…; yours: {names}"
    )
