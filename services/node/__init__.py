"""A whole node on one machine, `parley serve`: supervisor, forking, and the watcher that tells people."""
