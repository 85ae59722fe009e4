"""Read receipts: how far a message's reader has read is passed on to its author, where both want that."""
