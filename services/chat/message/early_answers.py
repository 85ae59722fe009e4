"""USER_NOT_FOUND over a link that is young is not the last word: another server may have the same name.

Of two servers of one name that start together (a card that was cloned) the first to be linked stays, and the other
may have the user. A link yields to the other one where it does not know whom somebody writes to (peering.py), but
only once that one has asked to be linked, which may be a moment after the answer. So such an answer is kept back
until one of these comes, and its message stays on its way meanwhile:

    the other server asks         the link yields, and the message goes out again over the next one
    the link is young no more     the author is told
    the link is lost              the author is told

Acknowledgements of existing servers are not kept back: their links never yield. Pure; times are seconds, monotonic.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Protocol

from parley.services.chat.message.statuses import Status
from parley.shared.names import fold
from parley.shared.spellings import ByName
from parley.shared.wire.messages import pb

YOUNG: Final = 5.0
"""Seconds from its opening in which a link is young."""
OF_LINK: Final = 256
"""Statuses of one link that are kept back; whatever comes beyond it is told at once."""
MOST: Final = 4096
"""The same of all links."""


class Yielding(Protocol):
    """The links with other servers, as far as they concern this: Peering."""

    def may_yield(self, server_id: str, /) -> bool:
        """Whether the link to a server would yield if another one of its name asked to be linked."""

    def yield_to_rival(self, server_id: str, /) -> bool:
        """Have it yield, if another one does."""


@dataclass(slots=True)
class _Kept:
    """The answers of one link that are kept back."""

    answers: list[pb.ChatMessageResponse] = field(default_factory=list)
    statuses: int = 0
    """How many are in them."""


class EarlyAnswers:
    """Keeps answers back, and then tells them, or not."""

    def __init__(
        self, links: Yielding, *, tell: Callable[[str, pb.ChatMessageResponse], None], look_for: Callable[[], None]
    ) -> None:
        """`tell` takes an answer of a server as if it came now; `look_for` has the network asked for servers."""
        self.is_watching = False
        """Whether any link is young: `keep_back` is of use."""
        self._links = links
        self._tell = tell
        self._look_for = look_for
        self._young_until: ByName[float] = ByName()
        """Server → until when its link is young (seconds), in this order."""
        self._kept: ByName[_Kept] = ByName()
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def connected(self, server_id: str, now: float) -> float:
        """A link with another Parley was opened; when `handle_timeout` must be called for it."""
        self._young_until.pop(server_id, None)  # the last in order
        self._young_until[server_id] = now + YOUNG
        self.is_watching = True
        return now + YOUNG

    def disconnected(self, server_id: str) -> None:
        """It is over."""
        self._young_until.pop(server_id, None)
        self.is_watching = bool(self._young_until)
        self.decide(server_id)

    def handle_timeout(self, now: float) -> float | None:
        """Some links are young no more; when this must be called next."""
        while self._young_until:
            server_id, until = next(iter(self._young_until.items()))
            if until > now:
                return until
            self.disconnected(server_id)
        return None

    # Answers -----------------------------------------------------------------------------------------------

    def keep_back(self, server_id: str, answer: pb.ChatMessageResponse) -> bool:
        """Take out of an answer whom the server does not know, unless that is final; whether that was done.

        Then the link yields now, or may do so yet.
        """
        unknown = [each for each in answer.statuses if each.status == Status.USER_NOT_FOUND]
        if not unknown or _is_of_group_there(answer, server_id):
            return False
        if not self._links.yield_to_rival(server_id) and not self._keep(server_id, answer, unknown):
            return False
        others = [each for each in answer.statuses if each.status != Status.USER_NOT_FOUND]
        del answer.statuses[:]
        answer.statuses.extend(others)
        return True

    def _keep(
        self, server_id: str, answer: pb.ChatMessageResponse, unknown: list[pb.ChatMessageResponse.DeliveryStatus]
    ) -> bool:
        """Keep a part of an answer, if there is reason to, and room."""
        kept = self._kept.get(server_id) or _Kept()
        may_keep = (
            server_id in self._young_until
            and kept.statuses + len(unknown) <= OF_LINK
            and self._count + len(unknown) <= MOST
            and not answer.receipt  # it is told again until it is confirmed, with all that follows it
            and all(fold(each.user.serverId) == fold(server_id) for each in unknown)
            and self._links.may_yield(server_id)
        )
        if not may_keep:
            return False
        if not kept.answers:
            self._kept[server_id] = kept
            self._look_for()
        kept.answers.append(_part(answer, unknown))
        kept.statuses += len(unknown)
        self._count += len(unknown)
        return True

    def decide(self, server_id: str) -> None:
        """Have the link yield, if another server asks to be linked; else tell what was kept back."""
        kept = self._kept.pop(server_id, None)
        if kept is None:
            return
        self._count -= kept.statuses
        if not self._links.yield_to_rival(server_id):
            for answer in kept.answers:
                self._tell(server_id, answer)


def _part(
    answer: pb.ChatMessageResponse, statuses: list[pb.ChatMessageResponse.DeliveryStatus]
) -> pb.ChatMessageResponse:
    """An answer with these of its statuses."""
    part = pb.ChatMessageResponse()
    part.CopyFrom(answer)
    del part.statuses[:]
    part.statuses.extend(statuses)
    return part


def _is_of_group_there(answer: pb.ChatMessageResponse, server_id: str) -> bool:
    """Whether it is about members of a group that lives at that server: it knows whom it was written to."""
    return answer.HasField("group") and fold(answer.group.serverId) == fold(server_id)
