"""The chat process's metrics: messages by status, how long they took, and how many wait. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Final

from parley.services.chat.archive.interface import Refused, WithoutEffect
from parley.services.chat.message.life import Envelope
from parley.services.chat.message.statuses import Status
from parley.shared.compiled import core
from parley.shared.telemetry.tallies import Exporter, Samples
from parley.shared.trust.devices import ListVerdict

if TYPE_CHECKING:
    from parley.services.chat.archive.archive import Archive
    from parley.services.chat.archive.process.archive_process import ArchiveProcess

DELIVERY: Final = (
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 3600.0,
    86400.0,
)  # fmt: skip
COMMIT: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
GROUP: Final = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000)


class ChatMetrics:
    """The chat process's own metrics. `messages`, `oldest` (seconds) and `owed` are asked when they are wanted."""

    def __init__(
        self,
        metrics: Exporter,
        *,
        messages: Callable[[], int],
        oldest: Callable[[], float],
        owed: Callable[[], int],
        sizes: Callable[[], Mapping[str, int]] = dict,
    ) -> None:
        """`sizes` tells how many entries each table has that names may fill."""
        self.archive_is_unusable = False
        self._reported_local, self._reported_remote = ([0] * len(Status.Status.values()) for _ in range(2))
        """Per status number, how often: of recipients here, and of those elsewhere."""
        metrics.watch_counter(
            "parley_messages", "Statuses that authors were given", self._samples, ("scope", "status")
        )
        delivery = metrics.histograms(
            "parley_delivery_seconds",
            "From a message's receipt to its DELIVERED",
            DELIVERY,
            ("scope",),
            [("local",), ("remote",), ("mailbox",)],
        )
        self._local, self._remote, self._mailbox = delivery.values()
        self.fast_path = core.Deliveries(self._local, self._remote) if core is not None else None
        """Counts what is delivered on the fast path: how many and their times at once, without a call."""
        metrics.watch_value("parley_mailbox_messages", "Messages that wait", messages)
        metrics.watch_value("parley_mailbox_oldest_age_seconds", "Since the oldest of them was written", oldest)
        metrics.watch_value("parley_statuses_owed", "Statuses for sides that are not there", owed)
        metrics.watch(
            "parley_names",
            "Entries of the tables that names fill",
            lambda: [((table,), size) for table, size in sizes().items()],
            ("table",),
        )
        self._searches = {"whole": 0, "part": 0}
        metrics.watch_counter(
            "parley_user_searches",
            "Searches for people that are over",
            lambda: [((result,), count) for result, count in self._searches.items()],
            ("result",),
        )
        self._forged = {"copy": 0, "message": 0}
        metrics.watch_counter(
            "parley_forged_messages",
            "Messages from other servers that nobody of their author's signed",
            lambda: [((kind,), count) for kind, count in self._forged.items()],
            ("kind",),
        )
        self._mail_edits_refused = 0
        self._device_lists = {verdict.value: 0 for verdict in ListVerdict}
        metrics.watch_counter(
            "parley_device_lists",
            "Lists of users' devices that other servers told, by verdict",
            lambda: [((verdict,), count) for verdict, count in self._device_lists.items()],
            ("verdict",),
        )
        self._commits = metrics.histogram("parley_mailbox_commit_seconds", "One group commit", COMMIT)
        self._groups = metrics.histogram("parley_mailbox_commit_writes", "Writes in one group commit", GROUP)

    def watch_files(self, metrics: Exporter, store: str, figures: Callable[[], tuple[int, int, int]]) -> None:
        """Export how many large messages a store (`mailbox`, `archive`) has as files, their bytes, torn ones."""
        about = f"large messages that the {store} has as files of their own"
        metrics.watch_value(f"parley_{store}_body_files", f"How many {about}", lambda: float(figures()[0]))
        metrics.watch_value(f"parley_{store}_body_files_bytes", f"Bytes of {about}", lambda: float(figures()[1]))
        metrics.watch_counter(
            f"parley_{store}_body_files_torn",
            f"Files of {about} that were read and are not what they were",
            lambda: [((), figures()[2])],
        )

    def watch_archive(self, metrics: Exporter, archive: Callable[[], Archive | None]) -> None:
        """Export the figures of the archive, where there is one."""

        def figure(read: Callable[[ArchiveProcess], float]) -> Callable[[], float]:
            def value() -> float:
                found = archive()
                return read(found.process) if found is not None else 0.0

            return value

        def journal_figure(read: Callable[[Archive], float]) -> Callable[[], float]:
            return lambda: float(read(found)) if (found := archive()) is not None else 0.0

        def is_stuck(process: ArchiveProcess) -> bool:
            position = process.handover.position
            return process.is_down or bool(position.error) or position.is_full

        for name, meaning, read in (
            (
                "lag_seconds",
                "Since the oldest message that is in no list yet",
                lambda it: it.lag,
            ),
            ("backlog_bytes", "Bytes of messages that are in no list yet", lambda it: it.handover.backlog),
            ("bytes", "Bytes of what is kept", lambda it: it.handover.position.size),
        ):
            metrics.watch_value(f"parley_archive_{name}", meaning, figure(read))
        unusable = figure(is_stuck)
        metrics.watch_value(
            "parley_archive_unusable",
            "Whether the archive's file cannot be used or written",
            lambda: float(self.archive_is_unusable or bool(unusable())),
        )
        for name, meaning, value in (
            (
                "bytes",
                "Bytes of what was told as delivered and is not in the archive's file yet",
                lambda it: it.journal.unreleased,
            ),
            (
                "unusable",
                "Whether the archive's journal is in memory alone: a killed process loses what is in it",
                lambda it: bool(it.segments.why_unusable),
            ),
        ):
            metrics.watch_value(f"parley_archive_journal_{name}", meaning, journal_figure(value))
        written = figure(lambda it: it.handover.messages)
        metrics.watch_counter(
            "parley_archive_entries",
            "Entries for the archive: written, or dropped because the disk took nothing, or there is no room",
            lambda: [(("written",), int(written())), (("dropped",), self._dropped(archive()))],
            ("result",),
        )
        metrics.watch_counter(
            "parley_archive_not_kept",
            "Entries that are not kept, because their author, or its server, has all of its share",
            lambda: self._not_kept_samples(archive()),
            ("whose",),
        )
        restarts = figure(lambda it: it.restarts)
        metrics.watch_counter(
            "parley_archive_restarts",
            "How often the archive's process was started again",
            lambda: [((), int(restarts()))],
        )

        metrics.watch_counter(
            "parley_edits_without_effect",
            "Edits that changed nothing, for each list of the archive, and for each message that waits",
            lambda: self._edit_samples(archive()),
            ("where", "why"),
        )

    @staticmethod
    def _dropped(archive: Archive | None) -> int:
        return 0 if archive is None else archive.collector.dropped + archive.process.handover.dropped

    @staticmethod
    def _not_kept_samples(archive: Archive | None) -> Samples:
        found = archive.process.handover.not_kept if archive is not None else {}
        return [((whose.value,), found.get(whose.value, 0)) for whose in Refused]

    def _edit_samples(self, archive: Archive | None) -> Samples:
        found = archive.process.handover.edits_without_effect if archive is not None else {}
        for why in WithoutEffect:
            yield ("archive", why.value), found.get(why.value, 0)
        yield ("mailbox", WithoutEffect.UNPROVEN.value), self._mail_edits_refused

    def _samples(self) -> Samples:
        fast = {} if self.fast_path is None else {"local": self.fast_path.local, "remote": self.fast_path.remote}
        for scope, counts in (("local", self._reported_local), ("remote", self._reported_remote)):
            for number, count in zip(Status.Status.values(), counts, strict=True):
                by_fast_path = fast.get(scope, 0) if number == Status.DELIVERED else 0
                yield (scope, Status.Status.Name(number).lower()), count + by_fast_path

    def count_status(self, scope: str, status: int) -> None:
        """An author was given a status; a number that this version does not know is 0, UNKNOWN_STATUS."""
        counts = self._reported_local if scope == "local" else self._reported_remote
        counts[status if status < len(counts) else 0] += 1

    def forged(self, kind: str) -> None:
        """Another server sent a forged one: a `copy` of a message to a group, or a `message`."""
        self._forged[kind] += 1

    def edit_refused(self) -> None:
        """An edit may not change a message that waits."""
        self._mail_edits_refused += 1

    def device_list_came(self, verdict: ListVerdict) -> None:
        """Another server told the devices of a user."""
        self._device_lists[verdict.value] += 1

    def searched(self, is_whole: bool) -> None:
        """A search for people is over; whether nobody can have been left out."""
        self._searches["whole" if is_whole else "part"] += 1

    def delivered(self, envelopes: Iterable[Envelope], server_id: str, now: float) -> None:
        """Recipients have these; one that waited counts as the mailbox's, whoever it is for."""
        buckets, arrived, run = self._local, now, 0
        for envelope in envelopes:
            if envelope.was_kept:
                wanted = self._mailbox
            else:
                wanted = self._local if envelope.recipient.server_id == server_id else self._remote
            if envelope.arrived == arrived and wanted is buckets:
                run += 1
            else:
                buckets.observe(now - arrived, run)
                buckets, arrived, run = wanted, envelope.arrived, 1
        buckets.observe(now - arrived, run)

    def delivered_together(self, arrived: float, count: int, now: float) -> None:
        """So many members of a group, at another server, have a message that none of them waited for."""
        self._reported_remote[Status.DELIVERED] += count
        self._remote.observe(now - arrived, count)

    def committed(self, seconds: float, writes: int) -> None:
        """So much was written at once; called on the mailbox's thread, and nowhere else."""
        self._commits.observe(seconds)
        self._groups.observe(writes)
