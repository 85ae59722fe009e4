"""The client's trust: a directory with this device's keys and the servers' pins, and all that proves a user."""
