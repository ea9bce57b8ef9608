"""Request counts per caller and minute: exact in each process, shared between processes through the database."""

import hashlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import delete
from sqlalchemy.orm import Session

from infra.db.access_tables import rate_counts
from infra.db.bulk import insert_into

WINDOW_SECONDS: Final = 60
CallerKey = tuple[int, str]
"""Key of the organisation, and the actor: a key id or the subject of a token."""


@dataclass(slots=True)
class MinuteCounts:
    """Request counts of one minute, by caller.

    Attributes
    ----------
    minute : int
        Number of the minute since 1970.
    here : dict
        Requests of this process.
    sent : dict
        Of these, how many are in the database already.
    elsewhere : dict
        Requests of the other processes, as far as they are in the database.
    """

    minute: int
    here: dict[CallerKey, int] = field(default_factory=dict)
    sent: dict[CallerKey, int] = field(default_factory=dict)
    elsewhere: dict[CallerKey, int] = field(default_factory=dict)

    def mark_shared(self, counts: Mapping[CallerKey, int], totals: Mapping[CallerKey, int]) -> None:
        """Take over the totals of all processes, once the shared counts are committed."""
        for caller, count in counts.items():
            self.sent[caller] = self.sent.get(caller, 0) + count
            self.elsewhere[caller] = totals[caller] - self.sent[caller]


class RequestCounts:
    """Counts requests in windows of a minute, the same for all processes and callers.

    Parameters
    ----------
    clock : callable
        Seconds since 1970.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._now = MinuteCounts(0)

    def count(self, caller: CallerKey) -> tuple[int, int]:
        """Count a request; return how many the caller has made in this minute, and the seconds until the next."""
        minute, passed = divmod(self._clock(), WINDOW_SECONDS)
        if minute != self._now.minute:
            # Counts of earlier minutes are dropped at once, so no caller stays in memory longer.
            self._now = MinuteCounts(int(minute))
        now = self._now
        count = now.here[caller] = now.here.get(caller, 0) + 1
        return count + now.elsewhere.get(caller, 0), max(1, round(WINDOW_SECONDS - passed))

    def unshared(self) -> tuple[MinuteCounts, dict[CallerKey, int]]:
        """Return the counts of this minute, and the requests that are not in the database yet."""
        now = self._now
        counts = now.here.copy()  # one atomic step: requests come in meanwhile
        return now, {
            caller: count - sent for caller, count in counts.items() if count > (sent := now.sent.get(caller, 0))
        }


def share(session: Session, minute: int, counts: Mapping[CallerKey, int]) -> dict[CallerKey, int]:
    """Add requests of a minute to the counts in the database; return the totals of all processes, by caller.

    Callers are stored as hashes; minutes before the last one are deleted.
    """
    if not counts:
        return {}
    names = {_name(caller): caller for caller in counts}
    of = rate_counts.c
    session.execute(delete(rate_counts).where(of.minute < minute - 1))
    # One order for all writers prevents deadlocks.
    rows = [
        {"organisation_key": key, "minute": minute, "caller": name, "count": counts[names[key, name]]}
        for key, name in sorted(names)
    ]
    new = insert_into(session, rate_counts)
    added = new.on_conflict_do_update(
        index_elements=[of.organisation_key, of.minute, of.caller],
        set_={"count": of.count + new.excluded.count},
    )
    totals = session.execute(added.returning(of.organisation_key, of.caller, of.count), rows).all()
    return {names[key, name]: count for key, name, count in totals}


def _name(caller: CallerKey) -> CallerKey:
    """Return the hashed caller, as stored."""
    return caller[0], hashlib.sha256(caller[1].encode("utf-8", "surrogatepass")).hexdigest()[:32]
