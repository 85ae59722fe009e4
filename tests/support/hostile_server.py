"""A server of somebody else's with a key of its own, linked with a Parley, that says whatever a test has it say."""

from __future__ import annotations

import contextlib
import threading
from typing import Any, Self

from parley.shared.trust.keys import PrivateKey
from parley.shared.wire.framing import Frame
from parley.shared.wire.messages import REGISTRY, decode, encode, pb
from tests.support.nodes import wait_until
from tests.support.secured import Secured


class HostileServer:
    """A link over TLS, proven by the server's key. What comes is read by a thread, which answers PING."""

    def __init__(
        self, server_id: str, place: tuple[str, int], source: str, key: PrivateKey, feature: str = "MESSAGES"
    ) -> None:
        self.server_id = server_id
        self.key = key
        self._frames: list[Frame] = []
        self._link = Secured(place, source)
        answer = self._link.connect_server(server_id, key, feature)
        assert answer.result == pb.ConnectResponse.CONNECTED, answer
        self._link.sock.settimeout(None)
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._link.sock.shutdown(2)
        self._thread.join(10)
        self._link.close()

    def _read(self) -> None:
        with contextlib.suppress(OSError):
            while (frame := self._link.frame()) is not None:
                if frame.name == "PING":
                    self._link.send(encode("PONG", pb.Pong()))
                self._frames.append(frame)

    def say(self, name: str, *payloads: object) -> None:
        """Send messages of that name."""
        self._link.send(b"".join(encode(name, payload) for payload in payloads))  # type: ignore[arg-type]

    def payloads(self, name: str, count: int) -> list[Any]:
        """The payloads of that name that came, as soon as there are so many."""

        def found() -> list[Any] | None:
            came = [decode(each, REGISTRY[name]) for each in tuple(self._frames) if each.name == name]
            return came if len(came) >= count else None

        return wait_until(found, what=f"{count} {name} at {self.server_id}")

    def wait_message(self, text: str) -> pb.ChatMessage:
        """The message with that text, which the Parley sent here."""
        return wait_until(lambda: self._find(text), what=f"the message {text!r} at {self.server_id}")

    def _find(self, text: str) -> pb.ChatMessage | None:
        messages = (decode(each, pb.ChatMessage) for each in tuple(self._frames) if each.name == "MESSAGE")
        return next((each for each in messages if text in (each.textContent, each.document.filename)), None)

    def statuses(self) -> list[tuple[int, str]]:
        """The numbers of messages and their statuses that the Parley told."""
        acks = (decode(each, pb.ChatMessageResponse) for each in tuple(self._frames) if each.name == "MESSAGE_ACK")
        names = pb.ChatMessageResponse.DeliveryStatus.Status
        return [(ack.messageSnowflake, names.Name(each.status)) for ack in acks for each in ack.statuses]
