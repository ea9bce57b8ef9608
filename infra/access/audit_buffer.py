"""Write-behind buffer for audited reads, key usage and request counts.

A thread writes them at most :data:`FLUSH_SECONDS` later and when the service stops. A process that is killed loses what
it buffered since. While the database is away the buffer grows; beyond :data:`MAX_BUFFERED` reads are refused rather
than left out of the log.
"""

import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime

import structlog
from sqlalchemy import Engine
from sqlalchemy.exc import DataError
from sqlalchemy.orm import Session

from infra.access import api_keys, audit, rate_counts
from infra.access.rate_counts import RequestCounts
from infra.db.engine import transaction
from infra.errors import DatabaseError

FLUSH_SECONDS = 0.25
"""Each flush invalidates the page caches of SQLite's other connections, and a large one blocks requests."""
MAX_BUFFERED = 500_000
UNSTORABLE = (DataError, ValueError, TypeError)
"""Errors of texts that cannot be written, now or later; after all others the buffer keeps everything."""
Read = tuple[int, str, str, str]
"""Key of the organisation, actor, action, id of the member."""
ReadGroup = tuple[tuple[int, str, str], Counter[str]]
"""Key of the organisation, actor and action; number of reads by member id."""

log = structlog.get_logger("xuelu.audit")


class AuditBuffer:
    """Buffer of reads and key uses; :meth:`start` it, and :meth:`close` it at the end.

    The thread also shares ``request_counts`` with the other processes, and calls ``note_pending`` with the number of
    reads that are left each time that it has tried to write them.
    """

    def __init__(
        self,
        engine: Engine,
        request_counts: RequestCounts,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        note_pending: Callable[[int], None] = lambda _number: None,
    ) -> None:
        self._engine = engine
        self._note_pending = note_pending
        self._request_counts = request_counts
        self._clock = clock
        self._reads: list[Read] = []
        self._key_uses: dict[str, datetime] = {}
        self._flushing = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="audit", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def close(self) -> None:
        """Write what is buffered, and stop the thread."""
        self._stop.set()
        self._thread.join()

    def record_read(self, organisation_key: int, actor: str, action: str, member_id: str) -> None:
        """Buffer the read of a member's data.

        Raises
        ------
        DatabaseError
            The buffer is full, because the database has been away for long.
        """
        if len(self._reads) >= MAX_BUFFERED:
            raise DatabaseError(f"{MAX_BUFFERED:,} reads wait to be written; is the database running?")
        self._reads.append((organisation_key, actor, action, member_id))

    def record_key_use(self, key_id: str, now: datetime) -> None:
        """Buffer the use of a key."""
        self._key_uses[key_id] = now

    @property
    def pending(self) -> int:
        """Number of reads that are not written yet."""
        return len(self._reads)

    def flush(self) -> None:
        """Write what is buffered, in the order in which it came.

        Reads that cannot be written at all are logged and dropped, so that they do not hold up all others.

        Raises
        ------
        DatabaseError, DBAPIError
            The buffer keeps everything for the next time.
        """
        with self._flushing:
            reads, uses = self._reads[:], dict(self._key_uses)
            minute, requests = self._request_counts.unshared()
            if not reads and not uses and not requests:
                return
            groups = _grouped(reads)
            try:
                with transaction(self._engine) as session:
                    # Before the head of the log, as everybody who writes a key does: no deadlock with its revocation.
                    totals = _write_usage(session, minute.minute, uses, requests)
                    self._append(session, groups)
            except UNSTORABLE:
                self._append_each(groups)
                with transaction(self._engine) as session:
                    totals = _write_usage(session, minute.minute, uses, requests)
            minute.mark_shared(requests, totals)
            del self._reads[: len(reads)]
            for key_id, at in uses.items():
                if self._key_uses.get(key_id) == at:
                    del self._key_uses[key_id]

    def _append(self, session: Session, groups: Sequence[ReadGroup]) -> None:
        for (organisation_key, actor, action), counts in groups:
            audit.append_reads(session, organisation_key, actor=actor, action=action, reads=counts, now=self._clock())

    def _append_each(self, groups: Sequence[ReadGroup]) -> None:
        """Append each group in a transaction of its own, and drop those that no database takes."""
        for group in groups:
            try:
                with transaction(self._engine) as session:
                    self._append(session, [group])
            except UNSTORABLE:
                (organisation_key, _, action), counts = group
                log.exception(
                    "reads cannot be written to the audit log",
                    organisation_key=organisation_key,
                    action=action,
                    reads=counts.total(),
                )

    def _run(self) -> None:
        while not self._stop.wait(FLUSH_SECONDS):
            self._try_flush()
        self._try_flush()

    def _try_flush(self) -> None:
        try:
            self.flush()
        except DatabaseError:
            return  # kept for the next time; requests report the outage
        except Exception:  # the thread must outlive any fault: without it no read is logged
            log.exception("the audit buffer cannot be written")
        finally:
            self._note_pending(self.pending)


def _write_usage(
    session: Session,
    minute: int,
    uses: Mapping[str, datetime],
    requests: Mapping[rate_counts.CallerKey, int],
) -> dict[rate_counts.CallerKey, int]:
    api_keys.note_uses(session, uses)
    return rate_counts.share(session, minute, requests)


def _grouped(reads: Sequence[Read]) -> list[ReadGroup]:
    groups: defaultdict[tuple[int, str, str], Counter[str]] = defaultdict(Counter)
    for organisation_key, actor, action, member_id in reads:
        groups[organisation_key, actor, action][member_id] += 1
    # One order for all writers prevents deadlocks on the heads of the chains.
    return sorted(groups.items())
