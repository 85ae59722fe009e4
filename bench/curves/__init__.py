"""What grows with what: each figure measured at several sizes, so that its growth can be seen.

`python -m bench.curves [CURVE …]` measures, `python -m bench.curves.plot` draws docs/performance.md's plots and
tables from what was measured. One module per curve; `curve.py` says what one is.
"""
