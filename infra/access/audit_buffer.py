"""What happens too often for a write each: readings of members' lists, uses of keys, and requests that are counted.

They are noted in memory and written by a thread, at most :data:`DELAY_SECONDS` later and when the service stops. A
process that is killed loses what it noted since; while the database is away the notes wait, and beyond
:data:`MOST_NOTES` of them readings are refused rather than left out.
"""

import threading
from collections import Counter, defaultdict
from collections.abc import Callable
from datetime import UTC, datetime

from sqlalchemy import Engine

from infra.access import api_keys, audit
from infra.access import rate_counts as rates
from infra.access.rate_counts import Rates
from infra.db.engine import transaction
from infra.errors import DatabaseError

DELAY_SECONDS = 0.25
"""After each write SQLite's other connections read their pages anew, so rarely; what is written at once holds up the
requests meanwhile, so not too rarely."""
MOST_NOTES = 500_000
Reading = tuple[int, str, str, str]
"""Key of the organisation, actor, action, id of the member."""


class Readings:
    """Notes of readings and uses, written behind; :meth:`start` it, and :meth:`close` it at the end.

    What ``rates`` count is told to the other processes on the way.
    """

    def __init__(
        self, engine: Engine, rates: Rates, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._engine = engine
        self._rates = rates
        self._clock = clock
        self._readings: list[Reading] = []
        self._uses: dict[str, datetime] = {}
        self._flushing = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="readings", daemon=True)

    def start(self) -> None:
        """Begin to write behind."""
        self._thread.start()

    def close(self) -> None:
        """Write what is noted, and end."""
        self._stop.set()
        self._thread.join()

    def note(self, organisation_key: int, actor: str, action: str, member_id: str) -> None:
        """Note that somebody read something of a member.

        Raises
        ------
        DatabaseError
            Too many notes wait, because the database has been away for long.
        """
        if len(self._readings) >= MOST_NOTES:
            raise DatabaseError(f"{MOST_NOTES:,} readings wait to be written; is the database running?")
        self._readings.append((organisation_key, actor, action, member_id))

    def note_use(self, key_id: str, now: datetime) -> None:
        """Note that a key was used."""
        self._uses[key_id] = now

    @property
    def waiting(self) -> int:
        """How many readings are not written yet."""
        return len(self._readings)

    def flush(self) -> None:
        """Write what is noted, in the order in which it was.

        Raises
        ------
        DatabaseError
            The notes are kept for the next time.
        """
        with self._flushing:
            count, uses = len(self._readings), dict(self._uses)
            minute, requests = self._rates.untold()
            if not count and not uses and not requests:
                return
            with transaction(self._engine) as session:
                api_keys.note_uses(session, uses)
                totals = rates.share(session, minute.minute, requests)
                for (organisation_key, actor, action), counted in _grouped(self._readings[:count]).items():
                    names = audit.subjects(session, organisation_key, counted)
                    told = {names[member_id]: times for member_id, times in counted.items()}
                    audit.append(
                        session,
                        organisation_key,
                        actor=actor,
                        action=action,
                        subject=None,
                        now=self._clock(),
                        detail={"subjects": told},
                    )
            minute.told(requests, totals)
            del self._readings[:count]
            for key_id, at in uses.items():
                if self._uses.get(key_id) == at:
                    del self._uses[key_id]

    def _run(self) -> None:
        while not self._stop.wait(DELAY_SECONDS):
            self._try()
        self._try()

    def _try(self) -> None:
        try:
            self.flush()
        except DatabaseError:
            return  # they wait; requests tell that the database is away


def _grouped(readings: list[Reading]) -> dict[tuple[int, str, str], Counter[str]]:
    grouped: defaultdict[tuple[int, str, str], Counter[str]] = defaultdict(Counter)
    for organisation_key, actor, action, member_id in readings:
        grouped[organisation_key, actor, action][member_id] += 1
    # One order for all writers: each waits for the heads of organisations that come later, and none for another's.
    return dict(sorted(grouped.items()))
