"""Contacts: a client remembers the keys of those who write to it, and tells where one is another device."""
