"""The messages between chat and the archive's process, and their bytes: a length, then MessagePack. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from struct import Struct as Layout
from typing import Final

from msgspec import Struct, msgpack

from parley.services.chat.archive.changes import Change

LENGTH: Final = Layout("<I")


class Begin(Struct, frozen=True, tag=True):
    """The first message of chat: the file, and the rules for it."""

    path: str
    server_id: str
    session: int
    """By which the numbers of chunks are known from those of another journal."""
    days: float
    size: int
    """Bytes of the file, at most."""


class Put(Struct, frozen=True, tag=True):
    """A chunk to be written."""

    number: int
    """It grows in a session: the position of its end in chat's journal."""
    entries: bytes
    age: float
    clock: float
    at: float
    put: float


class Asked(Struct, frozen=True, tag=True):
    """Somebody waits until that chunk is in lists."""

    number: int


class Apply(Struct, frozen=True, tag=True):
    """A change, to be made once all chunks before it are in lists."""

    number: int
    change: Change


class Ready(Struct, frozen=True, tag=True):
    """The file is open, and has this session's chunks up to that number."""

    written: int


class Position(Struct, frozen=True, tag=True):
    """How far the process has come."""

    written: int = 0
    """The last chunk in the file."""
    listed: int = 0
    """The last chunk in lists."""
    messages: int = 0
    """Entries that this process has written."""
    size: int = 0
    """Bytes of the file."""
    backlog: int = 0
    """Bytes of chunks in the file that are in no list."""
    oldest: float = 0.0
    """When the oldest of those was handed over (seconds, monotonic); 0: there is none."""
    is_full: bool = False
    error: str = ""
    """Why nothing can be written just now; empty: it can."""
    files: int = 0
    """Large messages that are files of their own."""
    files_size: int = 0
    """Their bytes."""
    torn: int = 0
    """Files that this process has read and that are not what they were."""
    without_effect: dict[str, int] = {}
    """Edits that changed nothing in a list, by why (`WithoutEffect`), of this process."""
    not_kept: dict[str, int] = {}
    """Entries that are not kept, by whose share of the room is used up (`Refused`), of this process."""


class Touched(Struct, frozen=True, tag=True):
    """People whose lists were changed."""

    people: list[str]


class Applied(Struct, frozen=True, tag=True):
    """A change was made, or could not be."""

    number: int
    count: int = 0
    """Days that were removed, or messages."""
    error: str = ""


class Logged(Struct, frozen=True, tag=True):
    """A line for chat's log."""

    level: str
    event: str
    fields: dict[str, str | int | float]


class Closed(Struct, frozen=True, tag=True):
    """The file cannot be used."""

    error: str


class KeysAsked(Struct, frozen=True, tag=True):
    """Which devices a user has: an edit is to be judged. Nothing more is projected until chat says it."""

    name: str
    server_id: str


class Keys(Struct, frozen=True, tag=True):
    """The answer of chat."""

    is_known: bool
    now: list[bytes] = []
    revoked: list[bytes] = []


FromChat = Begin | Put | Asked | Apply | Keys
FromProcess = Ready | Position | Touched | Applied | Logged | Closed | KeysAsked
PEOPLE: Final = 500
"""People in one message."""

_ENCODER: Final = msgpack.Encoder()
FROM_CHAT: Final = msgpack.Decoder(FromChat)
FROM_PROCESS: Final = msgpack.Decoder(FromProcess)


def frame(message: FromChat | FromProcess) -> bytearray:
    """The bytes of a message."""
    buffer = bytearray(LENGTH.size)
    _ENCODER.encode_into(message, buffer, LENGTH.size)
    LENGTH.pack_into(buffer, 0, len(buffer) - LENGTH.size)
    return buffer


class Frames:
    """Bytes as they come, and the frames in them."""

    def __init__(self) -> None:
        self._data = bytearray()

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Take bytes; the payloads that are whole by now."""
        self._data += data
        at, have = 0, len(self._data)
        while at + LENGTH.size <= have:
            (length,) = LENGTH.unpack_from(self._data, at)
            begin = at + LENGTH.size
            if begin + length > have:
                break
            at = begin + length
            yield bytes(memoryview(self._data)[begin:at])
        del self._data[:at]
