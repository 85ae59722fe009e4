"""The operator's view of a chat process, and commands to it."""
