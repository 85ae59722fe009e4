"""Links kept alive: dialling, back-off, one link for each other server, and the tie-break between two."""
