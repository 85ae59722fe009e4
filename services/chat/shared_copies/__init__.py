"""Shared copies: a message to a group goes to another Parley once, for all members there. Pure.

Theory of operation. A message to a group is a copy for each member, and each copy has a life of its own
(message/life.py). Nearly all of them go out and are answered within milliseconds, and are alike. So towards a
server that announced SHARED_COPIES they are written together, in one MESSAGE with the members' names:

    at the group's server    one frame for up to MEMBERS of those at one server (frames.py)
    in flight                in a table of their own, without an envelope each (in_flight.py)
    answered                 DELIVERED of many members is read, and told to the author, at once
    at the members' server   a copy for each member, in its author's turn, as if each had come alone (incoming.py);
                             their statuses go back together (answers.py)

Only what the dispatcher would send at once goes out so: nothing waits there, and the window has room. On a status
other than DELIVERED, without an answer within `ack_timeout`, and for all in flight to a server whatever else
happens (a lost link, a message that has to wait), copies with envelopes are in flight in its place, in their order.
So nothing else has to know of shared copies: the mailbox, edits, retries and the operator see copies. The fast path
does the same for messages between two (delivery/fast_path.py).

A crash loses none that is unanswered for the persist delay: it is on disk in one row, and who opens the file next
makes a row of it for each member (storage/shared_rows.py). Programs that announced nothing get a copy each.
"""
