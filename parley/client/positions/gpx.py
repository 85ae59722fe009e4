"""GPX 1.0 and 1.1 (topografix.com), as programs write it. Pure.

Read piece by piece with expat, which knows encodings and byte order marks. Names count without their prefix, since
not every program declares the one that it uses, and extensions count for nothing. A point without a place is left
out; a time that is none is no time. A document that is cut off, or declares entities, is refused whole.
"""

from __future__ import annotations

import re
from datetime import date
from typing import Final
from xml.parsers import expat

from parley.client.positions.positions import Position, checked_position
from parley.shared.errors import ConfigError

MOST_POINTS: Final = 1_000_000
KINDS: Final = {"trkpt": 0, "rtept": 1, "wpt": 2}
"""Tracks count before routes, and routes before waypoints."""
_NUMBER: Final = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?")
_TIME: Final = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})[Tt ]([0-9]{2}):([0-9]{2}):([0-9]{2}(?:\.[0-9]+)?) ?"
    r"(?:[Zz]|([+-])([0-9]{2}):?([0-9]{2}))?"
)
_EPOCH: Final = date(1970, 1, 1).toordinal()
_LONGEST_TIME: Final = 64


class GpxDocument:
    """A document that is being read: `feed` its bytes, then `close`."""

    def __init__(self, encoding: str | None = None) -> None:
        """`encoding`: what it was made into before, whatever it says of itself."""
        self.skipped = 0
        """Points without a place."""
        self._points: tuple[list[Position], ...] = tuple([] for _ in KINDS)
        self._depth = 0
        self._extension = 0
        """How deep the outermost `extensions` is that we are in; 0: in none."""
        self._point: tuple[int, float, float] | None = None
        """The point that we are in: its kind, and where it is."""
        self._point_depth = 0
        self._text: list[str] | None = None
        """The text of the point's time, as far as it was read."""
        self._at: float | None = None
        self._parser = expat.ParserCreate(encoding)
        self._parser.buffer_text = True
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._characters
        self._parser.EntityDeclHandler = self._entity

    def feed(self, data: bytes) -> None:
        """Read on.

        Raises:
            ConfigError: it is no GPX.

        """
        self._parse(data, is_last=False)

    def close(self) -> list[Position]:
        """The points of its tracks, else of its routes, else its waypoints.

        Raises:
            ConfigError: it is no GPX, not all of one, or has no point.

        """
        self._parse(b"", is_last=True)
        track = next((points for points in self._points if points), None)
        if track is None:
            raise ConfigError("this GPX has no point")
        return track

    def _parse(self, data: bytes, *, is_last: bool) -> None:
        try:
            self._parser.Parse(data, is_last)
        except expat.ExpatError as error:
            raise ConfigError(f"this is no GPX, or not all of one: {error}") from None
        except (LookupError, ValueError) as error:
            raise ConfigError(f"this is no GPX: its encoding is not known: {error}") from None

    # What expat tells ---------------------------------------------------------------------------

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        local = name.rpartition(":")[2]
        if self._depth == 1 and local != "gpx":
            raise ConfigError(f"this is no GPX: it begins with <{name[:40]}>")
        if self._extension:
            return
        if local == "extensions":
            self._extension = self._depth
        elif self._point is None and local in KINDS:
            self._begin(KINDS[local], attributes)
        elif self._point is not None and local == "time" and self._depth == self._point_depth + 1:
            self._text = []

    def _begin(self, kind: int, attributes: dict[str, str]) -> None:
        position = checked_position(_number(attributes.get("lat", "")), _number(attributes.get("lon", "")))
        self._point = (kind, position.latitude, position.longitude) if position is not None else (kind, 0.0, 0.0)
        self._point_depth, self._at = self._depth, None
        if position is None:
            self._point = None
            self.skipped += 1

    def _characters(self, text: str) -> None:
        if self._text is not None and len(self._text) < _LONGEST_TIME:
            self._text.append(text[:_LONGEST_TIME])

    def _end(self, _name: str) -> None:
        if self._extension == self._depth:
            self._extension = 0
        if self._text is not None and self._depth == self._point_depth + 1:
            self._at, self._text = unix_time("".join(self._text)), None
        elif self._point is not None and self._depth == self._point_depth:
            kind, latitude, longitude = self._point
            self._point = None
            self._points[kind].append(Position(latitude, longitude, self._at))
            if len(self._points[kind]) > MOST_POINTS:
                raise ConfigError(f"this GPX has more than {MOST_POINTS} points; cut it up")
        self._depth -= 1

    def _entity(self, *_: object) -> None:
        raise ConfigError("this is no GPX: it declares entities, which no GPX needs")


def _number(text: str) -> float:
    """A number as XML schema and programs write it; NaN where it is none."""
    text = text.strip(" \t\r\n")
    return float(text) if _NUMBER.fullmatch(text) else float("nan")


def unix_time(text: str) -> float | None:
    """Unix seconds of a time like 2026-01-01T10:00:00.5Z; UTC, where it names no zone.

    None: it is none, or the year 1, which programs write that have none.
    """
    found = _TIME.fullmatch(text.strip())
    if found is None or int(found[1]) <= 1:
        return None
    try:
        days = date(int(found[1]), int(found[2]), int(found[3])).toordinal() - _EPOCH
    except ValueError:
        return None
    zone = int(found[8] or 0) * 3600 + int(found[9] or 0) * 60
    seconds = int(found[4]) * 3600 + int(found[5]) * 60 + float(found[6])
    return days * 86400 + seconds - (zone if found[7] == "+" else -zone)
