"""Commands for operators: serve, status, mailbox."""
