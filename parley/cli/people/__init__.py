"""Commands for people: chat, send, listen, servers, groups, typing, places."""
