"""The archive, measured: `make bench-history`."""
