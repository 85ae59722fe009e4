"""The chat process's part in its node's federation: it lets servers join, and passes the list on among members."""
