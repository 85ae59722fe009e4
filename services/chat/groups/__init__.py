"""Groups and blocks of this server, requests about them, and the copies that a group message becomes."""
