"""State that is told again until it is over, and never stored: the common part of typing and location.

The newest entry of an author for a recipient wins; nothing is acknowledged between servers and subscribers, and
nothing is on disk. Each entry ends by itself: its age, as its receiver's clock sees it, has a limit.

    an event comes in       datagram_service.py: from a subscriber's address and port, and for that subscriber
    is it new, how old      lifetimes.py, clock_offsets.py: the receiver's clock alone counts; ages travel
    whom is it for          everyone, a user, or a group (group_members.py, group_entries.py: one for each member)
    who must not see it     block_lists.py
    told to subscribers     datagram_lists.py: changes are gathered for `fanout_interval`, sent in few datagrams,
                            and told again every 0.25 s for 1.7 s, so that one of seven datagrams is enough
    told to other servers   by TCP, once, and sooner, for our own users only
    asks the node's chat    node_chat.py: members, blocks; and a stream's first position as a message
"""
