"""Erasure of a member: removes everything that names it, in the database and in files, and says what is left."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Engine, delete, event, exists, select, text, update
from sqlalchemy.orm import Session

from infra.access import audit, console_sessions
from infra.catalog import organisations
from infra.db import bulk
from infra.db.access_tables import audit_subjects
from infra.db.core_tables import SAME_ENTRIES, events, imports, list_entries, lists, members
from infra.db.core_tables import runs as run_table
from infra.db.delivery_tables import deliveries, delivery_attempts, endpoints
from infra.errors import UnknownMemberError
from infra.ingest import rejects
from infra.lrs import store as lrs
from infra.privacy import erasure_log, export, folders, receipts, remains
from infra.privacy.artefacts import erase_from_artefacts
from infra.privacy.data_subject import DataSubject
from infra.privacy.export import personal_tables, voids_of
from infra.privacy.files import erase_batches, erase_rejects, remove_export, remove_replacements, remove_unfinished
from infra.runs import store as runs
from infra.runs.store import ANYONE
from infra.settings.settings import Settings

LAST: Final = (audit_subjects, members)
"""Tables erased after the entry in the audit log, which needs the member's secret once more."""
MAX_IMPORT_AGE: Final = timedelta(days=1)
"""An import that began earlier and is not finished was stopped."""


def erase(
    session: Session, settings: Settings, organisation_key: int, member_id: str, *, actor: str, now: datetime
) -> dict[str, Any]:
    """Erase a member of an organisation and report what went and what is left.

    Run it again where something is left or it failed in between: what is gone already does no harm.

    Returns
    -------
    dict
        ``member_id, erased_at``; ``erased``, the number of rows by table and of lines of files; ``left``, what could
        not be erased and how to finish; ``receipt``, None where no key is set.

    Raises
    ------
    UnknownMemberError
        There is no data of a member of this id.
    ReceiptError
        The key for receipts is not valid; nothing was erased.
    """
    if member_id == ANYONE:
        raise UnknownMemberError("a member has an id; give one")
    organisation = organisations.name_of(session, organisation_key)
    subject = DataSubject(session, settings, organisation_key, organisation, member_id)
    moments = subject.statements()
    erased: dict[str, int] = {}
    erased["lines_of_rejects"], left = _erase_rejects(subject)
    erased["lists_in_batches"], left_batches = _erase_batches(subject)
    left += left_batches
    if not moments and not any(erased.values()) and not export.is_known(session, organisation_key, member_id):
        raise UnknownMemberError(f"no member {member_id!r}; check the id")
    _empty_log_on_commit(session)
    left += erase_from_artefacts(subject)
    left += _batches_under_way(session, organisation_key, now)
    left += erasure_log.record(session, settings.artefacts_folder, organisation_key, member_id, now=now)
    erased |= _erase_rows(subject, moments)
    # The member before the head of the log, as who changes the member locks them: no deadlock of the two.
    session.execute(select(members.c.member_id).where(subject.rows(members)).with_for_update())
    # An export puts its files in place under this lock: they are there by now, or it begins again without the member.
    audit.lock(session, organisation_key)
    erased["files_of_exports"], left_exports = _remove_exports(subject)
    left += left_exports
    left += _imports_under_way(session, organisation_key, now)
    left += remains.of_subject(subject, besides=LAST)
    left += remains.as_actor(subject, eraser=actor)
    left = list(dict.fromkeys(left))
    detail = {"erased": {name: number for name, number in erased.items() if number}, "complete": not left}
    audit.append(
        session, organisation_key, actor=actor, action="members.erase", subject=member_id, now=now, detail=detail
    )
    erased |= {str(table.name): _count(session, delete(table).where(subject.rows(table))) for table in LAST}
    counted = {name: number for name, number in erased.items() if number}
    claims = {"iss": "xuelu", "iat": int(now.timestamp()), "organisation": organisation, "sub": member_id}
    key = settings.receipt_key
    receipt = receipts.sign({**claims, "erased": counted, "complete": not left}, key) if key else None
    return {"member_id": member_id, "erased_at": now, "erased": counted, "left": left, "receipt": receipt}


def _erase_rows(subject: DataSubject, moments: Sequence[datetime]) -> dict[str, int]:
    """Remove a member's rows, except those in :data:`LAST`; return their number by table."""
    session, organisation_key, member_id = subject.session, subject.organisation_key, subject.member_id
    erased = {"voids": _count(session, delete(events).where(voids_of(organisation_key, member_id)))}
    erased["statements"] = lrs.erase(session, organisation_key, moments)
    erased["lists"], erased["list_entries"] = _erase_lists(subject)
    pushes = select(deliveries.c.delivery_key).where(subject.rows(deliveries))
    # A restoration has SQLite check references at its end, so that nothing cascades.
    session.execute(delete(delivery_attempts).where(delivery_attempts.c.delivery_key.in_(pushes)))
    tables = [table for table in personal_tables() if table not in (*LAST, lists)]
    erased |= {str(table.name): _count(session, delete(table).where(subject.rows(table))) for table in tables}
    erased["texts"] = remains.redact(subject)
    erased["console_sessions"] = console_sessions.close_of_subject(session, organisation_key, member_id)
    runs.discount_events(session, organisation_key, erased.get("events", 0))
    _unname_checks(subject)
    return erased


