"""Location: who is where, told to whom its author addressed it and to nobody else.

It owns the positions, soft state that is gone at the `expiry_at` its author set. It never stores
anything, never logs a coordinate, never passes on what a server told it to a third one, and never speaks to
other servers for an author whose home is not this node.
"""

from parley.services.location.service import LocationService

__all__ = ["LocationService"]
