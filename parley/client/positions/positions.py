"""Positions as people have them: `LAT,LON[,ELE]`, NMEA sentences, gpsd's reports; in which time they are told.

Pure. What can be read in two ways is refused: a decimal comma, or a piece of a damaged line, is another place.
"""

from __future__ import annotations

import json
import re
from typing import Final, NamedTuple

from parley.client.positions.nmea import Timeline, is_sentence, parse_sentence
from parley.shared.soft_state.lifetimes import MAX_LIFETIME

MAX_LATITUDE: Final = 90.0
MAX_LONGITUDE: Final = 180.0
SAME_MOMENT: Final = 20
"""Positions of one moment that are told at once: where there are more, their times mean nothing."""
_GPSD_2D: Final = 2
"""The `mode` of a TPV report from which on it has a position (gpsd_json(5))."""
_SHOWN: Final = 40
"""Characters of a line that is complained of."""
_LINE: Final = re.compile(
    r"([+-]?(?:0|[1-9][0-9]{0,2})(\.[0-9]+)?)\s*,\s*([+-]?(?:0|[1-9][0-9]{0,2})(\.[0-9]+)?)"
    r"(\s*,\s*[+-]?[0-9]{1,6}(?:\.[0-9]+)?)?"
)
_MINUS: Final = "\N{MINUS SIGN}"
"""The sign that word processors and web pages make of a hyphen before a number."""


class Position(NamedTuple):
    """A position: degrees, WGS 84."""

    latitude: float
    longitude: float
    at: float | None = None
    """When it was measured, where that is told: seconds, of which only the differences mean something."""


def checked_position(latitude: float, longitude: float, at: float | None = None) -> Position | None:
    """A position, where the numbers name a place on Earth."""
    if abs(latitude) <= MAX_LATITUDE and abs(longitude) <= MAX_LONGITUDE:
        return Position(latitude, longitude, at)
    return None


def parse_position(text: str) -> Position | None:
    """Read `LAT,LON[,ELE]`: degrees with decimal points, and whatever stands behind a #."""
    numbers = numbers_of(text)
    return checked_position(*numbers) if numbers is not None else None


def numbers_of(text: str) -> tuple[float, float] | None:
    """The degrees of `LAT,LON[,ELE]`, whatever place they name.

    With three numbers both have decimal points: else they could be two with decimal commas, or a number in front.
    """
    found = _LINE.fullmatch(text.partition("#")[0].strip().replace(_MINUS, "-"))
    if found is None or (found[5] and not (found[2] and found[4])):
        return None
    return float(found[1]), float(found[3])


def fault_of(text: str) -> str:
    """The fault of a text that is no position."""
    shown = text.strip()[:_SHOWN]
    if numbers_of(text) is None:
        return f"{shown!r} is no position: write LAT,LON in degrees with decimal points, as in 48.137,11.575"
    return f"{shown} is out of range: latitudes go from -90 to 90, longitudes from -180 to 180"


class LineReader:
    """Reads the lines of one source: places or sentences, empty lines, and comments that begin with #.

    Where sentences come, what is none is a piece of one, and no place.
    """

    def __init__(self) -> None:
        self._is_nmea = False
        self._timeline = Timeline()
        self._last: Position | None = None

    def read(self, line: str) -> tuple[Position | None, str]:
        """The position of the next line, if it has one, and what is wrong with the line, if anything is."""
        line = line.strip()
        if not line or line.startswith("#"):
            return None, ""
        if line.startswith(("$", "!")):
            return self._sentence(line)
        if self._is_nmea:
            return None, f"{line[:_SHOWN]!r} is a piece of a sentence"
        position = parse_position(line)
        return position, "" if position is not None else fault_of(line)

    def _sentence(self, line: str) -> tuple[Position | None, str]:
        sentence = parse_sentence(line)
        if sentence is None:
            is_damaged = line.startswith("$") and not is_sentence(line)
            return None, f"{line[:_SHOWN]!r} is damaged: its checksum is not right" if is_damaged else ""
        self._is_nmea = True
        position = Position(sentence.latitude, sentence.longitude, self._timeline.at(sentence))
        is_again = position == self._last  # each moment is told in several kinds of sentences
        self._last = position
        return None if is_again and position.at is not None else position, ""


def parse_gpsd(line: str) -> Position | None:
    """Read a line of gpsd's: a TPV report with a position has one."""
    try:
        report = json.loads(line)
        if report.get("class") != "TPV" or report.get("mode", 0) < _GPSD_2D:
            return None
        latitude, longitude = report["lat"], report["lon"]
        if not all(type(value) in (int, float) for value in (latitude, longitude)):
            return None
        return checked_position(float(latitude), float(longitude))
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
        return None


class Playback:
    """The time in which the positions of a track are told: as they were measured, else `every` seconds one."""

    def __init__(self, every: float, speed: float) -> None:
        self._every = every
        self._speed = speed
        self._before: Position | None = None
        self._same_moment = 0

    def delay(self, position: Position) -> float:
        """Seconds to wait before the next position."""
        before, self._before = self._before, position
        if before is None:
            return 0.0
        if position.at is None or before.at is None or position.at < before.at:
            return min(self._every / self._speed, MAX_LIFETIME)
        self._same_moment = self._same_moment + 1 if position.at == before.at else 0
        apart = position.at - before.at if self._same_moment < SAME_MOMENT else self._every
        return min(apart / self._speed, MAX_LIFETIME)
