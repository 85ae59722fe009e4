"""NMEA 0183, as receivers say it and people record it: positions, and when each was measured. Pure.

A sentence counts if its checksum is right and it says that it has a fix: `$ttRMC`, GGA, GLL and GNS, whichever
satellites (tt) they are of. Fields: IEC 61162-1.
"""

from __future__ import annotations

import math
import re
from datetime import date
from typing import Final, NamedTuple

DAY: Final = 86400.0
_SENTENCE: Final = re.compile(r"\$([A-Z][A-Z0-9])([A-Z]{3}),([\x20-\x7e]*)\*([0-9A-Fa-f]{2})", re.ASCII)
_LATITUDE: Final = re.compile(r"([0-9]{2})([0-9]{2}(?:\.[0-9]*)?)")
_LONGITUDE: Final = re.compile(r"([0-9]{3})([0-9]{2}(?:\.[0-9]*)?)")
_TIME: Final = re.compile(r"([0-9]{2})([0-9]{2})([0-9]{2}(?:\.[0-9]*)?)")
_DATE: Final = re.compile(r"([0-9]{2})([0-9]{2})([0-9]{2})")
_CENTURY: Final = 80
"""Two digits from here on are of the last century: GPS began in 1980."""


class Sentence(NamedTuple):
    """A position as one NMEA sentence tells it: degrees, WGS 84."""

    latitude: float
    longitude: float
    time: float | None
    """Seconds of the day, UTC."""
    day: int | None
    """Days since 1970."""


class _Form(NamedTuple):
    """Which field of a sentence is which, from 0."""

    time: int
    place: int
    status: int
    without: str
    """The status where there is no fix, in all its characters."""
    date: int = -1


FORMS: Final = {
    "RMC": _Form(time=0, status=1, place=2, date=8, without="V"),
    "GGA": _Form(time=0, place=1, status=5, without="0"),
    "GLL": _Form(place=0, time=4, status=5, without="V"),
    "GNS": _Form(time=0, place=1, status=5, without="N"),
}


def is_sentence(line: str) -> bool:
    """Whether a line is a whole sentence, of any kind, whose checksum is right."""
    found = _SENTENCE.fullmatch(line)
    return found is not None and _checksum(line[1:-3]) == int(found[4], 16)


def parse_sentence(line: str) -> Sentence | None:
    """The place that a sentence tells; None: it is damaged, of another kind, or without a fix."""
    found = _SENTENCE.fullmatch(line)
    form = FORMS.get(found[2]) if found is not None else None
    if found is None or form is None or not is_sentence(line):
        return None
    fields = [field.strip() for field in found[3].split(",")]
    if len(fields) <= max(form.place + 3, form.status) or not set(fields[form.status]) - set(form.without):
        return None
    north, north_or_south, east, east_or_west = fields[form.place : form.place + 4]
    latitude = _degrees(_LATITUDE, north, north_or_south, "NS", 90.0)
    longitude = _degrees(_LONGITUDE, east, east_or_west, "EW", 180.0)
    if latitude is None or longitude is None:
        return None
    dated = fields[form.date] if 0 <= form.date < len(fields) else ""
    return Sentence(latitude, longitude, _time(fields[form.time]), _day(dated))


def _checksum(text: str) -> int:
    found = 0
    for character in text:
        found ^= ord(character)
    return found


def _degrees(form: re.Pattern[str], text: str, side: str, sides: str, most: float) -> float | None:
    """Degrees from dddmm.mmmm and a side; on the second of the two sides they are negative."""
    found = form.fullmatch(text)
    if found is None or len(side) != 1 or side not in sides:
        return None
    minutes = float(found[2])
    value = int(found[1]) + minutes / 60
    if minutes >= 60 or value > most:  # noqa: PLR2004 - of a degree
        return None
    return -value if side == sides[1] else value


def _time(text: str) -> float | None:
    found = _TIME.fullmatch(text)
    seconds = int(found[1]) * 3600 + int(found[2]) * 60 + float(found[3]) if found is not None else DAY
    return seconds if seconds < DAY else None


def _day(text: str) -> int | None:
    found = _DATE.fullmatch(text)
    if found is None:
        return None
    day, month, year = map(int, found.groups())
    try:
        return (
            date(year + (1900 if year >= _CENTURY else 2000), month, day).toordinal() - date(1970, 1, 1).toordinal()
        )
    except ValueError:
        return None


class Timeline:
    """When each sentence was measured, as seconds that go on: over midnight, and where only some tell the date."""

    def __init__(self) -> None:
        self._time: float | None = None
        """The last sentence's, of its day."""
        self._day: int | None = None
        self._at = 0.0

    def at(self, sentence: Sentence) -> float | None:
        """Seconds; only their differences mean something. None where no sentence has told a time yet."""
        if sentence.time is None:
            return self._at if self._time is not None else None
        if self._time is None:
            self._at = sentence.time
        else:
            later = math.remainder(sentence.time - self._time, DAY)
            if sentence.day is not None and self._day is not None:
                later = (sentence.day - self._day) * DAY + sentence.time - self._time
            elif self._day is not None:  # this one tells no date: it may be the next day's
                self._day += round((later - (sentence.time - self._time)) / DAY)
            self._at += later
        self._time = sentence.time
        self._day = sentence.day if sentence.day is not None else self._day
        return self._at
