"""Entries of the audit log, read whole by tests."""

from typing import Any

from sqlalchemy.orm import Session

from infra.access.audit_log import EntryFilter, page


def audit_entries(session: Session, organisation_key: int) -> list[dict[str, Any]]:
    """Return an organisation's entries from the first on."""
    return page(session, organisation_key, EntryFilter(), limit=1_000_000)[::-1]
