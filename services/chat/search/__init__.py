"""The search for people who are connected: here, and at the other Parleys that are linked."""
