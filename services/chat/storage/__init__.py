"""The mailbox and its file: SQLite, group commits, quotas, and back-pressure while the disk is behind."""
