"""The joiner's side of an invitation: look for a signer of the federation, check it, and only then say the secret.

TLS, HELLO    the signer proves its key, and that the authority which the token names let it sign
──▶ JOIN_FEDERATION    our name and key with their proof, and the secret; or a spoken code's exchange
◀── FEDERATION_ANSWER  the list with us in it, or why not
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from parley.shared.errors import ParleyError, PeerUnproven, PeerUnreachable
from parley.shared.trust.certificates import MOST, digest_of
from parley.shared.trust.federation.changes import FederationRefused
from parley.shared.trust.federation.membership import FEATURE, is_inviter, purpose_of
from parley.shared.trust.federation.signed_list import BYTES, SignedList
from parley.shared.trust.federation.tokens import Token
from parley.shared.trust.keys import PrivateKey
from parley.shared.trust.pairing import Answer, Entry, Party
from parley.shared.trust.proofs import SERVER, Channel, Dialler, prove, read_hello
from parley.shared.trust_storage.tls_contexts import client_context
from parley.shared.wire.framing import Frame, FrameReader
from parley.shared.wire.messages import decode, encode, pb

PATIENCE: Final = 10.0
"""Seconds for each answer."""
REFUSALS: Final = {
    "malformed": "the inviting server could not read the request",
    "foreign": "that server is in another federation",
    "unknown": "that server knows no such invitation, or it expired long ago",
    "used": "that invitation was used already: ask for another one",
    "expired": "that invitation has expired: ask for another one",
    "tries": "too many wrong codes were tried: ask for another one",
    "wrong_code": "the code is another one",
    "revoked": "this server's key was revoked there, and never returns",
    "taken": "another server of this name, or this key under another name, is in the federation already",
    "full": "the federation has no room",
    "busy": "that server is busy: try again",
}
"""Refusal → words for people."""


@dataclass(frozen=True, slots=True)
class Joiner:
    """This node."""

    server_id: str
    identity: PrivateKey

    def request(self, channel: Channel, federation: bytes) -> pb.JoinFederation:
        """Our name and key, with the proof for that connection."""
        proof = prove(self.identity, channel, Dialler(SERVER, FEATURE, self.server_id, ""))
        return pb.JoinFederation(federation=federation, serverId=self.server_id, identity=proof)


class _Conversation:
    """One TLS connection with a server whose HELLO holds."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._frames = FrameReader(2 * BYTES)
        self._unread: list[Frame] = []
        self.hello = pb.Hello()
        self.channel: Channel

    async def greet(self) -> None:
        """Await HELLO. PeerUnproven: it does not hold."""
        certificate = self._writer.get_extra_info("ssl_object").getpeercert(binary_form=True) or b""
        self.hello = decode(await self._await("HELLO"), pb.Hello)
        channel = read_hello(self.hello, digest_of(certificate)) if len(certificate) <= MOST else None
        if channel is None:
            raise PeerUnproven("its HELLO does not hold for this connection: somebody is in between")
        self.channel = channel

    async def ask(self, request: pb.JoinFederation) -> pb.FederationAnswer:
        """Send, and await the answer. FederationRefused: why not."""
        self._writer.write(encode("JOIN_FEDERATION", request))
        answer = decode(await self._await("FEDERATION_ANSWER"), pb.FederationAnswer)
        if answer.refusal:
            reason = answer.refusal if answer.refusal in REFUSALS else "malformed"
            raise FederationRefused(reason, REFUSALS[reason])
        return answer

    async def _await(self, name: str) -> Frame:
        """The next frame of that name; others are no part of this."""
        async with asyncio.timeout(PATIENCE):
            while True:
                while self._unread:
                    frame = self._unread.pop(0)
                    if frame.name == name:
                        return frame
                    if frame.name in {"UNSUPPORTED_MESSAGE", "HANGUP"}:
                        raise PeerUnreachable("it takes nobody into a federation")
                data = await self._reader.read(65536)
                if not data:
                    raise PeerUnreachable("it closed the connection")
                self._unread += self._frames.feed(data)
                if self._frames.error is not None:
                    raise self._frames.error


@asynccontextmanager
async def _conversation(host: str, port: int) -> AsyncIterator[_Conversation]:
    """A TLS connection to there, greeted. PeerUnreachable, PeerUnproven."""
    try:
        async with asyncio.timeout(PATIENCE):
            reader, writer = await asyncio.open_connection(host, port, ssl=client_context(), server_hostname="")
    except (OSError, TimeoutError) as error:
        raise PeerUnreachable(f"nothing answers with TLS at {host}:{port}") from error
    try:
        found = _Conversation(reader, writer)
        await found.greet()
        yield found
    except TimeoutError:
        raise PeerUnreachable(f"no answer from {host}:{port}") from None
    except OSError as error:
        raise PeerUnreachable(f"the connection to {host}:{port} broke") from error
    finally:
        writer.transport.abort()


async def join_by_token(addresses: Sequence[tuple[str, int]], token: Token, me: Joiner) -> SignedList:
    """Ask each place until one is a signer of the token's federation; the list with us. FederationRefused."""

    async def ask(there: _Conversation) -> SignedList | None:
        if not is_inviter(there.hello.membership, token.federation, there.channel.key):
            return None
        request = me.request(there.channel, token.federation)
        request.secret = token.secret
        return SignedList.of((await there.ask(request)).list)

    return await _first(addresses, ask, "no signer of that federation")


async def join_by_code(addresses: Sequence[tuple[str, int]], code: str, me: Joiner) -> tuple[SignedList, bytes]:
    """Ask the signers among those addresses with a spoken code; the list with us, and which federation it is."""
    federation = b""

    async def ask(there: _Conversation) -> SignedList | None:
        nonlocal federation
        shown = there.hello.membership
        if not is_inviter(shown, shown.federation, there.channel.key):
            return None
        entry = Entry(purpose_of(shown.federation), Party(me.server_id, me.identity.public), code)
        request = me.request(there.channel, shown.federation)
        request.element = entry.element
        answer = await there.ask(request)
        party = Party(there.channel.server_id, there.channel.key)
        confirmation, _ = entry.confirm(party, Answer(answer.element, answer.confirmation))
        found = await there.ask(pb.JoinFederation(confirmation=confirmation))
        federation = shown.federation
        return SignedList.of(found.list)

    return await _first(addresses, ask, "no server that shows a code"), federation


async def _first(
    addresses: Sequence[tuple[str, int]],
    ask: Callable[[_Conversation], Awaitable[SignedList | None]],
    nobody: str,
) -> SignedList:
    """The list of the first place that has one; else the best reason why not."""
    why: ParleyError = PeerUnreachable(f"{nobody} answers at any of {len(addresses)} addresses")
    for host, port in addresses:
        try:
            async with _conversation(host, port) as there:
                found = await ask(there)
                if found is not None:
                    return found
        except FederationRefused as error:
            if error.reason != "unknown":
                raise
            why = error
        except ParleyError as error:
            why = error if isinstance(why, PeerUnreachable) else why
    raise why
