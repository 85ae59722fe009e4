"""A program of somebody else's that speaks Parley's TLS, frame by frame: for tests of what it may not do."""

from __future__ import annotations

import hashlib
import socket
import ssl
from typing import Self

from parley.shared.addresses import User
from parley.shared.trust.keys import PrivateKey
from parley.shared.trust.proofs import CLIENT, SERVER, Channel, Dialler, prove, read_hello
from parley.shared.wire.capabilities import OURS, SHARED_COPIES
from parley.shared.wire.framing import Frame, FrameReader
from parley.shared.wire.messages import decode, encode, pb

PATIENCE = 10.0
"""Seconds for one answer."""


class Secured:
    """One TLS connection to a Parley; what comes is read when it is asked for."""

    def __init__(self, place: tuple[str, int], source: str = "", *, hello: bool = True) -> None:
        """Shake hands, and read HELLO. OSError where the other side does not."""
        raw = socket.create_connection(place, PATIENCE, (source, 0) if source else None)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        context.set_alpn_protocols(["parley/1"])
        try:
            self.sock = context.wrap_socket(raw)
        except BaseException:
            raw.close()
            raise
        self._reader = FrameReader(1 << 24)
        self._frames: list[Frame] = []
        certificate = hashlib.sha256(self.sock.getpeercert(binary_form=True) or b"").digest()
        self.channel: Channel | None = None
        if hello:
            said = decode(self.expect("HELLO"), pb.Hello)
            self.channel = read_hello(said, certificate)
            assert self.channel is not None, "its HELLO proves nothing"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End it without a word."""
        self.sock.close()

    def send(self, raw: bytes) -> None:
        """Frames as they are."""
        self.sock.sendall(raw)

    def frame(self) -> Frame | None:
        """The next frame; None: the connection is over."""
        while not self._frames:
            try:
                data = self.sock.recv(65536)
            except ConnectionError:
                return None
            if not data:
                return None
            self._frames += self._reader.feed(data)
        return self._frames.pop(0)

    def expect(self, name: str) -> Frame:
        """The next frame of that name; others are passed over. AssertionError at the end of the connection."""
        seen = []
        while (frame := self.frame()) is not None:
            if frame.name == name:
                return frame
            seen.append(frame.name)
        raise AssertionError(f"no {name}, but {seen} and the end")

    def connect_client(
        self, user: str, key: PrivateKey | None, feature: str = "MESSAGES", **fields: object
    ) -> pb.ConnectResponse:
        """CONNECT_CLIENT with a proof of that key, and what became of it."""
        message = pb.ConnectClient(user=User.parse(user).to_pb(), **fields)  # type: ignore[arg-type]
        message.terms.capabilities = OURS & ~SHARED_COPIES  # it is older
        if key is not None:
            message.identity.CopyFrom(self.proof(key, Dialler(CLIENT, feature, user, "")))
        self.send(encode("CONNECT_CLIENT", message))
        return decode(self.expect("CONNECTED"), pb.ConnectResponse)

    def connect_server(
        self, server_id: str, key: PrivateKey | None, feature: str = "MESSAGES", instance: str = "0" * 16
    ) -> pb.ConnectResponse:
        """CONNECT_SERVER with a proof of that key, and what became of it."""
        message = pb.ConnectServer(serverId=server_id, features=[feature], instanceId=instance)
        message.terms.capabilities = OURS & ~SHARED_COPIES  # it is older
        if key is not None:
            message.identity.CopyFrom(self.proof(key, Dialler(SERVER, feature, server_id, instance)))
        self.send(encode("CONNECT_SERVER", message))
        return decode(self.expect("CONNECTED"), pb.ConnectResponse)

    def proof(self, key: PrivateKey, dialler: Dialler) -> pb.KeyProof:
        """Of this connection."""
        assert self.channel is not None
        return prove(key, self.channel, dialler)
