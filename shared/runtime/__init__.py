"""What every event loop of ours uses: timers, supervised tasks, garbage collection, work in small steps."""
