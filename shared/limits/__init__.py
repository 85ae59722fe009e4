"""Bounds on the work, memory and time that one sender may cost, and turns that are shared fairly."""
