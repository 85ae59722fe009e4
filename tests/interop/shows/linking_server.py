"""A linking server of code base 1: messages both ways, true statuses, and both killed in turn."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable

from tests.interop import people
from tests.interop.kinds.linking_server import MOST_REFUSED, LinkingServers
from tests.interop.shows.show import Story
from tests.interop.world import ANN
from tests.support.nodes import SERVICES
from tests.support.plain_client import PlainClient

KEPT = 30.0
"""Seconds until a message that is kept for somebody there is delivered, once they have come."""
LATE = 15.0
"""Seconds for the last of many to be acknowledged."""
GATEWAY = "parley-gw"


def linking_server(story: Story) -> None:
    """100 messages each way, one a second, arrive once and are DELIVERED.

    One for somebody who is not connected there is USER_AWAY, and DELIVERED once they come. Then it and our node are
    killed in turn, twice: each time they are linked within 10 s, with two refused dials at most, and messages are
    DELIVERED. In the end it lives. Our gateway there appears in no list of ours.
    """
    kind = LinkingServers(story.world)
    kind.start_nodes()
    kind.connect_ours()
    kind.start()
    kind.settle()
    story.holds("our node and it are linked", kind.is_linked())
    _many(story, kind)
    _away(story, kind)
    _lists(story, kind)
    for number in range(1, story.form.kills + 1):
        _killed(story, kind, f"it was killed, time {number}", _kill_it)
        _killed(story, kind, f"our node was killed, time {number}", _kill_ours)
    story.claim("it is alive, and its users write to each other", "DELIVERED", _alive(kind))


def _alive(kind: LinkingServers) -> str:
    return kind.death() or kind.chat_among_them()


def _many(story: Story, kind: LinkingServers) -> None:
    """So many messages each way, one after another."""
    count = story.form.messages
    bob, eve = kind.bob, kind.eve
    ours, theirs = [], []
    began = time.monotonic()
    for number in range(count):
        ours.append(people.write(bob, eve.user, f"to them {number}"))
        theirs.append(people.write(eve, bob.user, f"to us {number}"))
        people.wait(kind.death, began + (number + 1) * story.form.every - time.monotonic())
        if kind.death():
            break
    people.wait(lambda: all(people.statuses(bob, each) for each in ours), LATE, kind.death)
    people.wait(lambda: all(people.statuses(eve, each) for each in theirs), LATE, kind.death)
    _came(story, f"{count} messages to it came in order, each once", eve, [f"to them {n}" for n in range(count)])
    _came(story, f"{count} messages from it came in order, each once", bob, [f"to us {n}" for n in range(count)])
    wanted = {"DELIVERED": count}
    story.claim("… and all of ours were DELIVERED", wanted, _counted(bob, ours))
    story.claim("… and all of theirs were DELIVERED", wanted, _counted(eve, theirs))
    story.claim("it is alive after them, and its users write to each other", "DELIVERED", _alive(kind))


def _came(story: Story, what: str, to: PlainClient, wanted: list[str]) -> None:
    came = [text for text in people.texts(to) if text in set(wanted)]
    story.holds(what, came == wanted, f"{len(came)} came, {len(set(came))} different ones")


def _counted(author: PlainClient, numbers: list[int]) -> dict[str, int]:
    return dict(Counter((people.statuses(author, each) or ["no status"])[-1] for each in numbers))


def _away(story: Story, kind: LinkingServers) -> None:
    """A message to somebody who is not connected there is kept here."""
    if kind.death():
        story.claim("a message to who is not connected there waits here", "", kind.death())
        return
    ann = kind.ann
    ann.close()
    number = people.write(kind.bob, ann.user, "for later")
    people.wait(lambda: people.statuses(kind.bob, number), LATE, kind.death)
    story.claim(
        "a message to who is not connected there is USER_AWAY", ["USER_AWAY"], people.statuses(kind.bob, number)
    )
    kind.ann = kind.person("ann", ANN)
    people.wait(lambda: "DELIVERED" in people.statuses(kind.bob, number), KEPT, kind.death)
    story.claim(
        "… and DELIVERED once they have come", ["USER_AWAY", "DELIVERED"], people.statuses(kind.bob, number)
    )
    story.holds("… which is so", "for later" in people.texts(kind.ann), people.texts(kind.ann))


def _lists(story: Story, kind: LinkingServers) -> None:
    """The gateway's user appears in no list of ours."""
    pages = [(service, page) for service in SERVICES for page in ("/status", "/metrics")]
    having = [each for each in pages if GATEWAY.encode() in kind.node.get(*each)[1]]
    story.claim("our gateway there appears in no list of ours", [], having)


def _kill_it(kind: LinkingServers) -> None:
    kind.kill()
    kind.start()


def _kill_ours(kind: LinkingServers) -> None:
    kind.world.kill_node()
    kind.world.start_node()
    kind.connect_ours()


def _killed(story: Story, kind: LinkingServers, what: str, kill: Callable[[LinkingServers], None]) -> None:
    began = time.monotonic()
    kill(kind)
    kind.settle()
    refused = kind.refused_since(began)
    instead = (
        f"linked after {kind.linked_after:.1f} s, {refused} dials refused"
        if kind.linked_after >= 0
        else "not linked"
    )
    so = kind.linked_after >= 0 and refused <= MOST_REFUSED
    story.holds(
        f"linked within 10 s after {what}, {MOST_REFUSED} dials refused at most", so, kind.death() or instead
    )
    for direction, attempt in (("to it", kind.chat_from_us), ("from it", kind.chat_from_them)):
        story.claim(f"… and a message {direction} is DELIVERED", "DELIVERED", kind.death() or attempt())
