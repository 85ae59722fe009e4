"""Why the home server does not let a user's client in, and what people can do about it. Pure."""

from __future__ import annotations

from typing import Final

from parley.shared.addresses import User
from parley.shared.errors import PeerError
from parley.shared.names import spell
from parley.shared.trust.keys import fingerprint
from parley.shared.wire.messages import pb

_REASONS: Final = {
    pb.ConnectResponse.NAME_TAKEN: "{user} belongs to a device with a key, and this one has none; give "
    "PARLEY_CLIENT__DATA_DIR a directory to keep one in, or choose another name",
    pb.ConnectResponse.NEW_DEVICE: "{user} belongs to somebody already. If that is you: `parley device link --as "
    "{user}` here shows a code, and `parley device add CODE --as {user}` at a device of yours lets this one in; "
    "or, with a password, `parley --password-file - chat --as {user}` (or send, listen). Else choose another name",
    pb.ConnectResponse.REVOKED: "this device was revoked, and speaks for {user} no more. To use that name here: "
    "`parley device forget --as {user}`, then `parley device link --as {user}`, which another device lets in",
    pb.ConnectResponse.RESET: "{user} was reset by its operator, and is nobody's now. To have the name again: "
    "`parley device forget --as {user}`, then `parley device link --as {user}`",
    pb.ConnectResponse.APPROVAL_NEEDED: "{server} lets new users in when its operator has approved them: ask for "
    "`parley user approve {name}`, for the key {key}",
    pb.ConnectResponse.PLAIN_REFUSED: "{server} lets in nobody without a key, and this device has none; give "
    "PARLEY_CLIENT__DATA_DIR a directory to keep one in",
    pb.ConnectResponse.PASSWORD_WRONG: "{server} has another password for {user}",
    pb.ConnectResponse.SLOW_DOWN: "there were too many tries at {server}; try again in some minutes",
    pb.ConnectResponse.SESSION_OVER: "the session of {user} is over; connect to {server} again",
    pb.ConnectResponse.NO_ACCOUNT: "{server} has no user {name}, and its operator alone adds one: ask "
    "for `parley user add {name}`",
    pb.ConnectResponse.NO_PROOF: "{server} could not check the key of this device; try again",
}


class TrustError(PeerError):
    """Keys speak against a connection; one sentence that says what to do. It is tried again slowly."""

    reason = "trust"


class UserRefused(TrustError):
    """The user's own server is there, and does not let this client in; one sentence that says what to do.

    `refusal`: name_taken, new_device, revoked, approval_needed, plain_refused, password_wrong, slow_down,
    session_over, no_account, no_proof, reset.
    """

    def __init__(self, refusal: str, text: str) -> None:
        self.refusal = refusal
        super().__init__(text)

    @property
    def is_final(self) -> bool:
        """Whether this device's key never speaks for the user again."""
        return self.refusal in ("revoked", "reset")


class ServerKeyChanged(TrustError):
    """A server shows another key than the one that this device knows for its name: it may be somebody else.

    `server_id`: its name; `known` and `shown`: both keys in short.
    """

    def __init__(self, server_id: str, known: str, shown: str) -> None:
        self.server_id = server_id
        self.known = known
        self.shown = shown
        super().__init__(
            f"{spell(server_id)} has another key than before ({shown}, not {known}), and may be somebody else; ask "
            f"its operator, and only then take it with `parley trust accept --mine {spell(server_id)}`"
        )


class ServerUnproven(TrustError):
    """A server that is known by its key proves none, or in mode `strict` one that never had a key: `server_id`."""

    def __init__(self, server_id: str, *, is_known: bool = True) -> None:
        self.server_id = server_id
        name = spell(server_id)
        super().__init__(
            f"{name} is known by its key, and answers without it now, so it may be somebody else; if its operator "
            f"wants it so, `parley trust forget --mine {name}`"
            if is_known
            else f"{name} has no key, and security.mode is strict: nobody is spoken to without one"
        )


class NotPinned(TrustError):
    """A password is for servers that this device knew before: `server_id` is new, and `key` its key in short."""

    def __init__(self, server_id: str, key: bytes) -> None:
        self.server_id = server_id
        self.key = fingerprint(key)
        super().__init__(
            f"{spell(server_id)} is new to this device, so it was not given the password; ask its operator whether "
            f"its key is {self.key}, and try again if it is"
        )


def user_refused(refusal: int, user: User, key: bytes = b"") -> UserRefused | None:
    """The error for a refusal of CONNECTED; None: it says nothing that this version knows. `key`: this device's."""
    template = _REASONS.get(refusal)  # type: ignore[call-overload]
    if template is None:
        return None
    text = template.format(
        user=user,
        name=spell(user.user_id),
        server=spell(user.server_id),
        key=fingerprint(key) if key else "of this device",
    )
    return UserRefused(pb.ConnectResponse.Refusal.Name(refusal).lower(), text)
