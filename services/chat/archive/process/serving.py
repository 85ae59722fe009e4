"""The archive's process: reads what chat hands over, and tells how far it has come.

One thread has the file (worker.py), this one the socket. It reads no more than can be written, and all that is left
where chat is over.
"""

from __future__ import annotations

import contextlib
import select
import socket
import sqlite3
import threading
import time
import traceback
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Final

from parley.services.chat.archive import storage
from parley.services.chat.archive.changing import apply
from parley.services.chat.archive.process.messages import (
    FROM_CHAT,
    PEOPLE,
    Applied,
    Apply,
    Asked,
    Begin,
    Closed,
    Frames,
    FromChat,
    FromProcess,
    Keys,
    KeysAsked,
    Logged,
    Put,
    Ready,
    Touched,
    frame,
)
from parley.services.chat.archive.worker import Chunk, Interrupted, Policy, Task, Worker
from parley.shared.addresses import User
from parley.shared.trust.authors import DeviceKeys

PIECE: Final = 1 << 20
"""Bytes that are read at once, at most."""
HELD: Final = 8 * 1024 * 1024
"""Bytes that are read and not written, beyond which no more are read."""
LOOK: Final = 0.05
"""Seconds between two looks whether chat is there at all, while an answer is awaited, or nothing is read."""
PATIENCE: Final = 5.0
"""Seconds for which a change waits for chunks before it."""
_OVER: Final = select.POLLHUP | select.POLLERR | getattr(select, "POLLRDHUP", 0)


class Chat:
    """The socket to the chat process: what it hands over, and what it is told."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._one = threading.Lock()
        self._frames = Frames()
        self._events = select.poll()
        self._events.register(sock, _OVER)

    def messages(self) -> Iterator[FromChat]:
        """All messages until chat is over, or has no more."""
        while data := self._read():
            yield from map(FROM_CHAT.decode, self._frames.feed(data))

    def _read(self) -> bytes:
        try:
            return self._socket.recv(PIECE)
        except ConnectionError:
            return b""

    def tell(self, message: FromProcess) -> None:
        """Tell chat; where it is over, nobody."""
        with self._one, contextlib.suppress(OSError):
            self._socket.sendall(frame(message))

    @property
    def is_over(self) -> bool:
        """Whether nothing more will come than what is there."""
        return bool(self._events.poll(0))

    def end(self) -> None:
        """Read nothing any more."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    # A log ------------------------------------------------------------------------------------------

    def info(self, event: str, **fields: object) -> None:
        """Have chat log a line."""
        self._log("info", event, fields)

    def error(self, event: str, **fields: object) -> None:
        """Have chat log an error."""
        self._log("error", event, fields)

    def _log(self, level: str, event: str, fields: dict[str, object]) -> None:
        if isinstance(error := fields.pop("exc_info", None), BaseException):
            fields["exception"] = "".join(traceback.format_exception(error))
        plain = {name: each if isinstance(each, int | float) else str(each) for name, each in fields.items()}
        self.tell(Logged(level, event, plain))


class Devices:
    """Authors' devices, as chat knows them."""

    def __init__(self, chat: Chat) -> None:
        self._chat = chat
        self._changed = threading.Condition()
        self._answer: Keys | None = None
        self.is_asked = False
        """Whether an answer is awaited: it comes behind what was sent before it."""

    def of(self, user: User) -> DeviceKeys | None:
        """Ask chat, on the worker's thread. Interrupted: it is over."""
        with self._changed:
            self._answer, self.is_asked = None, True
            self._chat.tell(KeysAsked(*user))
            while self._answer is None:
                if not self._changed.wait_for(lambda: self._answer is not None, LOOK) and self._chat.is_over:
                    raise Interrupted
            found, self.is_asked = self._answer, False
        return DeviceKeys(found.now, found.revoked) if found.is_known else None

    def answer(self, keys: Keys) -> None:
        """Chat has answered."""
        with self._changed:
            self._answer = keys
            self._changed.notify_all()


def serve(sock: socket.socket) -> None:
    """Be the archive's process until chat is over."""
    chat = Chat(sock)
    with sock:
        messages = chat.messages()
        begin = next(messages, None)
        if not isinstance(begin, Begin):
            return
        try:
            with storage.locked(Path(begin.path)):  # the process of a chat that was killed may still be writing
                _serve(chat, begin, messages)
        except storage.Unusable as error:
            chat.tell(Closed(str(error)))


def _serve(chat: Chat, begin: Begin, messages: Iterator[FromChat]) -> None:
    devices = Devices(chat)
    worker = Worker(
        Path(begin.path),
        Policy(begin.days, begin.size),
        chat,
        server_id=begin.server_id,
        session=begin.session,
        keys=devices.of,
        touched=partial(_tell_people, chat),
        moved=lambda: chat.tell(worker.position()),
        ended=chat.end,
    )
    position = worker.position()
    chat.tell(Ready(position.written))
    chat.tell(position)
    worker.start()
    try:
        for message in messages:
            match message:
                case Put():
                    chunk = Chunk(
                        message.entries, message.age, message.clock, message.at, message.put, message.number
                    )
                    worker.put(chunk)
                    while not worker.has_room(HELD, LOOK) and not chat.is_over and not devices.is_asked:
                        pass
                case Keys():
                    devices.answer(message)
                case Asked(number):
                    worker.hurry(number)
                case Apply():
                    worker.do(_task(chat, begin.server_id, message))
    finally:
        worker.close()


def _tell_people(chat: Chat, touched: set[str]) -> None:
    people = list(touched)
    for begin in range(0, len(people), PEOPLE):
        chat.tell(Touched(people[begin : begin + PEOPLE]))


def _task(chat: Chat, server_id: str, message: Apply) -> Task:
    def run(db: sqlite3.Connection | None) -> None:
        if db is None:
            chat.tell(Applied(message.number, error="the archive is behind, and cannot be changed now"))
            return
        try:
            count = apply(db, server_id, message.change)
        except sqlite3.Error as error:
            chat.tell(Applied(message.number, error=str(error)))
        else:
            chat.tell(Applied(message.number, count))

    return Task(run, time.monotonic() + PATIENCE)
