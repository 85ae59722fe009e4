"""State that is told again until it is over, and never stored: the common part of typing and location.

The newest entry of an author for an audience wins; nothing is acknowledged between servers and subscribers, and
nothing is on disk. Each entry ends by itself: its age, as its receiver's clock sees it, has a limit.

    an event comes in       datagram_service.py: from a subscriber's address and port, and for that subscriber
    is it new, when is it   soft_state.py: the table of services and clients alike; lifetimes.py, clock_offsets.py:
    over                    the receiver's clock alone counts; ages travel
    is there room, what     served_state.py: bounds, numbered changes, copies for the members of groups
    changed
    whom is it for          everyone, a user, or a group (group_members.py, group_fan_out.py: one each)
    who must not see it     block_lists.py
    told to subscribers     soft_state_service.py, datagram_lists.py: changes are gathered for `fanout_interval`,
                            and told again every 0.25 s for 1.7 s, so that one datagram of seven is enough
    told elsewhere          visitors/: a client attached at another server than its user's, by its home
    told to other servers   by TCP, once, and sooner, for our own users only
    asks the node's chat    node_chat.py: members, blocks; and a stream's first position as a message
"""
