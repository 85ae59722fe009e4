"""Positions from a point, a file, a pipe or gpsd."""
