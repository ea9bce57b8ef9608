"""Trials: backtests and searches of settings, stored with the digests of their settings, code and data."""

from datetime import datetime
from typing import Any, Final

import orjson
from sqlalchemy import func, insert, select
from sqlalchemy.orm import Session

from infra.db.core_tables import trials
from infra.errors import NotFoundError
from infra.runs.code_version import code_version
from infra.settings.settings import Settings

SECTIONS: Final = ("weights", "models", "ranker", "policy", "privacy", "objective")
"""Sections of the settings that a trial stores: lists or their figures depend on them, and none holds a secret."""


def record(session: Session, organisation_key: int, settings: Settings, trial: dict[str, Any], *, now: datetime) -> int:
    """Store a trial, and return its number within the organisation.

    Parameters
    ----------
    trial : dict
        ``kind``; ``subject``, the models of a backtest or the target of a search; ``span``, its cut-offs;
        ``data_digest``; ``results``: figures of many members, and of no single one, so that an erasure leaves them.
    """
    last = select(func.max(trials.c.number)).where(trials.c.organisation_key == organisation_key)
    number = (session.execute(last).scalar() or 0) + 1
    values = {
        "number": number,
        **trial,
        "results": orjson.loads(orjson.dumps(trial["results"])),  # NaN becomes null: PostgreSQL takes none
        "created_at": now,
        "settings_digest": settings.digest(),
        "code_version": code_version(),
        "settings": settings.model_dump(mode="json", include={*SECTIONS}),
    }
    session.execute(insert(trials).values(organisation_key=organisation_key, **values))
    return number


def all_of(session: Session, organisation_key: int) -> list[dict[str, Any]]:
    """Return the trials of an organisation, the newest first, without settings and results."""
    columns = [column for column in trials.c if column.name not in {"organisation_key", "settings", "results"}]
    query = select(*columns).where(trials.c.organisation_key == organisation_key).order_by(trials.c.number.desc())
    return [dict(row) for row in session.execute(query).mappings()]


def find(session: Session, organisation_key: int, number: int) -> dict[str, Any]:
    """Return a trial.

    Raises
    ------
    NotFoundError
        There is none of this number.
    """
    columns = [column for column in trials.c if column.name != "organisation_key"]
    query = select(*columns).where(trials.c.organisation_key == organisation_key, trials.c.number == number)
    row = session.execute(query).mappings().one_or_none()
    if row is None:
        raise NotFoundError(f"no trial {number}; `xuelu trials list` shows them")
    return dict(row)
