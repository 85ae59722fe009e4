"""Dialects: existing programs speak the fixed protocol each in their own way, and some end where ours differs.

Each kind of program is a row of data (dialect.py). Which kind is at the other end of a link is found out from what
it says (recognition.py); frames for it are written as it takes them (rewriting.py). Routers, links and services ask
the dialect, and know no program. The kinds, and what each does, are in docs/protocol.md.

    what                          asked by
    may it be dialled             shared/peering/, before it is
    how are frames written        shared/link/: rewritten, and for some one at a time
    does it confirm messages      services/chat/
    what does its 1 mean          services/chat/, of the statuses that it writes
"""
