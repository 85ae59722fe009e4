"""`parley where`: where others are, as it changes."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Annotated, Any

import typer
from rich.live import Live
from rich.table import Table
from rich.text import Text

from parley.cli.options import As, ConfigFile, Json, ServerOption
from parley.cli.people.subscription import connected
from parley.cli.tables import out, show, table
from parley.cli.terminal import finder, line, note, run, who_we_are
from parley.client.location import LocationFeature
from parley.client.views.location_view import SharedLocation
from parley.shared.addresses import User
from parley.shared.audiences import Audience
from parley.shared.config import Config
from parley.shared.printable import harmless

GeoJson = Annotated[
    bool, typer.Option("--geojson", help="One GeoJSON FeatureCollection per line, with each change: all there is.")
]
Once = Annotated[
    bool,
    typer.Option("--once", help="Print what there is now, and end: after a second or two, when all was heard."),
]
Shown = Callable[[list[SharedLocation]], None]
NUMBERS = ("LATITUDE", "LONGITUDE", "SECONDS AGO")
_QUIET = 0.7
"""Seconds without a change after which a server has told what there is; it does so three times at once."""
_LONGEST = 3.0
"""Seconds until we end in any case."""
_TICK = 1.0
"""Seconds between two drawings of the table, whose ages grow."""


def command(
    user: As = "",
    server: ServerOption = None,
    as_json: Json = False,
    geojson: GeoJson = False,
    once: Once = False,
    config: ConfigFile = None,
) -> None:
    """Show where those are who share it with you. A live table at a terminal, else lines. Ctrl-C ends it.

    Examples:
        parley where --as bob@beta

        parley where --as bob@beta --json | jq .latitude

        parley where --as bob@beta --geojson --once > map.geojson

    """
    watch = _once if once else _watch
    run(lambda c: watch(c, user, server or (), _how(as_json=as_json, geojson=geojson)), config)


def _how(*, as_json: bool, geojson: bool) -> str:
    if geojson:
        return "geojson"
    if as_json:
        return "json"
    return "table" if sys.stdout.isatty() else "lines"


def _printer(how: str) -> Shown:
    """The function that prints the locations each time it is called with them; a table draws itself."""
    shown: dict[str, Shown] = {"geojson": _geojson, "json": _Changes(_as_json), "lines": _Changes(_sentence)}
    return shown.get(how, lambda _locations: None)


async def _once(config: Config, name: str, servers: Sequence[str], how: str) -> None:
    """Wait until nothing new is heard, then print it all."""
    user = who_we_are(config, name)
    changed = asyncio.Event()
    feature = LocationFeature(
        user, config, on_change=lambda _locations: changed.set(), discovery=await finder(config, servers)
    )
    async with connected(feature):
        with suppress(TimeoutError):
            async with asyncio.timeout(_LONGEST):
                while True:
                    async with asyncio.timeout(_QUIET):
                        await changed.wait()
                    changed.clear()
        if how == "table":
            show(_table(feature.locations))
        elif feature.locations or how == "geojson":
            _printer(how)(feature.locations)
        if not feature.locations:
            note(f"nobody shares a place with {user} now")


async def _watch(config: Config, name: str, servers: Sequence[str], how: str) -> None:
    user = who_we_are(config, name)
    feature = LocationFeature(user, config, on_change=_printer(how), discovery=await finder(config, servers))
    async with connected(feature):
        note(f"watching locations as {user}; Ctrl-C ends it")
        if how == "table":
            await _live(feature)
        await asyncio.Event().wait()


async def _live(feature: LocationFeature) -> None:
    with Live(_table([]), console=out, auto_refresh=False) as live:
        while True:
            live.update(_table(feature.locations), refresh=True)
            await asyncio.sleep(_TICK)


def _table(locations: list[SharedLocation]) -> Table:
    made = table("WHO", "FOR", *NUMBERS, "UNTIL", right=NUMBERS)
    for location in sorted(locations, key=lambda location: (location.author, str(location.audience))):
        made.add_row(*(Text(cell) for cell in _cells(location)))
    return made


def _cells(location: SharedLocation) -> list[str]:
    return [
        harmless(str(location.author)),
        harmless(str(location.audience)),
        f"{location.latitude:.5f}",
        f"{location.longitude:.5f}",
        f"{max(time.time() - location.timestamp, 0):.0f}",
        time.strftime("%H:%M", time.localtime(time.time() + _left(location))),
    ]


def _left(location: SharedLocation) -> float:
    return max(location.expires - asyncio.get_running_loop().time(), 0.0)


class _Changes:
    """Prints each location that is new or another, and each that is gone."""

    def __init__(self, say: Callable[[SharedLocation, bool], str]) -> None:
        self._say = say
        self._shown: dict[tuple[User, Audience], SharedLocation] = {}

    def __call__(self, locations: list[SharedLocation]) -> None:
        now = {(location.author, location.audience): location for location in locations}
        for key, location in now.items():
            if self._shown.get(key) != location:
                line(self._say(location, False))
        for key in self._shown.keys() - now.keys():
            line(self._say(self._shown[key], True))
        self._shown = now


def _sentence(location: SharedLocation, gone: bool) -> str:
    who, to, *_ = _cells(location)
    return f"{who} for {to}: " + ("gone" if gone else f"{location.latitude:.5f}, {location.longitude:.5f}")


def _fields(location: SharedLocation) -> dict[str, Any]:
    audience = location.audience
    fields = {
        "author": str(location.author),
        "to": str(audience.user) if audience.user is not None else None,
        "group": str(audience.group) if audience.group is not None else None,
        "timestamp": location.timestamp,
        "seconds_left": round(_left(location), 1),
        "snowflake": location.snowflake or None,
    }
    return {key: value for key, value in fields.items() if value is not None}


def _as_json(location: SharedLocation, gone: bool) -> str:
    where = {"gone": True} if gone else {"latitude": location.latitude, "longitude": location.longitude}
    return json.dumps(_fields(location) | where, ensure_ascii=False)


def _geojson(locations: list[SharedLocation]) -> None:
    """RFC 7946: a longitude comes first."""
    features = [
        {
            "type": "Feature",
            "geometry": {"type": "Point", "coordinates": [location.longitude, location.latitude]},
            "properties": _fields(location),
        }
        for location in locations
    ]
    line(json.dumps({"type": "FeatureCollection", "features": features}, ensure_ascii=False))
