"""A client of code base 2 on our node: one frame at a time, its own status numbers, and what is too long for it."""

from __future__ import annotations

from collections import Counter

from tests.interop import people
from tests.interop.kinds.code_two import came, search
from tests.interop.programs.code_two import AT_ONCE
from tests.interop.programs.code_two_client import CodeTwoClient
from tests.interop.shows.show import Story
from tests.interop.world import ANN, EVE, World
from tests.support.plain_wire import Fields

WAITING = 20
WAIT = 20.0
"""Seconds for all that waited."""
LONG = AT_ONCE - 150
"""Bytes of a text that, with all that goes with it, it can read."""
TOO_LONG = AT_ONCE + 500
BURST = 10


def client(world: World, user_id: str, address: str) -> CodeTwoClient:
    """One that has started."""
    return came(world.enter(CodeTwoClient(user_id, "alpha", address), "client of code base 2"))


def user(user_id: str, server_id: str = "alpha") -> Fields:
    """A user's name."""
    return {"userId": user_id, "serverId": server_id}


def code_two_client(story: Story) -> None:
    """It finds people, and statuses are right by its own numbers.

    Ten messages at once and 20 that waited reach it one by one; two of its messages with one number both arrive. A
    text that is too long for it has a final status that is not DELIVERED. Nothing that was sent to it was lost.
    """
    world = story.world
    world.start_node()
    bob = world.our_client()
    world.our_client("cat", ANN).close()
    eve = client(world, "eve", EVE)
    story.claim("it finds people", "found", search(eve, bob.user))
    story.claim("a message to it", "DELIVERED", people.chat(bob, eve.user, eve))
    story.claim("a message from it", "DELIVERED", people.chat(eve, bob.user, bob))
    for to, wanted in ((user("nobody"), "USER_NOT_FOUND"), (user("cat"), "USER_AWAY")):
        story.claim(f"… to {to['userId']}", wanted, people.chat(eve, to, None))
    burst = [people.write(bob, eve.user, f"burst {number}") for number in range(BURST)]
    all_came(story, f"{BURST} messages at once", eve, [f"burst {number}" for number in range(BURST)])
    story.claim("… were DELIVERED", {"DELIVERED": BURST}, delivered(bob, burst))
    same = [eve.send_text(bob.user, f"in one second {number}") for number in range(2)]
    people.wait(lambda: "in one second 1" in people.texts(bob), people.PATIENCE)
    both = [text for text in people.texts(bob) if text.startswith("in one")]
    story.claim("two messages of one number", ["in one second 0", "in one second 1"], both)
    story.holds("… are answered", people.wait(lambda: people.statuses(eve, same[0]), people.PATIENCE))
    _long(story, bob, eve)
    _waiting(story, bob, eve)


def delivered(bob: people.Client, numbers: list[int]) -> dict[str, int]:
    """Wait until all are; how many have which status."""
    people.wait(lambda: all("DELIVERED" in people.statuses(bob, each) for each in numbers), WAIT)
    return dict(Counter((people.statuses(bob, each) or ["no status"])[-1] for each in numbers))


def all_came(story: Story, what: str, eve: CodeTwoClient, wanted: list[str]) -> None:
    """They must come in order; again is no harm."""
    people.wait(lambda: set(wanted) <= set(people.texts(eve)), WAIT)
    first = list(dict.fromkeys(text for text in people.texts(eve) if text in wanted))
    story.holds(f"{what} came, one by one", first == wanted, f"{len(first)} of {len(wanted)} came")


def _long(story: Story, bob: people.Client, eve: CodeTwoClient) -> None:
    """It can read so much, and no more."""
    number = people.write(bob, eve.user, "x" * LONG)
    people.wait(lambda: people.statuses(bob, number), people.PATIENCE)
    story.claim(f"a text of {LONG:,} bytes", ["DELIVERED"], people.statuses(bob, number))
    number = people.write(bob, eve.user, "x" * TOO_LONG)
    people.wait(lambda: people.statuses(bob, number), people.PATIENCE)
    told = people.statuses(bob, number)
    final = [each for each in told if each not in people.INTERIM]
    story.claim(f"one of {TOO_LONG:,} bytes has a final status", 1, len(final))
    story.holds("… which is not DELIVERED", "DELIVERED" not in told, told)
    story.claim("a message behind it", "DELIVERED", people.chat(bob, eve.user, eve))


def _waiting(story: Story, bob: people.Client, eve: CodeTwoClient) -> None:
    """What waited for it."""
    eve.close()
    numbers = [people.write(bob, eve.user, f"waiting {number}") for number in range(WAITING)]
    people.wait(lambda: all(people.statuses(bob, each) for each in numbers), WAIT)
    again = client(story.world, "eve", EVE)
    all_came(story, f"{WAITING} messages that waited", again, [f"waiting {number}" for number in range(WAITING)])
    story.claim("… were DELIVERED", {"DELIVERED": WAITING}, delivered(bob, numbers))
    story.claim("nothing that was sent to it was lost", [], again.lost)
