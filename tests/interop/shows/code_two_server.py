"""A server of code base 2 beside our node: one frame at a time, its status numbers, and what is too long for it."""

from __future__ import annotations

from tests.interop import people
from tests.interop.kinds.code_two import CodeTwoServers
from tests.interop.shows.code_two_client import BURST, LONG, TOO_LONG, WAIT
from tests.interop.shows.show import Story


def code_two_server(story: Story) -> None:
    """Statuses are right on both sides, by the numbers of each.

    Ten messages at once reach it one by one. A text that is too long for it has a final status that is not
    DELIVERED. Nothing that was sent to it was lost.
    """
    kind = CodeTwoServers(story.world)
    kind.start_nodes()
    kind.connect_ours()
    kind.start()
    kind.settle()
    bob, eve = kind.bob, kind.eve
    nobody = {"userId": "nobody", "serverId": "two"}
    story.claim("a message to nobody there", "USER_NOT_FOUND", people.chat(bob, nobody, None))
    nobody = {"userId": "nobody", "serverId": "alpha"}
    story.claim("a message from there to nobody", "USER_NOT_FOUND", people.chat(eve, nobody, None))
    burst = [people.write(bob, eve.user, f"burst {number}") for number in range(BURST)]
    _came(story, kind, [f"burst {number}" for number in range(BURST)])
    people.wait(lambda: all(people.statuses(bob, each) for each in burst), WAIT)
    told = ["DELIVERED" in people.statuses(bob, each) for each in burst]
    arrived = [f"burst {number}" in people.texts(eve) for number in range(BURST)]
    story.claim("… and their author was told truly of each", arrived, told)
    number = people.write(bob, eve.user, "x" * LONG)
    people.wait(lambda: people.statuses(bob, number), people.PATIENCE)
    story.claim(f"a text of {LONG:,} bytes", ["DELIVERED"], people.statuses(bob, number))
    too_long = people.write(bob, eve.user, "x" * TOO_LONG)
    people.wait(lambda: people.statuses(bob, too_long), people.PATIENCE)
    final = [each for each in people.statuses(bob, too_long) if each not in people.INTERIM]
    story.holds(f"one of {TOO_LONG:,} bytes has a final status", len(final) == 1, final)
    story.holds("… which is not DELIVERED", "DELIVERED" not in final, final)
    story.claim("a message behind it", "DELIVERED", people.chat(bob, eve.user, eve))
    lost = [name for name in kind.server.lost if name != "HANGUP"]  # in front of the end of a link
    story.claim("nothing that was sent to it was lost", [], lost)


def _came(story: Story, kind: CodeTwoServers, wanted: list[str]) -> None:
    """They must reach the server in order: it may lose one on the way to its own client."""

    def came() -> list[str]:
        with kind.server.lock:
            texts = [each.fields.get("textContent", "") for each in kind.server.received if each.name == "MESSAGE"]
        return list(dict.fromkeys(text for text in texts if text in wanted))

    people.wait(lambda: len(came()) == len(wanted), WAIT)
    story.holds(f"{len(wanted)} messages at once reached it, one by one", came() == wanted, f"{len(came())} did")
