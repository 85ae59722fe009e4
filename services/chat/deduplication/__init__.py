"""Messages that came before, recognised in memory and on disk."""
