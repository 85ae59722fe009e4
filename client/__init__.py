"""The client: discover, then connect each feature to the server that offers it.

server_list = await DiscoveryService().discover_servers()
await ChatFeature("alice@alpha").handle_connection(server_list)
"""

from client.chat import ChatFeature
from client.deliveries import Delivery
from client.feature_base import FeatureBase
from client.location import LocationFeature
from client.requests import RequestFailed
from client.typing import TypingFeature
from shared.discovery import DiscoveryService

__all__ = [
    "ChatFeature",
    "Delivery",
    "DiscoveryService",
    "FeatureBase",
    "LocationFeature",
    "RequestFailed",
    "TypingFeature",
]
