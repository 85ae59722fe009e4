"""The bytes: frames, the messages in them, their numbers, and large ones in pieces (protocol.md)."""
