"""Messages and requests until they are acknowledged, and those that were received already."""
