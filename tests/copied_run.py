"""A second run with the lists of a first one."""

from datetime import datetime
from typing import Any

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from infra.db.core_tables import lists
from infra.runs import store


def copied_run(session: Session, run: dict[str, Any], *, now: datetime) -> dict[str, Any]:
    """Store a run with the lists of another one, and return it."""
    record = {name: run[name] for name in ("settings_digest", "code_version", "seeds")}
    key = store.start(session, run["organisation_key"], as_of=now, now=now, record=record)
    rows = session.execute(select(lists).where(lists.c.run_key == run["run_key"])).mappings()
    session.execute(insert(lists), [{**row, "run_key": key} for row in rows])
    return store.get(session, key)
