"""Erasing a member: everything that names it goes, in the database and in files."""

from datetime import datetime
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, delete, event, exists, select, text, update
from sqlalchemy.orm import Session

from infra.access import audit
from infra.db.access_tables import audit_subjects
from infra.db.core_tables import events, list_entries, lists, members, organisations
from infra.db.core_tables import runs as run_table
from infra.db.delivery_tables import endpoints
from infra.errors import UnknownMemberError
from infra.lrs import store as lrs
from infra.privacy import export, receipts
from infra.privacy.export import of_member, personal_tables, voids_of
from infra.privacy.files import erase_lines, erase_lists
from infra.runs import artefacts
from infra.runs import store as runs
from infra.settings.settings import Settings
from infra.training import examples

LAST: Final = (audit_subjects, members)
"""Go after the entry in the audit log, which needs the member's secret once more."""


def erase(
    session: Session, settings: Settings, organisation_key: int, member_id: str, *, actor: str, now: datetime
) -> dict[str, Any]:
    """Erase a member of an organisation; return ``member_id, erased_at, erased`` (rows by table, lines), ``receipt``.

    Run it again where it failed in between: what is gone already does no harm. The receipt is None where no key is set.

    Raises
    ------
    UnknownMemberError
        Nothing is held about anybody of this id.
    ReceiptError
        The key for receipts is none; nothing was erased.
    """
    if not export.is_known(session, organisation_key, member_id):
        raise UnknownMemberError(f"no member {member_id!r}; check the id")
    _overwrite_on_sqlite(session)
    of_organisation = select(organisations.c.name).where(organisations.c.organisation_key == organisation_key)
    name: str = session.execute(of_organisation).scalar_one()
    erased = {"voids": _count(session, delete(events).where(voids_of(organisation_key, member_id)))}
    home_page = settings.xapi_home_page or None
    erased["statements"] = lrs.erase(session, organisation_key, member_id, home_page=home_page)
    _stop_nights(session, settings, organisation_key)
    erased["lists"], erased["list_entries"] = _erase_lists(session, organisation_key, member_id)
    tables = [table for table in personal_tables() if table not in (*LAST, lists)]
    erased |= {str(table.name): _rows_of(session, table, organisation_key, member_id) for table in tables}
    _unname_checks(session, organisation_key, member_id)
    erased["lines_of_rejects"] = erase_lines(settings.rejects_folder.glob("*.rejects.csv"), member_id)
    erased["lists_in_batches"] = _erase_batches(session, organisation_key, name, member_id)
    counted = {name: number for name, number in erased.items() if number}
    detail = {"erased": counted}
    audit.append(
        session, organisation_key, actor=actor, action="members.erase", subject=member_id, now=now, detail=detail
    )
    for table in LAST:
        erased[str(table.name)] = _rows_of(session, table, organisation_key, member_id)
    told = {"member_id": member_id, "erased_at": now, "erased": {name: n for name, n in erased.items() if n}}
    claims = {"iss": "xuelu", "iat": int(now.timestamp()), "organisation": name, "sub": member_id}
    key = settings.receipt_key
    receipt = receipts.sign({**claims, "erased": told["erased"]}, key) if key else None
    return {**told, "receipt": receipt}


def _count(session: Session, statement: Any) -> int:
    result: Any = session.execute(statement, execution_options={"preserve_rowcount": True})
    return int(result.rowcount)


def _rows_of(session: Session, table: Any, organisation_key: int, member_id: str) -> int:
    return _count(session, delete(table).where(of_member(table, organisation_key, member_id)))


def _erase_lists(session: Session, organisation_key: int, member_id: str) -> tuple[int, int]:
    """Remove a member's lists, and their entries where no other member has the same; return how many of each."""
    mine = of_member(lists, organisation_key, member_id)
    contents = session.scalars(select(lists.c.entries_hash).where(mine)).all()
    session.execute(delete(lists).where(mine))
    same = exists().where(
        lists.c.organisation_key == list_entries.c.organisation_key, lists.c.entries_hash == list_entries.c.entries_hash
    )
    own = (list_entries.c.organisation_key == organisation_key) & list_entries.c.entries_hash.in_(contents)
    return len(contents), _count(session, delete(list_entries).where(own, ~same))


def _stop_nights(session: Session, settings: Settings, organisation_key: int) -> None:
    """Drop the night that is under way, what nights kept, and what they taught: all know the member still.

    Until the next night lists are those that were stored: models that learned from the member make no new ones.
    """
    runs.discard_unfinished(session, organisation_key)
    for run_id in session.scalars(select(run_table.c.run_id).where(run_table.c.organisation_key == organisation_key)):
        artefacts.remove(settings.artefacts_folder / run_id)
    for folder_of in (examples.folder_of, examples.former_folder_of):
        artefacts.remove(folder_of(settings.artefacts_folder, organisation_key))


def _unname_checks(session: Session, organisation_key: int, member_id: str) -> None:
    """Take a member's id out of the checks of runs, which name some of those that a check failed for."""
    table = run_table.c
    mine = table.organisation_key == organisation_key
    for run_key, checks in session.execute(select(table.run_key, table.checks).where(mine)).all():
        if any(member_id in check["detail"] for check in checks):
            unnamed = [
                check | {"detail": check["detail"].partition(", such as")[0]} if member_id in check["detail"] else check
                for check in checks
            ]
            session.execute(update(run_table).where(table.run_key == run_key).values(checks=unnamed))


def _erase_batches(session: Session, organisation_key: int, organisation: str, member_id: str) -> int:
    """Take the member's lists out of the batch files of all endpoints; return how many."""
    mine = (endpoints.c.organisation_key == organisation_key) & (endpoints.c.kind != "webhook")
    folders = session.scalars(select(endpoints.c.target).where(mine).distinct())
    return sum(erase_lists(Path(folder), organisation, member_id) for folder in folders)


def _overwrite_on_sqlite(session: Session) -> None:
    """See to it that SQLite overwrites what it deletes, and empties its log once the transaction is committed."""
    if session.get_bind().dialect.name != "sqlite":
        return
    session.execute(text("PRAGMA secure_delete = ON"))
    engine = session.connection().engine

    @event.listens_for(session, "after_commit", once=True)
    def _empty_log(_session: Session) -> None:
        with engine.connect() as connection:
            _checkpoint(connection)


def _checkpoint(connection: Connection) -> None:
    connection.execute(text("PRAGMA wal_checkpoint(TRUNCATE)"))
