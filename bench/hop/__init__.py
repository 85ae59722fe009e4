"""One federated hop, measured at Parley, at its peers and at the limit: `python -m bench.hop`.

A at server 1 sends 100-byte messages to B at server 2. What is measured, of whom and how is in __main__.py; a guard
may measure some systems by itself:

    from bench.hop.measure import Plan, rounds
    results = rounds(["parley", "uvloop-relay"], Plan(messages=5_000), count=3)
"""
