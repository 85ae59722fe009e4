"""`parley share`: tell where we are."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Collection, Sequence
from typing import Annotated

import typer

from parley.cli.options import As, ConfigFile, ServerOption
from parley.cli.people.names import recipient_named
from parley.cli.people.subscription import connected
from parley.cli.terminal import fail, finder, note, run, who_we_are
from parley.client.location import LocationFeature, running_time
from parley.client.positions.sources import positions
from parley.shared.addresses import Recipient, User
from parley.shared.config import Config
from parley.shared.errors import ConfigError
from parley.shared.names import spell
from parley.shared.soft_state.lifetimes import MAX_LIFETIME

_UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0}
_STOP_TIMEOUT = 2.0
"""Seconds for which we wait until the server has heard that we stopped."""

To = Annotated[
    list[str],
    typer.Option("--to", metavar="USER@SERVER|'#GROUP@SERVER'", help="Whom you tell; may be given several times."),
]
For = Annotated[str, typer.Option("--for", metavar="30m", help="How long: seconds, or with s, m or h; at most 8h.")]
From = Annotated[
    str,
    typer.Option(
        "--from",
        metavar="SOURCE",
        help="LAT,LON in degrees with decimal points · a file of GPX, NMEA or lines of LAT,LON[,ELE] · a pipe of "
        "those · - for standard input · gpsd or gpsd://HOST:PORT.",
    ),
]
Every = Annotated[
    float,
    typer.Option(
        "--every", min=0.1, max=MAX_LIFETIME, help="Seconds between positions of a file that has no times."
    ),
]
Speed = Annotated[
    float, typer.Option("--speed", min=0.01, max=1e12, help="Plays a recorded track that many times as fast.")
]


def command(
    to: To,
    source: From,
    user: As = "",
    lasting: For = "30m",
    every: Every = 1.0,
    speed: Speed = 1.0,
    server: ServerOption = None,
    config: ConfigFile = None,
) -> None:
    """Share where you are with people or groups, for a time. Ctrl-C, or the terminal's end, stops it at once.

    Positions come from what you name, never from the Internet. Nobody confirms them, and a
    name that is nobody's is not told: check it, with `parley send`, say.

    Examples:
        parley share --as alice@alpha --to bob@beta --for 30m --from track.gpx

        parley share --as alice@alpha --to '#crew@alpha' --for 2h --from gpsd

        cat /dev/ttyUSB0 | parley share --as alice@alpha --to bob@beta --from -

        parley share --as alice@alpha --to bob@beta --from 48.137,11.575

    """

    async def work(config: Config) -> None:
        await _share(config, user, server or (), to, seconds(lasting), source, every, speed)

    run(work, config)


def seconds(text: str) -> float:
    """Read 90, 90s, 30m or 2h; ConfigError where it is none of them, or over 8 hours."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smh]?)", text.strip())
    lasting = float(found[1]) * _UNITS[found[2]] if found else 0.0
    if not 0 < lasting <= MAX_LIFETIME:
        raise ConfigError(f"--for {text}: write seconds, or a number with s, m or h, of at most 8h")
    return lasting


async def _share(
    config: Config,
    name: str,
    servers: Sequence[str],
    names: Sequence[str],
    lasting: float,
    source: str,
    every: float,
    speed: float,
) -> None:
    user = who_we_are(config, name)
    recipients = [recipient_named(each, user.server_id) for each in names]
    feature = LocationFeature(user, config, discovery=await finder(config, servers))
    async with connected(feature, {to.server_id for to in recipients}) as found:
        _check_servers(user, recipients, {server.server_id for server in found})
        ends = running_time() + lasting
        track = positions(
            source, every=every, speed=speed, started=lambda: note(_begun(recipients, lasting)), complain=note
        )
        shared = False
        try:
            async with asyncio.timeout(lasting):
                async for position in track:
                    shared = True
                    expiry_at = time.time() + ends - running_time()  # whatever the clock is set to meanwhile
                    for to in recipients:
                        feature.send_location(to, position.latitude, position.longitude, expiry_at=expiry_at)
                note("there are no more positions; the last one stands until the end")
                await asyncio.Event().wait()
        except TimeoutError:
            note("the time is over")
        finally:
            if shared:
                for to in recipients:
                    feature.stop_sharing(to)
                await feature.retransmissions.wait(_STOP_TIMEOUT)


def _begun(recipients: Sequence[Recipient], lasting: float) -> str:
    """The first line promises nothing: no status says that a location arrived, or that a name is wrong."""
    whom = ", ".join(map(str, recipients))
    until = time.strftime("%H:%M:%S", time.localtime(time.time() + lasting))
    return (
        f"sending positions towards {whom} until {until}; Ctrl-C stops it. "
        "Nobody confirms them: `parley send` tells whether there is somebody of that name"
    )


def _check_servers(user: User, recipients: Sequence[Recipient], found: Collection[str]) -> None:
    """Our own server must be there; of the others, our server may know more than we."""
    names = ", ".join(sorted(map(spell, found)))
    if user.server_id not in found:
        fail(f"{spell(user.server_id)} did not answer; found: {names}. Check the name behind the @ of --as")
    for server_id in dict.fromkeys(to.server_id for to in recipients):
        if server_id not in found:
            missing = f"no server {spell(server_id)} answered (found: {names})"
            note(f"parley: {missing}; check the name behind the @ of --to")
