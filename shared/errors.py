"""Every error that Parley raises, and whose fault each one is.

    ParleyError
    ├── ConfigError                 the operator's: one line, exit 2
    ├── StorageError                a disk's: one line, exit 1; it may be well when started again
    ├── ProtocolError
    │   ├── LocalProtocolError      ours: a bug, it propagates
    │   └── RemoteProtocolError     theirs: counted, answered, hung up
    │       ├── FrameTooLarge
    │       ├── MalformedMessage
    │       ├── UnexpectedMessage
    │       └── InsecureLink
    └── PeerError
        ├── PeerUnreachable
        │   ├── ServerNotFound
        │   ├── PeerRefused
        │   └── PeerUnproven
        └── HandshakeTimeout

`reason` is a short constant: the log field and the metric's label.
"""

from __future__ import annotations

from typing import Final, TypeVar

EXIT_CONFIG: Final = 2
"""The exit code of a program that ends for a ConfigError."""


class ParleyError(Exception):
    """The root: catch it to catch all of Parley's own."""

    reason = "error"


class ConfigError(ParleyError):
    """A configuration that cannot be used, or a port that is taken. One line that names the key; exit 2."""

    reason = "config"


class StorageError(ParleyError):
    """A disk that cannot be written now: full, as a rule. One line, exit 1, and worth another try."""

    reason = "storage"


class ProtocolError(ParleyError):
    """Somebody broke the protocol; the subclass says who."""

    reason = "protocol"


class LocalProtocolError(ProtocolError):
    """We did: a bug of ours, which propagates."""

    reason = "local_protocol"


class RemoteProtocolError(ProtocolError):
    """The other side did: count it, answer it, hang up."""

    reason = "remote_protocol"


class FrameTooLarge(RemoteProtocolError):
    """A header announces more than the limit (bytes); its payload was not read."""

    reason = "too_large"

    def __init__(self, size: int, limit: int) -> None:
        self.size = size
        self.limit = limit
        super().__init__(f"a payload of {size} bytes is over the limit of {limit}")


class MalformedMessage(RemoteProtocolError):
    """No frame, or a payload that does not parse as its name says."""

    reason = "malformed"


class UnexpectedMessage(RemoteProtocolError):
    """A well-formed message that its sender may not send, or not now; `reason` says why in one word."""

    reason = "unexpected"

    def __init__(self, text: str, reason: str = reason) -> None:
        self.reason = reason
        super().__init__(text)


class InsecureLink(RemoteProtocolError):
    """TLS did not come to be, or broke, or is missing where it has to be; `reason` says which in one word."""

    reason = "insecure"

    def __init__(self, text: str, reason: str = reason) -> None:
        self.reason = reason
        super().__init__(text)


class PeerError(ParleyError):
    """A server that we dialled did not become a link."""

    reason = "peer"


class PeerUnreachable(PeerError):
    """Nothing accepts connections there."""

    reason = "unreachable"


class ServerNotFound(PeerUnreachable):
    """No server of that name offers the feature; `server_id`: the name, empty: any would have done."""

    reason = "not_found"

    def __init__(self, text: str, server_id: str) -> None:
        self.server_id = server_id
        super().__init__(text)


class PeerRefused(PeerUnreachable):
    """A server is there, and answered CONNECT with an error; `refusal`: the protocol's number for why, or 0."""

    reason = "refused"

    def __init__(self, text: str, refusal: int = 0) -> None:
        self.refusal = refusal
        super().__init__(text)


class PeerUnproven(PeerUnreachable):
    """A server is there, and is not the one that is expected: it has another key, or proves none.

    `reason`: in one word, for the metric.
    """

    reason = "unproven"

    def __init__(self, text: str, reason: str = reason) -> None:
        self.reason = reason
        super().__init__(text)


class HandshakeTimeout(PeerError):
    """The other side accepted, and did not answer CONNECT in time."""

    reason = "handshake_timeout"


_E = TypeVar("_E", bound=BaseException)


def bare(error: _E) -> _E:
    """Without where it was raised: whoever keeps an error would keep all that was at work there, too."""
    error.__traceback__ = error.__context__ = None
    return error
