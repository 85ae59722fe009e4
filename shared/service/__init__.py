"""The frame of every process of a node: its start, its base class, its registration, its data directory."""
