"""A new device that asks to be let in: it shows a code, and an earlier device of the user's adds it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import ClassVar

from parley.client.feature_base import FeatureBase
from parley.client.trust.pairing import NewDevice, over, refused
from parley.shared.addresses import Server, User
from parley.shared.config import Config, host_name
from parley.shared.discovery.discovery import DiscoveryService
from parley.shared.errors import ConfigError
from parley.shared.link.events import Closed
from parley.shared.runtime.moments import running
from parley.shared.trust.pairing import PairingRefused
from parley.shared.wire.framing import Frame
from parley.shared.wire.messages import MESSAGES, decode, encode, pb


class DeviceLinking(FeatureBase):
    """One attempt to become a device of a user. `on_code` is given the code to show, once the server waits with us.

    `name`: of this device, for people; the host's where there is none.
    """

    feature: ClassVar[str] = MESSAGES
    home_only: ClassVar[bool] = True

    def __init__(
        self,
        user: str | User = "",
        config: Config | None = None,
        *,
        on_code: Callable[[str], object],
        name: str = "",
        discovery: DiscoveryService | None = None,
    ) -> None:
        super().__init__(user, config, discovery=discovery)
        self._on_code = on_code
        self._name = name or host_name()
        self._pairing: NewDevice | None = None
        self._added: asyncio.Future[None] | None = None

    async def run(self, server_list: Sequence[Server]) -> str:
        """Connect, show the code, and wait; the name of the device that added this one.

        Raises:
            PairingRefused: expired, tries, busy, ended.
            PeerError: as `handle_connection`.

        """
        key = self.device
        if key is None:
            raise ConfigError(f"this device can keep no key for {self.user}: set PARLEY_CLIENT__DATA_DIR")
        self._added = asyncio.get_running_loop().create_future()
        await self.handle_connection(server_list)
        self._pairing = NewDevice(self.user, key.public, self._name, running())
        self._on_code(self._pairing.code)
        try:
            async with asyncio.timeout(self._pairing.seconds_left(running())):
                await self._added
        except TimeoutError:
            raise refused(pb.Pair.EXPIRED) from None
        if self._pairing.earlier is None:  # the server says so, and no device of ours does
            raise refused(pb.Pair.NO_REASON)
        return self._pairing.earlier

    def connect_client(self) -> pb.ConnectClient:
        """Our CONNECT asks for nothing but the pairing."""
        hello = super().connect_client()
        hello.pairing = True
        return hello

    def handle_message(self, frame: Frame) -> bool:
        """A step of the pairing."""
        if frame.name != "PAIR":
            return False
        pair = decode(frame, pb.Pair)
        try:
            self._step(pair)
        except PairingRefused as error:
            self._say(over(error))
            if self._pairing is None or not self._pairing.seconds_left(running()):
                self._end(error)
        return True

    def _step(self, pair: pb.Pair) -> None:
        pairing = self._pairing
        if pair.step == pb.Pair.OVER:
            is_last = pairing is not None and not pairing.seconds_left(running())
            if is_last or pair.why in (pb.Pair.EXPIRED, pb.Pair.TRIES, pb.Pair.BUSY):
                self._end(refused(pb.Pair.TRIES if is_last else pair.why))
        elif pairing is None:
            self._say(pb.Pair(step=pb.Pair.OVER))
        elif pair.step == pb.Pair.ENTERS:
            self._say(pairing.entered(pair, running()))
        elif pair.step == pb.Pair.CONFIRMS:
            pairing.confirmed(pair)
        elif pair.step == pb.Pair.ADDED:
            self._end(None)

    def _say(self, pair: pb.Pair) -> None:
        if self.link is not None:
            self.link.send(encode("PAIR", pair))

    def _end(self, error: Exception | None) -> None:
        if self._added is None or self._added.done():
            return
        if error is None:
            self._added.set_result(None)
        else:
            self._added.set_exception(error)

    def link_lost(self, closed: Closed) -> None:
        """The code is worth nothing any more."""
        super().link_lost(closed)
        self._end(refused(pb.Pair.NO_REASON))
