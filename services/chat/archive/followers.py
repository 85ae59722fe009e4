"""The links that follow: each is told once that there is something new, until it asks again. Pure."""

from __future__ import annotations


class Followers:
    """All of them. A link is any object."""

    def __init__(self) -> None:
        self._heard: dict[object, bool] = {}

    def __len__(self) -> int:
        return len(self._heard)

    def asked(self, link: object, *, follows: bool) -> None:
        """A link asked for what is new: it is to be told of what comes after."""
        if follows:
            self._heard[link] = False
        else:
            self.forget(link)

    def is_to_tell(self, link: object) -> bool:
        """Whether a link is to be told now; then it has been."""
        if self._heard.get(link, True):
            return False
        self._heard[link] = True
        return True

    def forget(self, link: object) -> None:
        """A link is over, or wants nothing."""
        self._heard.pop(link, None)
