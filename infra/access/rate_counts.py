"""How often callers ask: counted in each process at once, and by all processes of the service together soon after."""

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
Caller = tuple[int, str]
"""An organisation's key, and who asks for it."""


@dataclass(slots=True)
class Counted:
    """What was counted in a minute, by caller.

    Attributes
    ----------
    minute : int
        Number of the minute since 1970.
    here : dict
        Requests of this process.
    sent : dict
        How many of these the other processes were told of.
    elsewhere : dict
        Requests of the other processes, as far as they told.
    """

    minute: int
    here: dict[Caller, int] = field(default_factory=dict)
    sent: dict[Caller, int] = field(default_factory=dict)
    elsewhere: dict[Caller, int] = field(default_factory=dict)

    def told(self, counts: Mapping[Caller, int], totals: Mapping[Caller, int]) -> None:
        """Note what the others were told, and what all have counted, once that is committed."""
        for caller, count in counts.items():
            self.sent[caller] = self.sent.get(caller, 0) + count
            self.elsewhere[caller] = totals[caller] - self.sent[caller]


class Rates:
    """Counts requests in windows of a minute, the same for all processes and callers.

    Parameters
    ----------
    clock : callable
        Seconds since 1970.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._now = Counted(0)

    def count(self, caller: Caller) -> tuple[int, int]:
        """Count a request; return how many the caller has made in this minute, and the seconds until the next."""
        minute, passed = divmod(self._clock(), WINDOW_SECONDS)
        if minute != self._now.minute:
            # What was counted before is forgotten at once, and no caller is kept longer.
            self._now = Counted(int(minute))
        now = self._now
        count = now.here[caller] = now.here.get(caller, 0) + 1
        return count + now.elsewhere.get(caller, 0), max(1, round(WINDOW_SECONDS - passed))

    def untold(self) -> tuple[Counted, dict[Caller, int]]:
        """Return this minute, and what the other processes were not told of yet."""
        now = self._now
        counts = now.here.copy()  # at once: requests come in meanwhile
        return now, {
            caller: count - sent for caller, count in counts.items() if count > (sent := now.sent.get(caller, 0))
        }


def share(session: Session, minute: int, counts: Mapping[Caller, int]) -> dict[Caller, int]:
    """Tell the other processes what was counted in a minute; return what all of them have, by caller.

    Callers stand in the database as hashes, and minutes before the last are let go.
    """
    if not counts:
        return {}
    names = {_name(caller): caller for caller in counts}
    of = rate_counts.c
    session.execute(delete(rate_counts).where(of.minute < minute - 1))
    # In one order for all writers: each waits for those before it, and none for another's.
    rows = [
        {"organisation_key": key, "minute": minute, "caller": name, "count": counts[names[key, name]]}
        for key, name in sorted(names)
    ]
    new = insert_into(session, rate_counts)
    added = new.on_conflict_do_update(
        index_elements=[of.organisation_key, of.minute, of.caller],
        set_={"count": of.count + new.excluded.count},
    )
    found = session.execute(added.returning(of.organisation_key, of.caller, of.count), rows).all()
    return {names[key, name]: count for key, name, count in found}


def _name(caller: Caller) -> Caller:
    """Return the caller as it stands in the database."""
    return caller[0], hashlib.sha256(caller[1].encode()).hexdigest()[:32]
