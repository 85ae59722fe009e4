"""Verifies the statuses of our messages off the event loop, in the order in which they came.

Nobody is dialled for a status: where the recipient's server is not known, it is the word of our own server. One
without a proof waits only behind those with one that came before it; one that comes alone is verified at once,
unless its recipient's keys are being asked for. Beyond what may wait, a status counts at once,
as one that nobody verified: somebody between could have taken the proof away as well.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from parley.client.authors.author_keys import AuthorKeys
from parley.client.authors.off_loop import OffLoop
from parley.client.authors.status_judgement import Signers, StatusAssurance, judge_status
from parley.shared.addresses import Recipient, User
from parley.shared.limits.token_buckets import TokenBucket
from parley.shared.trust.authors import conversation_of, is_status_signed
from parley.shared.wire.messages import pb

RATE, BURST = 10.0, 100.0
"""Lists of recipients' devices that are asked for in a second, and at once: a group has many members."""

Judged = Callable[[pb.ChatMessageResponse, Sequence[StatusAssurance]], object]


@dataclass(frozen=True, slots=True)
class _Answer:
    """A MESSAGE_ACK of a message of ours, and for whom each status is."""

    message: pb.ChatMessage
    ack: pb.ChatMessageResponse
    recipients: Sequence[Recipient]


class StatusVerification:
    """Statuses that wait to be verified. `judged` gets each MESSAGE_ACK in order, and the worth of its statuses."""

    def __init__(self, keys: AuthorKeys, home: str, judged: Judged) -> None:
        self._keys = keys
        self._home = home
        self._judged = judged
        self._bucket = TokenBucket(RATE, BURST, time.monotonic())
        self._queue: OffLoop[_Answer, list[bool]] = OffLoop(_are_valid, self._verified)

    def add(self, message: pb.ChatMessage, ack: pb.ChatMessageResponse, recipients: Sequence[Recipient]) -> None:
        """Verify what is told of a message of ours; `recipients`: for whom each status is."""
        if len(ack.proofs) != len(ack.statuses):
            ack.ClearField("proofs")
        answer = _Answer(message, ack, recipients)
        if not ack.proofs and self._queue.is_idle:
            self._judge(answer, [False] * len(recipients))
            return
        for recipient, proof in zip(recipients, ack.proofs, strict=False):
            if proof.key:
                self._want(User(*recipient), proof.key)
        if len(recipients) == 1 and ack.proofs and self._keys.is_settled(User(*recipients[0]), ack.proofs[0].key):
            valid = self._queue.work_now(answer)
            if valid is not None:
                self._judge(answer, valid)
                return
        if not self._queue.add(answer, ack.ByteSize()):
            ack.ClearField("proofs")
            self._judge(answer, [False] * len(recipients))

    def _want(self, recipient: User, key: bytes) -> None:
        is_known = self._keys.has(recipient, key) or key in self._servers(recipient, None)[0]
        if not is_known and self._bucket.consume(time.monotonic()):
            self._keys.want(recipient, key, may_dial=False)

    def _verified(self, answer: _Answer, valid: list[bool]) -> Awaitable[None] | None:
        unsettled = [
            (User(*recipient), proof.key)
            for recipient, proof, is_valid in zip(answer.recipients, answer.ack.proofs, valid, strict=False)
            if is_valid
            and not self._keys.is_settled(User(*recipient), proof.key)
            and proof.key not in self._servers(User(*recipient), answer.message)[0]
        ]
        if unsettled:
            return self._judge_later(answer, valid, unsettled)
        self._judge(answer, valid)
        return None

    async def _judge_later(
        self, answer: _Answer, valid: list[bool], unsettled: Sequence[tuple[User, bytes]]
    ) -> None:
        for user, key in unsettled:
            await self._keys.find(user, key)
        self._judge(answer, valid)

    def _judge(self, answer: _Answer, valid: Sequence[bool]) -> None:
        worth = []
        for at, (recipient, entry) in enumerate(zip(answer.recipients, answer.ack.statuses, strict=True)):
            user, key = User(*recipient), answer.ack.proofs[at].key if answer.ack.proofs else b""
            servers, are_known = self._servers(user, answer.message)
            signers = Signers(self._keys.known(user) or (), self._keys.revoked(user), servers, are_known)
            worth.append(judge_status(entry.status, key, signers, is_valid=valid[at]))
        self._judged(answer.ack, worth)

    def _servers(self, recipient: User, message: pb.ChatMessage | None) -> tuple[set[bytes], bool]:
        """The keys of the servers that may answer for a recipient, and whether that of each is known."""
        names = {recipient.server_id, self._home}
        if message is not None:
            names.add(conversation_of(message).server_id)
        keys = [self._keys.of_server(name) for name in names]
        return {key for key in keys if key}, all(keys)

    def close(self) -> None:
        """Verify nothing any more."""
        self._queue.close()


def _are_valid(some: Sequence[_Answer]) -> list[list[bool]]:
    return [_valid(answer) for answer in some]


def _valid(answer: _Answer) -> list[bool]:
    """Whether each signature holds; without proofs, none does."""
    if not answer.ack.proofs:
        return [False] * len(answer.recipients)
    return [
        bool(proof.key) and is_status_signed(answer.message, User(*recipient), entry.status, proof)
        for recipient, entry, proof in zip(answer.recipients, answer.ack.statuses, answer.ack.proofs, strict=True)
    ]