def _remove_exports(subject: DataSubject) -> tuple[int, list[str]]:
    """Remove exported files, which may name the member; return their number, and what is left."""
    places, elsewhere = subject.folders(folders.EXPORTS)
    left, total = [f"an export in {place}; remove it, and export again" for place in elsewhere], 0
    for place in places:
        try:
            total += remove_export(place, subject.organisation)
        except OSError as error:
            left.append(f"the export in {place} cannot be removed ({error.strerror}); remove it")
    return total, left


def _count(session: Session, statement: Any) -> int:
    result: Any = session.execute(statement, execution_options={"preserve_rowcount": True})
    return int(result.rowcount)


def _erase_lists(subject: DataSubject) -> tuple[int, int]:
    """Remove a member's lists, and their entries where no other member has the same; return the number of each."""
    session, own_lists = subject.session, subject.rows(lists)
    hashes = session.scalars(select(lists.c.entries_hash).where(own_lists)).all()
    session.execute(delete(lists).where(own_lists))
    own = (list_entries.c.organisation_key == subject.organisation_key) & bulk.any_of(
        list_entries.c.entries_hash, hashes
    )
    return len(hashes), _count(session, delete(list_entries).where(own, ~exists().where(SAME_ENTRIES)))


def _unname_checks(subject: DataSubject) -> None:
    """Remove a member's id from the checks of runs, which name some of the members that a check failed for."""
    table, session, member_id = run_table.c, subject.session, subject.member_id
    of_organisation = table.organisation_key == subject.organisation_key
    for run_key, checks in session.execute(select(table.run_key, table.checks).where(of_organisation)).all():
        if any(member_id in check["detail"] for check in checks):
            unnamed = [runs.without_members(check) if member_id in check["detail"] else check for check in checks]
            session.execute(update(run_table).where(table.run_key == run_key).values(checks=unnamed))


def _erase_rejects(subject: DataSubject) -> tuple[int, list[str]]:
    """Remove a member's lines from the rejects files of all folders; return the number, and what is left."""
    places, elsewhere = subject.folders(folders.REJECTS, subject.settings.rejects_folder)
    left = [f"rejects in {place}; run this again there, or remove the folder" for place in elsewhere]
    others = select(imports.c.file_name).where(imports.c.organisation_key != subject.organisation_key)
    of_others = set(subject.session.scalars(others))
    total = 0
    for place in places:
        folder = rejects.folder_of(place, subject.organisation)
        remove_replacements([place, folder])
        own = [*folder.glob(f"*{rejects.ENDING}*")]  # one that a killed import was writing, too
        # Files of earlier versions stand in no organisation's folder; those that others imported are theirs, too.
        flat = [*place.glob(f"*{rejects.ENDING}")]
        own += [path for path in flat if path.name.removesuffix(rejects.ENDING) not in of_others]
        for path in own:
            try:
                total += erase_rejects(path, subject.member_id)
            except OSError as error:
                left.append(f"{path} cannot be changed ({error.strerror}); remove it")
        shared = [path for path in flat if path not in own]
        left += [f"{path} may be of several organisations; remove it" for path in shared]
    return total, left


def _erase_batches(subject: DataSubject) -> tuple[int, list[str]]:
    """Remove a member's lists from the batch files of all endpoints; return the number, and what is left."""
    total, left = 0, []
    for endpoint_id, target in subject.batch_folders():
        try:
            remove_unfinished(target, endpoint_id)
            total += erase_batches(target, subject.organisation, subject.member_id)
        except (OSError, ValueError) as error:
            left.append(f"{target} cannot be changed ({error}); remove the member's lists there")
    return total, left


def _batches_under_way(session: Session, organisation_key: int, now: datetime) -> list[str]:
    """Return the batches that a worker may be writing now: the worker leaves the member out, unless it dies."""
    query = (
        select(endpoints.c.target, deliveries.c.leased_until)
        .join(deliveries, deliveries.c.endpoint_key == endpoints.c.endpoint_key)
        .where(
            endpoints.c.organisation_key == organisation_key,
            endpoints.c.kind != "webhook",
            deliveries.c.leased_until > now,
        )
        .order_by(deliveries.c.leased_until.desc())
    )
    until = {row.target: row.leased_until for row in session.execute(query)}
    return [
        f"a batch is being written to {target}; run this again after {moment:%Y-%m-%d %H:%M} UTC"
        for target, moment in until.items()
    ]


def _imports_under_way(session: Session, organisation_key: int, now: datetime) -> list[str]:
    """Return the imports that have written a part of what they read: the rest may name the member."""
    query = select(imports.c.file_name).where(
        imports.c.organisation_key == organisation_key,
        imports.c.status == "unfinished",
        imports.c.finished_at > now - MAX_IMPORT_AGE,
    )
    return [f"{name} is being imported; run this again when that has ended" for name in session.scalars(query)]


def _empty_log_on_commit(session: Session) -> None:
    """Empty SQLite's write-ahead log after the commit."""
    engine = session.connection().engine
    event.listen(session, "after_commit", lambda _session: empty_log(engine), once=True)


def empty_log(engine: Engine) -> None:
    """Empty SQLite's write-ahead log: it holds what was erased."""
    if engine.dialect.name == "sqlite":
        with engine.connect() as connection:
            connection.execute(text("PRAGMA wal_checkpoint(TRUNCATE)"))
