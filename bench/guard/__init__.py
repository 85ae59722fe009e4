"""The regression guard: `make bench-guard` (__main__.py)."""
