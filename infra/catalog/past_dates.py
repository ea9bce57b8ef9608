"""Warnings about requirements and curations that are sound, but whose last day has passed already."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import pandas as pd


def warning_of(kind: str, row: Mapping[Any, Any], now: datetime) -> str | None:
    """Return the warning about a checked row or a stored record of a kind; None where there is none.

    >>> row = {"requirement_id": "road", "due_on": "2026-01-31", "recurrence": None}
    >>> warning_of("requirements", row, datetime.fromisoformat("2026-03-02T00:00Z"))
    "requirement 'road': due_on 2026-01-31 has passed; who has not met it is overdue at once"
    """
    if kind == "requirements" and _is_before(row["due_on"], pd.Timestamp(now).floor("D")) and not row["recurrence"]:
        return (
            f"requirement {row['requirement_id']!r}: due_on {str(row['due_on'])[:10]} has passed; "
            "who has not met it is overdue at once"
        )
    if kind == "curations" and _is_before(row["ends_at"], pd.Timestamp(now)):
        return f"curation {row['curation_id']!r}: ends_at {row['ends_at']} has passed; it holds for no one"
    return None


def _is_before(value: Any, moment: pd.Timestamp) -> bool:
    """Return whether a time, or a day as text, is before a moment; a missing one is not."""
    return not pd.isna(value) and pd.to_datetime(value, utc=True) < moment
