"""Chat, the feature MESSAGES: routes, keeps and acknowledges messages.

It owns where its users and the other servers are connected (roster) and what waits for whom (mailbox).
It never answers for a message that is neither delivered nor kept, and never looks into its content.
"""

from parley.services.chat.service import ChatService

__all__ = ["ChatService"]
