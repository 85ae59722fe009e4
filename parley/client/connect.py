"""`parley.connect`: a user's chat from the search for its server to HANGUP, for programs that read in a loop."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

from parley.client.chat import ChatFeature
from parley.shared.addresses import User
from parley.shared.config import Config, load
from parley.shared.discovery.discovery import DiscoveryService

WINDOW: Final = 64
"""Messages that a program has, or that wait for it, unacknowledged: the others wait at the server."""


@asynccontextmanager
async def connect(
    user: str | User = "", config: Config | None = None, *, servers: Sequence[str] = ()
) -> AsyncIterator[ChatFeature]:
    """Find a user's server, connect to it, and stay connected until the end of the block, which hangs up.

        async with parley.connect("bot@alpha") as me:
            async for message in me.messages():
                await message.reply("hello")

    `user`: USER@SERVER, or the configured one. `servers`: HOST[:PORT] to ask besides.
    A link that is lost is no error: it is dialled again, and `me.messages()` waits; `me.is_connected` tells.

    Raises:
        ConfigError: a name, an address or the configuration cannot be used.
        ServerNotFound: no server of that name answered; a PeerUnreachable, as the next is.
        PeerRefused: it is there, and refused without saying why.
        PeerUnreachable: it does not accept connections, or was lost in the handshake.
        HandshakeTimeout: it accepted a connection, and said nothing.
        UserRefused: it does not let this device in; `refusal` says why: `new_device`, `revoked`, …
        ServerKeyChanged: it has another key than before, and may be somebody else.
        ServerUnproven: it is known by its key, and answers without it.
        NotPinned: it is too new to this device for a password; these four are TrustErrors.

    """
    config = config or load()
    me = ChatFeature(user, config, window=WINDOW, discovery=DiscoveryService(config, servers=servers))
    try:
        await me.handle_connection(await me.find_servers())
        yield me
    finally:
        await me.close()
