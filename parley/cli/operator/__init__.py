"""Commands for operators: serve, servers, status, mailbox."""
