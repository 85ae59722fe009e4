"""Parley: chat, typing indicators and live location for networks that nobody configured.

The public names, loaded on first use (PEP 562), so that `import parley` costs nothing:

    async with parley.connect("bot@alpha") as me:
        async for message in me.messages():
            await message.reply("hello")

Those of a client need nothing else; those of a node need the extra [node]. docs/library.md tells of both.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from parley.client.chat import ChatFeature as ChatFeature
    from parley.client.connect import connect as connect
    from parley.client.contacts.continuity import KeyChange as KeyChange
    from parley.client.feature_base import FeatureBase as FeatureBase
    from parley.client.inbox.message import Message as Message
    from parley.client.inbox.readers import Messages as Messages
    from parley.client.location import LocationFeature as LocationFeature
    from parley.client.outbox.deliveries import Delivery as Delivery
    from parley.client.outbox.edits import NotEditable as NotEditable
    from parley.client.outbox.questions import RequestFailed as RequestFailed
    from parley.client.outbox.searches import FoundUsers as FoundUsers
    from parley.client.trust.refusals import NotPinned as NotPinned
    from parley.client.trust.refusals import ServerKeyChanged as ServerKeyChanged
    from parley.client.trust.refusals import ServerUnproven as ServerUnproven
    from parley.client.trust.refusals import TrustError as TrustError
    from parley.client.trust.refusals import UserRefused as UserRefused
    from parley.client.typing import TypingFeature as TypingFeature
    from parley.services.chat.service import ChatService as ChatService
    from parley.services.discovery.announcing.announcement_service import AnnouncementService as AnnouncementService
    from parley.services.discovery.announcing.server_discovery import (
        ServerDiscoveryService as ServerDiscoveryService,
    )
    from parley.services.location.service import LocationService as LocationService
    from parley.services.typing.service import TypingService as TypingService
    from parley.shared.addresses import Group as Group
    from parley.shared.addresses import Server as Server
    from parley.shared.addresses import User as User
    from parley.shared.config import Config as Config
    from parley.shared.discovery.discovery import DiscoveryService as DiscoveryService
    from parley.shared.errors import ConfigError as ConfigError
    from parley.shared.errors import FrameTooLarge as FrameTooLarge
    from parley.shared.errors import HandshakeTimeout as HandshakeTimeout
    from parley.shared.errors import ParleyError as ParleyError
    from parley.shared.errors import PeerError as PeerError
    from parley.shared.errors import PeerRefused as PeerRefused
    from parley.shared.errors import PeerUnreachable as PeerUnreachable
    from parley.shared.errors import ServerNotFound as ServerNotFound
    from parley.shared.wire.messenger_pb2 import ChatMessage as ChatMessage

PUBLIC: Final = {
    "AnnouncementService": "parley.services.discovery.announcing.announcement_service",
    "ChatFeature": "parley.client.chat",
    "ChatMessage": "parley.shared.wire.messenger_pb2",
    "ChatService": "parley.services.chat.service",
    "Config": "parley.shared.config",
    "ConfigError": "parley.shared.errors",
    "Delivery": "parley.client.outbox.deliveries",
    "DiscoveryService": "parley.shared.discovery.discovery",
    "FeatureBase": "parley.client.feature_base",
    "FoundUsers": "parley.client.outbox.searches",
    "FrameTooLarge": "parley.shared.errors",
    "Group": "parley.shared.addresses",
    "HandshakeTimeout": "parley.shared.errors",
    "KeyChange": "parley.client.contacts.continuity",
    "LocationFeature": "parley.client.location",
    "LocationService": "parley.services.location.service",
    "Message": "parley.client.inbox.message",
    "Messages": "parley.client.inbox.readers",
    "NotEditable": "parley.client.outbox.edits",
    "NotPinned": "parley.client.trust.refusals",
    "ParleyError": "parley.shared.errors",
    "PeerError": "parley.shared.errors",
    "PeerRefused": "parley.shared.errors",
    "PeerUnreachable": "parley.shared.errors",
    "RequestFailed": "parley.client.outbox.requests",
    "Server": "parley.shared.addresses",
    "ServerDiscoveryService": "parley.services.discovery.announcing.server_discovery",
    "ServerKeyChanged": "parley.client.trust.refusals",
    "ServerNotFound": "parley.shared.errors",
    "ServerUnproven": "parley.client.trust.refusals",
    "TrustError": "parley.client.trust.refusals",
    "TypingFeature": "parley.client.typing",
    "TypingService": "parley.services.typing.service",
    "User": "parley.shared.addresses",
    "UserRefused": "parley.client.trust.refusals",
    "connect": "parley.client.connect",
}
"""Public name → the module that defines it."""


def __getattr__(name: str) -> object:
    if name not in PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        value = getattr(importlib.import_module(PUBLIC[name]), name)
    except ModuleNotFoundError as error:
        from parley.shared.extras import needed_extra  # noqa: PLC0415 - `import parley` loads nothing

        if needed := needed_extra(error):
            raise ImportError(f"parley.{name} is for programs that are a server: {needed}") from error
        raise
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *PUBLIC})
