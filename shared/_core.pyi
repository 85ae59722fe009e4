# What is compiled of Parley (shared/core); each has a twin in Python, where it is described.

from collections.abc import Callable, Iterable, Mapping, Sequence

from parley.shared.addresses import User
from parley.shared.errors import RemoteProtocolError

INTERFACE: int
CONSTANTS: dict[str, int]

class Frame:
    name: str
    raw: bytes
    payload: bytes
    def __init__(self, name: str, raw: bytes, start: int) -> None: ...

class FrameReader:
    error: RemoteProtocolError | None
    buffered: int
    fed_at: float
    has_control: bool
    def __init__(self, limit: int, control: frozenset[str] = ...) -> None: ...
    def feed(self, data: bytes, /) -> list[Frame]: ...

class Counts:
    def __init__(self, names: Sequence[str]) -> None: ...
    def __len__(self) -> int: ...
    def add(self, name: str, more: int, /) -> None: ...
    def items(self) -> list[tuple[str, int]]: ...

class Buckets:
    bounds: tuple[float, ...]
    counts: list[int]
    total: float
    def __init__(self, bounds: Sequence[float]) -> None: ...
    def observe(self, value: float, times: int = 1, /) -> None: ...

class Deliveries:
    local: int
    remote: int
    def __init__(self, local: Buckets, remote: Buckets) -> None: ...

def count_frames(frames: list[Frame], counts: Counts, /) -> None: ...
def count_sent(raws: list[bytes], counts: Counts, /) -> None: ...
def read_entries(
    record: bytes, /
) -> tuple[list[tuple[int, int, int, int, bytes, bytes | None, bytes | str]], int]: ...
def key_of(multipliers: bytes, pair: bytes, number: int, kind: int, content: bytes, /) -> bytes: ...
def read_plain(
    frame: Frame, known: dict[bytes, tuple[object, object, bytes]], multipliers: bytes, /
) -> tuple[object, object, int, bytes] | bytes | None: ...
def read_statuses(payload: bytes, most: int, kind: type[User], /) -> list[tuple[User | None, int]] | None: ...
def status_frame(number: int, tail: bytes, /) -> bytes: ...

class LinkIO:
    bytes_received: int
    bytes_sent: int
    frames_received: int
    _descriptor: int
    _is_plain_tcp: bool
    _translate: Callable[[bytes], bytes] | None
    _translates_all: bool
    def use_fast_path(self, taker: FrameTaker, source: object, /) -> None: ...

class SecureIO:
    _may_wait: bool
    def data_received(self, data: bytes, /) -> None: ...
    def write(self, data: bytes | bytearray | memoryview, /) -> None: ...

class RecentMessages:
    def __init__(
        self,
        find: Callable[..., int | None],
        limit: int = ...,
        stored_keys: object = ...,
        delivered_keys: object = ...,
    ) -> None: ...
    def __len__(self) -> int: ...
    def knows(self, key: bytes, /) -> bool: ...
    def status(self, key: bytes, /) -> int | None: ...
    def note(self, key: bytes, status: int | None, /) -> None: ...

class MailTally:
    def __init__(self, width: int, few: int) -> None: ...
    def count(self, parts: tuple[tuple[bool, tuple[int, int]], ...], count: int, size: int, /) -> None: ...
    def amount(self, slots: tuple[int, int], before: MailTally | None, /) -> tuple[int, int]: ...
    def why_over_share(
        self,
        parts: tuple[tuple[bool, tuple[int, int]], ...],
        author_share: float,
        server_share: float,
        room: tuple[int, int],
        used: tuple[int, int],
        more: int,
        before: MailTally | None,
        /,
    ) -> str: ...

class FrameTaker: ...

class ChatState:
    clients: dict[object, list[object]]
    servers: dict[str, object]
    queues: dict[object, object]
    unconfirmed_statuses: dict[object, list[bytes]]
    stored_keys: object | None
    delivered_keys: object | None
    next_id: int
    in_flight: int
    in_flight_bytes: int
    def __init__(
        self, links: ChatState | None = ..., stored_keys: object = ..., delivered_keys: object = ...
    ) -> None: ...

class InFlightTable:
    held: dict[object, None]
    by_number: dict[int, list[object]]
    window: int
    burst_window: int
    window_bytes: int
    size: int
    answered_at: float
    def __init__(self, window: int, burst_window: int, window_bytes: int) -> None: ...

class FastPath(FrameTaker):
    size: int
    is_armed: bool
    is_closed: bool
    def __init__(
        self,
        chat: ChatState,
        recent: RecentMessages,
        delivered: Callable[[bool, float, int], None] | Deliveries | None,
        arm: Callable[[float], None],
        multipliers: bytes,
        most: int,
        most_bytes: int,
        most_unconfirmed: int,
        most_produced: int,
        first_window: int,
        largest: int,
        looked_at: int,
        of_author: int,
        patience: int,
        delivered_status: int,
        collect: Callable[[], None] | None,
        collect_room: Callable[[int], None] | None,
        counted: Mapping[User, Mapping[object, float]],
    ) -> None: ...
    def __len__(self) -> int: ...
    def route(self, source: object, frames: list[Frame], start: int, now: float, /) -> int: ...
    def learn(self, *what: object) -> bool: ...
    def may_learn(self, source: object, frame: Frame, /) -> bool: ...
    def learn_answer(self, source: object, raw: bytes, payload: bytes, /) -> None: ...
    def settle(self, destination: object, /) -> Iterable[tuple[object, ...]]: ...
    def settle_due(self, now: float, delay: float, /) -> Iterable[tuple[object, ...]]: ...
    def due(self, delay: float, /) -> float | None: ...
    def collect_into(self, segment: memoryview, /) -> None: ...
    def collected(self) -> int: ...
    def forget(self) -> None: ...
    def leave(self, source: object, /) -> None: ...
