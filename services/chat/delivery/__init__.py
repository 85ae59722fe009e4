"""The way out to one destination: order, window, lanes, retries, the persist timer, and the fast path.

A destination is a user of this server, or another server. A message for it is in one of four places:

    place      module                   the message is there while
    lane       lanes.py, paths.py       something of its pair (author, recipient) is large, or was lost
    mailbox    storage/                 something waits before it, the window is full, or nobody is linked
    in flight  message/in_flight.py     it was written to the destination's links and is not answered
    fast path  shared/core/             the same, of the messages that the compiled core handles

*Order and window* (dispatcher.py). A message is sent at once only where nothing waits before it. Else it goes to
the mailbox, and `pump` takes messages from there, in order, while the window has room. An answer, a new link and a
link that has room again call `pump`.

*Persist timer* (persist_timer.py). A message in flight is in memory only, until it has been unanswered for the
persist delay. Then it is written to disk. A destination that answers just now is given ten times as long.

*Retries* (retries.py). A message that is unanswered after `ack_timeout` waits: its author is told an interim
status once it is on disk, and it is written to the same links again, later each time.

*A lost link*. Its unanswered messages go back to the head of the mailbox's queue, in order. Those that may not
have passed because they are large go to a lane, behind all others.
"""
