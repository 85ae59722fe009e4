"""An old server beside our node for a minute: alive, and its users unaffected."""

from __future__ import annotations

import time

from tests.interop import people
from tests.interop.kinds.old_server import OldServers
from tests.interop.shows.show import Story


def old_server(story: Story) -> None:
    """For a minute its users write and type beside our node: it lives, and no link is opened to it."""
    kind = OldServers(story.world)
    kind.start()
    kind.start_nodes()
    kind.connect_ours()
    known = kind.wait_known(kind.server_id)
    outcomes: list[str] = []
    end = time.monotonic() + story.form.seconds
    while (left := end - time.monotonic()) > 0:
        outcomes.append(kind.chat_among_them() if not kind.server.deaths else str(kind.server.deaths))
        outcomes.append(people.typing(kind.eve, kind.ann, kind.dead("TYPING_INDICATOR")))
        if kind.server.deaths:
            break
        people.wait(lambda: kind.server.deaths, min(left, 1.0))
    story.holds("our node knows of it", known)
    story.claim("none of its loops has ended", {}, {name: str(why) for name, why in kind.server.deaths.items()})
    story.claim("its users write to each other, and see each other type", {"DELIVERED", "seen"}, set(outcomes))
    frames = [str(each) for each in story.world.recorder.from_us() if each.transport == "tcp"]
    story.claim("our node opened no link to it", [], frames[:1])
