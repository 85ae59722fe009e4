"""A user's devices, as a connected client sees and changes them: the list, adding by a code, revoking.

All of it goes over an encrypted link to the user's own server and nowhere else, once: what was not answered when
the link is lost has failed.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable
from typing import Final, Protocol, TypeVar

from parley.client.outbox.questions import RequestFailed
from parley.client.trust.pairing import EarlierDevice, over, refused
from parley.shared.addresses import User
from parley.shared.link.link import Link
from parley.shared.names import spell
from parley.shared.trust.devices import Device, encode_device, read_device
from parley.shared.trust.keys import PrivateKey, fingerprint
from parley.shared.trust.pairing import PairingRefused
from parley.shared.wire.framing import Frame
from parley.shared.wire.messages import decode, encode, pb

_A = TypeVar("_A")
TIMEOUT: Final = 15.0
"""Seconds for which an answer is waited for."""
PATIENCE: Final = 30.0
"""The same of the other device, which is asked nothing but has to compute."""


class Owner(Protocol):
    """The feature that the devices are of."""

    user: User
    link: Link | None

    @property
    def device(self) -> PrivateKey | None:
        """This device's key."""


class Devices:
    """One user's. `waits(key)` hears of a new device that shows a code."""

    def __init__(self, owner: Owner, waits: Callable[[str], object]) -> None:
        self._owner = owner
        self._waits = waits
        self._pending: dict[int, asyncio.Future[pb.Devices]] = {}
        self._pairing: asyncio.Future[pb.Pair] | None = None

    async def all(self) -> list[Device]:
        """The devices that speak for the user."""
        return await self._change(pb.ChangeDevices(), "tell the devices")

    async def revoke(self, key: bytes) -> list[Device]:
        """Have a device speak for the user no more; the devices that are left."""
        return await self._change(pb.ChangeDevices(revoke=key), "revoke that device")

    async def add(self, code: str, name: str) -> Device:
        """Add the device that shows this code; `name` is this device's, for people there.

        Raises:
            PairingRefused: no device shows a code, or another one; it expired; or somebody is between.
            RequestFailed: the server does not offer it, or gave no answer.

        """
        link, key = self._secure_link()
        user = User(
            self._owner.user.user_id, link.identity.server_id
        )  # as the server spells itself: that is signed
        earlier = EarlierDevice(user, key, name, code)
        if self._pairing is not None:
            raise refused(pb.Pair.BUSY)
        try:
            answer = await self._exchange(link, earlier.enters())
            step, entry = self._answered(link, earlier, answer)
            link.send(encode("PAIR", step))
            await self._change(pb.ChangeDevices(add=encode_device(entry)), "add that device")
        finally:
            self._pairing = None
        return entry

    def _answered(self, link: Link, earlier: EarlierDevice, answer: pb.Pair) -> tuple[pb.Pair, Device]:
        try:
            return earlier.answered(answer, time.time())
        except PairingRefused as error:
            link.send(encode("PAIR", over(error)))
            raise

    async def _exchange(self, link: Link, step: pb.Pair) -> pb.Pair:
        """Say a step, and wait for the other device's answer."""
        self._pairing = asyncio.get_running_loop().create_future()
        link.send(encode("PAIR", step))
        try:
            async with asyncio.timeout(PATIENCE):
                answer = await self._pairing
        except TimeoutError:
            raise self._unanswered(PATIENCE) from None
        if answer.step != pb.Pair.ANSWERS:
            raise refused(answer.why)
        return answer

    async def _change(self, request: pb.ChangeDevices, what: str) -> list[Device]:
        link, _ = self._secure_link()
        request.request = secrets.randbits(48)
        future: asyncio.Future[pb.Devices] = asyncio.get_running_loop().create_future()
        self._pending[request.request] = future
        link.send(encode("CHANGE_DEVICES", request))
        try:
            async with asyncio.timeout(TIMEOUT):
                answer = await future
        except TimeoutError:
            raise self._unanswered(TIMEOUT) from None
        finally:
            del self._pending[request.request]
        if not answer.ok:
            raise RequestFailed("refused", f"{self._home} could not {what}, and nothing has changed")
        return [device for each in answer.list.devices if (device := read_device(each)) is not None]

    def _secure_link(self) -> tuple[Link, PrivateKey]:
        """The link that knows our device. RequestFailed where there is none."""
        link, key = self._owner.link, self._owner.device
        if link is None:
            raise RequestFailed("unsupported", f"there is no connection to {self._home} now; try again")
        if key is None or not link.assurance.is_encrypted:
            raise RequestFailed("unsupported", f"{self._home} knows no devices: it has no keys")
        return link, key

    @property
    def _home(self) -> str:
        return spell(self._owner.user.server_id)

    def _unanswered(self, seconds: float) -> RequestFailed:
        return RequestFailed("timeout", f"{self._home} gave no answer within {seconds:g} s; try again")

    # What comes ------------------------------------------------------------------------------------------

    def handle(self, frame: Frame) -> bool:
        """Handle a message about devices; False where it is none."""
        if frame.name == "DEVICES":
            answer = decode(frame, pb.Devices)
            _tell(self._pending.get(answer.request), answer)
        elif frame.name == "PAIR":
            self._paired(decode(frame, pb.Pair))
        else:
            return frame.name == "DEVICE_LIST"
        return True

    def _paired(self, pair: pb.Pair) -> None:
        if pair.step == pb.Pair.WAITS:
            self._waits(fingerprint(pair.key))
        elif pair.step in (pb.Pair.ANSWERS, pb.Pair.OVER):
            _tell(self._pairing, pair)

    def link_lost(self) -> None:
        """Nothing of this is asked a second time."""
        look = f"`parley device list --as {self._owner.user}`"
        error = f"the connection to {self._home} was lost; look at {look}, and try again"
        for future in (*self._pending.values(), self._pairing):
            if future is not None and not future.done():
                future.set_exception(RequestFailed("timeout", error))

    def unsupported(self) -> None:
        """The server knows none of this."""
        for future in (*self._pending.values(), self._pairing):
            if future is not None and not future.done():
                future.set_exception(RequestFailed("unsupported", f"{self._home} knows no devices"))


def _tell(future: asyncio.Future[_A] | None, answer: _A) -> None:
    if future is not None and not future.done():
        future.set_result(answer)
