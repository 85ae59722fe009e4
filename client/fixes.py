"""Positions as people have them: `lat,lon` lines, NMEA 0183 sentences, GPX tracks, gpsd's reports. Pure.

NMEA is read by pynmea2, GPX by gpxpy; both are loaded only when there is some.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from shared.errors import ConfigError

MAX_LATITUDE = 90.0
MAX_LONGITUDE = 180.0
_GPSD_2D = 2
"""The `mode` of a TPV report from which on it has a position (gpsd_json(5))."""
_SHOWN = 40
"""Characters of a line that is complained of."""


class Fix(NamedTuple):
    """A position: degrees, WGS 84; `at` is when it was recorded (Unix seconds), where that is told."""

    latitude: float
    longitude: float
    at: float | None = None


def checked(latitude: float, longitude: float, at: float | None = None) -> Fix | None:
    """A fix, where the numbers name a place on Earth."""
    if abs(latitude) <= MAX_LATITUDE and abs(longitude) <= MAX_LONGITUDE:
        return Fix(latitude, longitude, at)
    return None


def parse_line(line: str) -> Fix | None:
    """Read a line: an NMEA sentence or `lat,lon`; None where it tells no position."""
    line = line.strip()
    if line.startswith(("$", "!")):
        return _parse_nmea(line)
    numbers = numbers_of(line)
    return checked(*numbers) if numbers is not None else None


def fault_of(line: str) -> str:
    """What is wrong with a line that tells no position; nothing for NMEA, comments and empty lines."""
    line = line.strip()
    if not line or line.startswith(("$", "!", "#")):
        return ""
    if numbers_of(line) is None:
        return f"{line[:_SHOWN]!r} is no position: write LAT,LON in degrees, as in 48.137,11.575"
    return f"{line[:_SHOWN]} is out of range: latitudes go from -90 to 90, longitudes from -180 to 180"


def numbers_of(line: str) -> tuple[float, float] | None:
    """Two numbers with a comma, a semicolon or spaces between them, whatever place they name."""
    words = line.partition("#")[0].replace(",", " ").replace(";", " ").split()
    try:
        return (float(words[0]), float(words[1])) if len(words) > 1 else None
    except ValueError:
        return None


def _parse_nmea(line: str) -> Fix | None:
    """RMC, GGA and GLL sentences with a fix have a position; what is damaged or another sentence has none."""
    import pynmea2  # noqa: PLC0415 - only who has NMEA pays for it

    try:
        sentence = pynmea2.parse(line, check=True)
        if sentence.sentence_type not in ("RMC", "GGA", "GLL") or getattr(sentence, "status", "A") != "A":
            return None
        if sentence.sentence_type == "GGA" and not sentence.gps_qual:
            return None
        if not sentence.lat or not sentence.lon:
            return None
        return checked(sentence.latitude, sentence.longitude)
    except (pynmea2.ParseError, AttributeError, ValueError, TypeError):
        return None


def parse_gpx(text: str) -> list[Fix]:
    """Read a GPX document: the points of its tracks, else of its routes, else its waypoints.

    Raises:
        ConfigError: it is no GPX, or has no point.

    """
    import gpxpy  # noqa: PLC0415 - only who has GPX pays for it
    import gpxpy.gpx  # noqa: PLC0415

    try:
        document = gpxpy.parse(text)
    except gpxpy.gpx.GPXException as error:
        raise ConfigError(f"this is no GPX: {' '.join(str(error).split())}") from None
    points: Sequence[Any] = [
        point for track in document.tracks for segment in track.segments for point in segment.points
    ]
    points = points or [point for route in document.routes for point in route.points] or document.waypoints
    made = (checked(p.latitude, p.longitude, p.time.timestamp() if p.time else None) for p in points)
    fixes = [fix for fix in made if fix is not None]
    if not fixes:
        raise ConfigError("this GPX has no point")
    return fixes


def parse_gpsd(line: str) -> Fix | None:
    """Read a line of gpsd's: a TPV report with a position has one."""
    try:
        report = json.loads(line)
        if report.get("class") != "TPV" or report.get("mode", 0) < _GPSD_2D:
            return None
        return checked(float(report["lat"]), float(report["lon"]))
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def paces(fixes: list[Fix], every: float, speed: float) -> Iterator[tuple[float, Fix]]:
    """Each fix of a track, and the seconds to wait before it: as it was recorded, else `every`."""
    before: Fix | None = None
    for fix in fixes:
        if before is None:
            yield 0.0, fix
        elif fix.at is not None and before.at is not None and fix.at >= before.at:
            yield (fix.at - before.at) / speed, fix
        else:
            yield every / speed, fix
        before = fix
