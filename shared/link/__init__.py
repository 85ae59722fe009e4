"""One link between two programs, for clients and servers alike: session, timers, reading and writing.

    transitions.py   the life of a link as a table: state × input → state, effect. Pure data
    session.py       the state machine that uses it: bytes in, events and frames out. No I/O, no clock
    link.py          the asyncio Protocol: connects, closes, sets timers, performs the effects
    io.py            its hot half: from a read to the owner, from sent frames to one write
    turn.py          the account of a loop: how much a link, and all of them, may cost in one turn
    backlog.py       bytes of a link that were read and wait for their turn

A read goes through io.py → framing → session → owner. Frames that the owner sends meanwhile are gathered, and go
out in one write at the end of the read.

In each turn of the loop a link has a slice: bytes read, bytes produced, time. What is more waits in the link's
backlog, the link is not read meanwhile, and `shared/limits/fairness.py` gives each backlog its slice in turn:
those that have little before those that have much. So one sender of 200,000 messages holds up nobody.

The compiled core has the hot half, too (shared/core/), with the same rules, and with bounds that it is given.
"""
