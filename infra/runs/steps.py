"""Steps of a run, recorded in the database as each finishes, so that a run can be resumed after the last one."""

from datetime import datetime
from typing import Any

from sqlalchemy import delete, insert, select, update
from sqlalchemy.orm import Session

from infra.db.core_tables import run_steps, runs
from infra.errors import RunDiscardedError
from infra.runs import store


def record(
    session: Session, run: dict[str, Any], name: str, *, now: datetime, figures: dict[str, Any], digest: str | None
) -> None:
    """Record a finished step of a run; ``figures`` are its ``seconds, rows, peak_bytes``.

    Raises
    ------
    RunDiscardedError
        As :func:`check_present`.
    """
    check_present(session, run)
    row = {"organisation_key": run["organisation_key"], "run_key": run["run_key"], "name": name}
    session.execute(insert(run_steps).values(**row, finished_at=now, **figures, artefact_digest=digest))


def check_present(session: Session, run: dict[str, Any]) -> None:
    """Refuse a run that is not stored any more; lock its row until the transaction ends.

    Raises
    ------
    RunDiscardedError
        An erasure discarded it, as it may have read the member.
    """
    # An UPDATE locks the row on PostgreSQL, and on SQLite it begins the transaction as the one writer.
    held = update(runs).where(runs.c.run_key == run["run_key"]).values(status=runs.c.status)
    if session.execute(held.returning(runs.c.run_key)).first() is None:
        raise RunDiscardedError("members were erased again and again while the night ran; run `xuelu nightly` again")


def forget(session: Session, run: dict[str, Any], names: list[str]) -> None:
    """Remove the records of steps that must run again."""
    session.execute(delete(run_steps).where(store.of_run(run_steps, run), run_steps.c.name.in_(names)))


def replace_digest(session: Session, run: dict[str, Any], name: str, digest: str) -> None:
    """Record another artefact for a step that has ended."""
    own = store.of_run(run_steps, run) & (run_steps.c.name == name)
    session.execute(update(run_steps).where(own).values(artefact_digest=digest))


def of_run(session: Session, run: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the finished steps of a run by name, in the order they finished."""
    columns = (
        run_steps.c[name] for name in ("name", "finished_at", "seconds", "rows", "peak_bytes", "artefact_digest")
    )
    query = select(*columns).where(store.of_run(run_steps, run)).order_by(run_steps.c.finished_at)
    rows = session.execute(query).mappings()
    return {row["name"]: dict(row) for row in rows}
