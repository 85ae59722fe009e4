"""Typing: who is typing, told to this node's subscribers and to the other servers.

It owns the indicators, soft state that is gone `typing_expiry` after it was heard. It never stores anything,
never passes on what a server told it to a third one, and never speaks to other servers for a user
whose home is not this node.
"""

from parley.services.typing.service import TypingService

__all__ = ["TypingService"]
