"""One link between two programs, for clients and servers alike: session, timers, reading and writing."""
