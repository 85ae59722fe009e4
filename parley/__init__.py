"""Parley: chat, typing indicators and live location for networks that nobody configured.

The public names of the client library, loaded on first use (PEP 562), so that `import parley` costs nothing:

    servers = await parley.DiscoveryService().discover_servers()
    await parley.ChatFeature("alice@alpha").handle_connection(servers)
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from parley.client.chat import ChatFeature as ChatFeature
    from parley.client.feature_base import FeatureBase as FeatureBase
    from parley.client.location import LocationFeature as LocationFeature
    from parley.client.outbox.deliveries import Delivery as Delivery
    from parley.client.outbox.requests import RequestFailed as RequestFailed
    from parley.client.typing import TypingFeature as TypingFeature
    from parley.shared.discovery.discovery import DiscoveryService as DiscoveryService

PUBLIC: Final = {
    "ChatFeature": "parley.client.chat",
    "Delivery": "parley.client.outbox.deliveries",
    "DiscoveryService": "parley.shared.discovery.discovery",
    "FeatureBase": "parley.client.feature_base",
    "LocationFeature": "parley.client.location",
    "RequestFailed": "parley.client.outbox.requests",
    "TypingFeature": "parley.client.typing",
}
"""Public name → the module that defines it."""


def __getattr__(name: str) -> object:
    if name not in PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(PUBLIC[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *PUBLIC})
