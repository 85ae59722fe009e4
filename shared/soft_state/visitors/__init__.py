"""Visitors: users whose clients are attached at another server than their own, which passes their events on.

An existing client keeps the first server that offers a feature. So alice@alpha may be attached at beta, the
*visited server*; her *home* is alpha. Where both are Parleys, beta tells alpha which clients of alpha's users it
has, passes on each datagram that one of them sends, and sends to it what alpha gives. To alpha that client is a
subscriber like any other: who blocks whom, groups, stops, clocks, devices and lists are its home's business.

    alice's client  ── datagram ──▶  beta  ── FROM_VISITOR ──▶  alpha
                    ◀── datagram ──        ◀── TO_VISITORS ───

    here.py         at the visited server: whose clients are here, and over which link their home is reached
    elsewhere.py    at the home: our users' clients at other servers, bounded; what goes to them, gathered by link
    visits.py       both, at a process: the three names on the links between servers
"""
