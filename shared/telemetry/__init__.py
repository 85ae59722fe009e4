"""Metrics, logs and health: what a process tells its operator."""
