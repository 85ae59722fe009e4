"""Commands for people: chat, send, listen, groups, typing, places."""
