"""Gateways: messages to the users of an existing server that confirms nothing, and their true statuses.

Theory of operation. Some existing servers link with others, and their users' clients acknowledge what comes. But
such an acknowledgement goes to a client's link of the author whom the server noted last under the message's number;
where that author has none there, the server's chat ends, for everybody. So we keep a *gateway* there, a client's
link under a user's name of ours. Behind each MESSAGE goes its *claim*, in the same write: a second MESSAGE of the
same number, from the gateway's user to somebody who does not exist. Then the acknowledgement comes to the gateway.

Such a server recognises no message that comes again, and drops what is for a user who is not connected. So each of
its users is a *destination* of their own, as a user of ours is, with a queue in the mailbox; the server is none:

    believed there   the roster has a link to the user (remote_link.py), and one message at a time goes over it
    away             nothing was acknowledged in time: all waits here, and the author is told USER_AWAY
    tried            at growing intervals the first message goes out alone, and all follow once it is acknowledged

One at a time, because what is dropped in the middle of more would come after what was sent later, and because as
much as was on its way comes twice where a link is lost.

    presence.py        who is believed there, and when somebody is tried: a table, and times
    remote_server.py   one such server: what goes to its users, what is acknowledged, what is kept
    remote_users.py    all of them, and which of their users are remembered
    remote_link.py     the way to one user: a message and its claim in one write
    answers.py         what a MESSAGE_ACK of such a server means
    moved_mail.py      what waited for a server moves to its users' queues, or back
    gateway_link.py    the gateway itself, a link that we dial; names.py has its user's name
    gateway_links.py   the gateways of a process
"""
