"""The open invitations of a signer on disk: a secret is good once, whichever process asks, and across restarts.

A use is written before it is answered. Of a secret only the hash is kept; a spoken code is kept for its two
minutes as it is, since both sides have to compute with it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import msgspec

from parley.shared.runtime.moments import Moment, moment
from parley.shared.trust.ages import passed
from parley.shared.trust.federation.changes import FederationRefused
from parley.shared.trust.federation.invitations import OPEN, USED, Invitation
from parley.shared.trust.pairing import SECONDS, TRIES
from parley.shared.trust_storage.federation import FederationFiles

FILE: Final = "invitations"


class Stored(msgspec.Struct):
    """One open invitation."""

    digest: bytes
    made: Moment
    lifetime: float
    number: int
    counted: Moment
    """The moment up to which `ran` counts."""
    ran: float = 0.0


class StoredCode(msgspec.Struct):
    """A spoken code."""

    code: str
    made: Moment
    tries: int = TRIES


class StoredInvitations(msgspec.Struct):
    """The content of the file."""

    open: list[Stored] = []
    used: list[bytes] = []
    """The hashes of used secrets, the newest last."""
    code: StoredCode | None = None


@dataclass(frozen=True, slots=True)
class SpokenCode:
    """A spoken code that is good now."""

    code: str
    seconds_left: float
    tries: int


class Invitations:
    """Those of one node. All calls wait for the disk; StorageError where it does not let us."""

    def __init__(self, files: FederationFiles) -> None:
        self._files = files

    def add(self, digest: bytes, lifetime: float, number: int) -> None:
        """Have one more. FederationRefused("full") where too many are open."""
        with self._files.locked():
            stored = self._read(number)
            if len(stored.open) >= OPEN:
                raise FederationRefused("full", f"{OPEN} invitations are open: wait until some are used or expired")
            now = moment()
            stored.open.append(Stored(digest, now, lifetime, number, now))
            self._write(stored)

    def use(self, digest: bytes, number: int) -> None:
        """Use one up. FederationRefused: used, expired, or unknown. `number`: the newest list's."""
        with self._files.locked():
            stored = self._read(number, drops_expired=False)
            found = next((one for one in stored.open if one.digest == digest), None)
            if found is None:
                if digest in stored.used:
                    raise FederationRefused("used", "that invitation was used already: ask for another one")
                raise FederationRefused("unknown", "that invitation is none of this server's, or expired long ago")
            stored.open.remove(found)
            is_over = _invitation(found).is_expired(moment().wall, number)
            if not is_over:
                stored.used = [*stored.used, digest][-USED:]
            self._write(stored)
            if is_over:
                raise FederationRefused("expired", "that invitation has expired: ask for another one")

    def count(self, number: int) -> int:
        """How many are open."""
        stored = self._files.load(FILE, StoredInvitations)
        _count(stored)
        return sum(not _invitation(one).is_expired(moment().wall, number) for one in stored.open)

    # A spoken code -------------------------------------------------------------------------------------------

    def speak(self, code: str) -> None:
        """Have this code be good from now on, in place of any other."""
        with self._files.locked():
            stored = self._files.load(FILE, StoredInvitations)
            stored.code = StoredCode(code, moment())
            self._write(stored)

    def code(self) -> SpokenCode | None:
        """The code that is good now; None: there is none."""
        return _spoken(self._files.load(FILE, StoredInvitations).code)

    def try_code(self) -> SpokenCode:
        """The code, for one exchange, which uses up a try of it. FederationRefused: unknown, expired or tries."""
        with self._files.locked():
            stored = self._files.load(FILE, StoredInvitations)
            if stored.code is None:
                raise FederationRefused("unknown", "no code is shown here: parley federation invite --spoken")
            found = _spoken(stored.code)
            if found is None:
                raise FederationRefused(*_why_over(stored.code))
            stored.code.tries -= 1
            self._write(stored)
            return found

    def end_code(self, code: str) -> bool:
        """That code was used, or is shown no longer: it has no tries left. False: it was over before."""
        with self._files.locked():
            stored = self._files.load(FILE, StoredInvitations)
            if stored.code is None or stored.code.code != code:
                return False
            stored.code = None
            self._write(stored)
            return True

    # The file ------------------------------------------------------------------------------------------------

    def _read(self, number: int, *, drops_expired: bool = True) -> StoredInvitations:
        stored = self._files.load(FILE, StoredInvitations)
        _count(stored)
        if drops_expired:
            now = moment().wall
            stored.open = [one for one in stored.open if not _invitation(one).is_expired(now, number)]
        return stored

    def _write(self, stored: StoredInvitations) -> None:
        self._files.save(FILE, msgspec.json.encode(stored))


def _count(stored: StoredInvitations) -> None:
    """Count how long each has been open, in running time."""
    now = moment()
    for one in stored.open:
        one.ran += passed(one.counted, now)
        one.counted = now


def _invitation(stored: Stored) -> Invitation:
    return Invitation(stored.digest, stored.made.wall, stored.lifetime, stored.number, stored.ran)


def _spoken(stored: StoredCode | None) -> SpokenCode | None:
    """The code, if it is good. Its two minutes end with the machine's run, too."""
    if stored is None or stored.tries <= 0:
        return None
    now = moment()
    left = SECONDS - (now.running - stored.made.running)
    is_of_this_run = stored.made.boot == now.boot and now.running >= stored.made.running
    return SpokenCode(stored.code, left, stored.tries) if is_of_this_run and left > 0 else None


def _why_over(stored: StoredCode) -> tuple[str, str]:
    if stored.tries <= 0:
        return "tries", f"the code was good for {TRIES} tries: let another one be shown"
    return "expired", f"the code was good for {SECONDS:.0f} s: let another one be shown"
