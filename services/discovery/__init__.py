"""Discovery: finds servers, announces this node, keeps the directory, tells the node's other processes.

It owns the directory of servers and the registry of this node's processes. It never carries a message,
and established links outlive it.
"""

from parley.services.discovery.announcing.announcement_service import AnnouncementService
from parley.services.discovery.announcing.server_discovery import ServerDiscoveryService
from parley.services.discovery.service import DirectoryService

__all__ = ["AnnouncementService", "DirectoryService", "ServerDiscoveryService"]
