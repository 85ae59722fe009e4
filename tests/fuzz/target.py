"""What is fed: each entry of Parley from outside, as a class whose `one(data)` must raise nothing.

An error that the entry is to raise for bad input is expected there; any other is a bug.
"""

import json
from pathlib import Path

from parley.shared.wire.framing import read_datagram
from tests.fuzz.links import NAMES

VECTORS = Path(__file__).parents[1] / "data" / "wire_frames.json"


def vectors():
    """Frames that an existing program made."""
    return [bytes.fromhex(each["frame_hex"]) for each in json.loads(VECTORS.read_text(encoding="utf-8"))]


def framed(raw):
    """A frame as `Reader.pieces` reads it."""
    frame = read_datagram(raw)
    return bytes([NAMES.index(frame.name)]) + len(frame.payload).to_bytes(2, "big") + frame.payload


class Target:
    """`seeds()`: what it begins with, besides its corpus."""

    share = 1.0
    """Of the inputs that a cheap one gets."""

    def one(self, data):
        raise NotImplementedError

    def seeds(self):
        return vectors()
