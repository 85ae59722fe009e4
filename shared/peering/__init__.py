"""Links kept alive: dialling, back-off, one link for each other server, and the tie-break between two.

    connector.py     keeps one link to one place: dials, waits until the link is over, backs off, dials again
    peering.py       one connector for each other server that may be dialled, and the one link that stands to it
    peer.py          one other server, as peering knows it
    refusals.py      when a server that is no Parley, and refuses, is dialled again
    source_ports.py  the ports of links with such servers, in a file; which of these servers were ever linked
    dead_links.py    a dead link that such a server keeps is cleared, by HANGUP from its own port
    tie_break.py     which of two links between the same two servers stays; pure, and the same at both ends
    dial_limits.py   how many places are dialled at once, and an address that never answered less and less often
    dialler.py       the side that dials one lasting link: clients, the registration, the link to chat

Both servers dial as soon as they know each other, and either link would do. So there may be two for a moment:

    both dial at once               the link that the server with the smaller serverId dialled stays, at both ends
    one link is half open           the other side dials again, since it has none: its new link replaces the old one
    another instance of the server  its link replaces the old one
    another server of the name      it is refused while the linked one answers (docs/decisions)

A server that is no Parley has a connector only once it has dialled us, or is listed: CONNECT_SERVER ends the loops
of some. A connector dials while its server is in the directory and no link stands. A link that ends starts it again
at once; each failure doubles the longest pause, and each pause is drawn at random below that (full jitter).
"""
