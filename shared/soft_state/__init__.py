"""State that is told again until it is over, and never stored: the common part of typing and location."""
