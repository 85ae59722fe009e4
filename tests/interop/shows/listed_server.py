"""A linking server that was there before our node: it dials nobody any more, so the operator has to list it."""

from __future__ import annotations

from tests.interop import people
from tests.interop.kinds.linking_server import LinkingServers
from tests.interop.shows.show import Story

WITHIN = 5.0
"""Seconds in which a server that may be dialled would have been."""
LISTED = {"PARLEY_INTEROP__DIAL": LinkingServers.server_id}


def listed_server(story: Story) -> None:
    """A linking server that was there first is not dialled, until `interop.dial` lists it."""
    kind = LinkingServers(story.world)
    kind.start()
    kind.start_nodes()
    kind.connect_ours()
    story.holds("our node knows of it", kind.wait_known(kind.server_id))
    people.wait(kind.is_linked, WITHIN)
    frames = [str(each) for each in story.world.recorder.from_us() if each.transport == "tcp"]
    story.claim("our node opened no link to it", [], frames[:1])
    story.world.kill_node()
    story.world.start_node(**LISTED)
    kind.connect_ours()
    kind.settle()
    story.holds("once it is listed, they are linked", kind.is_linked())
    story.claim("… and a message to it is DELIVERED", "DELIVERED", kind.death() or kind.chat_from_us())
    story.claim("… and a message from it is DELIVERED", "DELIVERED", kind.death() or kind.chat_from_them())
