"""Several devices of one author that share with the same audience: together they are one stream. Pure.

To everybody else a stream is one place, the newest. Here, where the devices themselves are heard, each has its
own: what is news is asked of each by its own clock, and a stop ends one device's share, not the other's. What was
told of the stream last is then followed by the newest place that is left.

A device is what a Parley's client says it is (`device`); all that say nothing are one. One that is gone without a
word (its link ended) counts until another of the author's is heard: whoever restarts and stops has stopped.
"""

from __future__ import annotations

import math
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Final, NamedTuple

from parley.shared.soft_state.lifetimes import lifetime, skew
from parley.shared.soft_state.soft_state import Entry, Key, supersedes
from parley.shared.wire.messages import pb

MOST: Final = 8
"""Devices of one stream; of more the longest unheard is forgotten."""
REMEMBERED: Final = 60.0
"""Seconds for which a device that stopped is known, so that what comes late does not revive it."""


@dataclass(slots=True)
class _Device:
    location: pb.LiveLocation
    source: Hashable
    """The link that it was heard on last."""
    expires: float
    """Until when it counts; one that stopped: until when it is known."""
    skew: float
    heard: float
    is_gone: bool = False
    """Whether that link has ended."""

    def is_live(self, now: float) -> bool:
        """Whether it shares."""
        return not self.location.stopped and self.expires > now


class StreamUpdate(NamedTuple):
    """The stream as it is to be sent now, and over which link that came. One that is not newer changes nothing."""

    entry: pb.ExtendedLiveLocation
    source: Hashable


class Devices:
    """The last entry of each device. `now` is in seconds, monotonic; `wall` is our clock's Unix time."""

    def __init__(self) -> None:
        self._streams: dict[Key, dict[int, _Device]] = {}
        self._heard_on: dict[Hashable, set[Key]] = {}

    def __len__(self) -> int:
        return len(self._streams)

    def heard(
        self, key: Key, location: pb.LiveLocation, source: Hashable, now: float, wall: float, sent: Entry | None
    ) -> StreamUpdate:
        """Take what a device says of a stream."""
        entry = pb.ExtendedLiveLocation(live_location=location)
        devices = self._streams.get(key, {})
        known = devices.get(location.device)
        if known is not None and not supersedes(
            location.timestamp,
            is_over=location.stopped,
            known=known.location.timestamp,
            known_is_over=known.location.stopped,
        ):
            self._unhear(key, known)
            known.source, known.is_gone = source, False
            self._heard_on.setdefault(source, set()).add(key)
            if sent is not None and sent.is_over and known.is_live(now):  # another's newer place has expired
                return _after(sent.timestamp, known, now)
            return StreamUpdate(entry, source)
        has_others = bool(devices.keys() - {location.device})
        self._keep(key, devices, now)
        ahead = skew(location.timestamp, known.skew if known is not None else None, wall)
        lasts = REMEMBERED if location.stopped else lifetime(entry, ahead, wall)
        if not lasts > 0:
            return StreamUpdate(entry, source)
        device = _Device(_copy(location), source, now + lasts, ahead, now)
        self._hear(key, device)
        if location.stopped:
            return self._stopped(key, entry, source, now, sent)
        if sent is not None and location.timestamp <= sent.timestamp and (known is not None or has_others):
            return _after(sent.timestamp, device, now)
        return StreamUpdate(entry, source)

    def _keep(self, key: Key, devices: dict[int, _Device], now: float) -> None:
        """Forget those of a stream's devices that do not count any more, now that another is heard."""
        self._streams[key] = devices
        for number, each in list(devices.items()):
            if each.expires <= now or each.is_gone:
                self._unhear(key, devices.pop(number))

    def _hear(self, key: Key, device: _Device) -> None:
        devices = self._streams[key]
        if (before := devices.pop(device.location.device, None)) is not None:
            self._unhear(key, before)
        devices[device.location.device] = device
        if len(devices) > MOST:
            self._unhear(key, devices.pop(next(iter(devices))))
        self._heard_on.setdefault(device.source, set()).add(key)

    def _stopped(
        self, key: Key, entry: pb.ExtendedLiveLocation, source: Hashable, now: float, sent: Entry | None
    ) -> StreamUpdate:
        """The entry that is left: the newest position of another device, or none."""
        location = entry.live_location
        last = max(location.timestamp, sent.timestamp) if sent is not None else location.timestamp
        left = [each for each in self._streams[key].values() if each.is_live(now)]
        if left:
            return _after(last, max(left, key=lambda each: each.heard), now)
        location.timestamp = last  # another device's clock may have been ahead
        return StreamUpdate(entry, source)

    def left(self, source: Hashable) -> None:
        """A link has ended: what was heard on it counts until another device is heard."""
        for key in self._heard_on.pop(source, ()):
            for each in self._streams.get(key, {}).values():
                each.is_gone = each.is_gone or each.source == source

    def forget(self, key: Key) -> None:
        """Nothing is known of the stream any more."""
        for each in self._streams.pop(key, {}).values():
            self._unhear(key, each)

    def _unhear(self, key: Key, device: _Device) -> None:
        """The end of a device's link is of no interest any more."""
        heard = self._heard_on.get(device.source, set())
        heard.discard(key)
        if not heard:
            self._heard_on.pop(device.source, None)


def _copy(location: pb.LiveLocation) -> pb.LiveLocation:
    copy = pb.LiveLocation()
    copy.CopyFrom(location)
    return copy


def _after(sent: float, device: _Device, now: float) -> StreamUpdate:
    """A device's place, so that it follows what was sent last, and lasts as long as the device said."""
    lasts = device.expires - now
    entry = pb.ExtendedLiveLocation(live_location=device.location, remaining=lasts)
    entry.live_location.timestamp = math.nextafter(sent, math.inf)
    entry.live_location.expiry_at = entry.live_location.timestamp + lasts
    return StreamUpdate(entry, device.source)
