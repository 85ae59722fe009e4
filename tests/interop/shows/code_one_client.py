"""A client of code base 1 on our node: what waited for it, and contents that are hard for it."""

from __future__ import annotations

from tests.interop import people
from tests.interop.kinds.kind import connected
from tests.interop.programs.code_one_client import CodeOneClient
from tests.interop.shows.show import Story
from tests.interop.world import ANN, EVE, World
from tests.support.plain_client import PlainClient
from tests.support.plain_wire import Fields

WAITING = 20
WAIT = 15.0
"""Seconds for all that waited."""
ACCENTED = "josé"
BYTES = 1_000_000
TEXT = "a text that ends in a newline\n"


def client(world: World, user_id: str, address: str) -> CodeOneClient:
    """One that has started."""
    one = CodeOneClient(user_id, "alpha", address, enough=1)
    connected(world.enter(one, "client of code base 1"))
    return one


def code_one_client(story: Story) -> None:
    """20 messages that waited arrive in order.

    Messages to a name with an accent, a text and a text file that end in a newline, and 1,000,000 bytes of document
    arrive as they were, both ways; so does such a text that waited.
    """
    world = story.world
    world.start_node()
    bob = world.our_client()
    client(world, "eve", EVE).close()
    numbers = [people.write(bob, {"userId": "eve", "serverId": "alpha"}, f"waiting {n}") for n in range(WAITING)]
    people.wait(lambda: all(people.statuses(bob, each) for each in numbers), WAIT)
    eve = client(world, "eve", EVE)
    people.wait(lambda: all("DELIVERED" in people.statuses(bob, each) for each in numbers), WAIT, lambda: eve.death)
    story.claim(
        f"{WAITING} messages that waited came in order", [f"waiting {n}" for n in range(WAITING)], people.texts(eve)
    )
    told = {tuple(people.statuses(bob, each)) for each in numbers}
    story.claim("… and their author was told so", {("USER_AWAY", "DELIVERED")}, told)
    jose = client(world, ACCENTED, ANN)
    story.claim("a message to a name with an accent", "DELIVERED", people.chat(bob, jose.user, jose))
    story.claim("… and from it", "DELIVERED", people.chat(jose, bob.user, bob))
    _contents(story, bob, eve)
    _waiting_newline(story, bob, eve)


def _contents(story: Story, bob: PlainClient, eve: CodeOneClient) -> None:
    """Texts and documents, whose last byte may be 0x0A."""
    large = (b"a line\n" * (BYTES // 7 + 1))[: BYTES - 1] + b"\n"
    file = {"documentId": "1", "filename": "notes.txt", "mimeType": "text/plain", "data": b"two\nlines\n"}
    contents: dict[str, Fields] = {
        "a text that ends in a newline": {"textContent": TEXT},
        "a text file that ends in a newline": {"document": file},
        f"a document of {BYTES:,} bytes": {"document": {**file, "data": large}},
    }
    for what, content in contents.items():
        for direction, author, recipient in (("to it", bob, eve), ("from it", eve, bob)):
            outcome = eve.death or _sent(author, recipient, content, eve)
            story.claim(f"{what}, {direction}", "DELIVERED", outcome)


def _sent(author: PlainClient, recipient: PlainClient, content: Fields, eve: CodeOneClient) -> str:
    """A content, unchanged."""
    number = author.send_message({"user": recipient.user, **content})
    [(name, value)] = content.items()

    def came() -> bool:
        with recipient.lock:
            return any(each.get(name) == value for each in recipient.messages)

    people.wait(came, WAIT, lambda: eve.death)
    people.wait(lambda: people.statuses(author, number), people.PATIENCE, lambda: eve.death)
    told = (people.statuses(author, number) or ["no status"])[-1]
    return eve.death or (told if came() else f"lost, {told}")


def _waiting_newline(story: Story, bob: PlainClient, eve: CodeOneClient) -> None:
    """Such a text waits, and does not close the client at every start."""
    eve.close()
    number = people.write(bob, eve.user, f"waiting, {TEXT}")
    people.wait(lambda: people.statuses(bob, number), people.PATIENCE)
    again = client(story.world, "eve", EVE)
    people.wait(lambda: "DELIVERED" in people.statuses(bob, number), people.PATIENCE, lambda: again.death)
    story.claim("a text that ends in a newline, which waited for it", "", again.death)
    story.claim("… came as it was", [f"waiting, {TEXT}"], people.texts(again))
