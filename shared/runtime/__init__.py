"""Tools of every event loop: timers, supervised tasks, garbage collection, work in small steps."""
