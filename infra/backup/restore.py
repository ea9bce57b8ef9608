"""Restoration of a backup into an empty database, and the erasures since it was made."""

import shutil
import zipfile
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, delete, func, insert, inspect, select, text
from sqlalchemy.orm import Session

from infra.access import console_sessions
from infra.backup.archive import REVISIONS, entry_of, note, opened_archive, place_of, read_rows, reflected_tables
from infra.db.core_tables import organisations
from infra.db.engine import address_of
from infra.db.migrate import changing, upgrade
from infra.errors import BackupError
from infra.file_modes import FOLDER_MODE, whole_file
from infra.privacy import erasure, erasure_log, folders
from infra.privacy.erasure_log import RecordedErasure
from infra.privacy.export import personal_tables
from infra.privacy.statements import member_ids_of_statements
from infra.settings.settings import Settings

BATCH = 2_000
MARGIN = timedelta(minutes=10)
"""An erasure that began so long before the backup may have ended after it."""


def restore(
    engine: Engine, settings: Settings, path: Path, *, erasures: Sequence[Path] = (), actor: str, now: datetime
) -> dict[str, Any]:
    """Restore a backup into a database without tables, and apply the erasures since it was made; return the figures.

    Parameters
    ----------
    erasures : sequence of Path
        Records of erasures beside the one in the folder of artefacts.

    Returns
    -------
    dict
        ``made_at, rows, artefacts``; ``erased``, the number of members; ``left``, what could not be erased of them.

    Raises
    ------
    BackupError
        The file is no backup, or the database has tables already.
    DatabaseError
        The database cannot be used, or the backup is of a newer version.
    """
    recorded = _recorded_erasures(settings, erasures)
    with (
        changing(engine) as config,  # whatever ends it before: no database with erased members is left
        Session(config.attributes["connection"]) as session,
        opened_archive(path) as (archive, manifest),
    ):
        if {*inspect(session.connection()).get_table_names()} - {REVISIONS}:
            raise BackupError(f"database {address_of(engine)} has tables; restore into an empty one, then use that")
        upgrade(config, manifest["revision"])
        rows = _load(session, archive, expected=manifest["rows"])
        upgrade(config)
        made_at, n_files = manifest["made_at"], _extract(archive, settings.artefacts_folder)
        console_sessions.close_all(session)  # backups of earlier versions hold some
        for organisation_key in session.scalars(select(organisations.c.organisation_key)).all():
            folders.record(session, organisation_key, folders.ARTEFACTS, settings.artefacts_folder)
        since = [each for each in recorded if each.erased_at >= made_at - MARGIN]
        erased, left = _erase_again(session, settings, since, actor=actor, now=now)
        note(session, actor, "backup.restore", {"made_at": made_at.isoformat(), "erased": erased}, now)
    erasure.empty_log(engine)
    figures = {"made_at": made_at, "rows": sum(rows.values()), "artefacts": n_files}
    return {**figures, "erased": erased, "left": left}


def _load(session: Session, archive: zipfile.ZipFile, *, expected: dict[str, int]) -> dict[str, int]:
    """Write the rows of all tables; return their number by table.

    Raises
    ------
    ValueError
        There are other numbers than expected.
    """
    connection = session.connection()
    counts = {}
    for table in reflected_tables(connection):
        session.execute(delete(table))  # what a migration wrote
        counts[str(table.name)] = 0
        with archive.open(entry_of(table)) as file:
            source = read_rows(file, table)
            while rows := list(islice(source, BATCH)):
                session.execute(insert(table), rows)
                counts[str(table.name)] += len(rows)
        if connection.dialect.name == "postgresql":
            _advance_sequence(connection, table)
    if counts != expected:
        raise ValueError(f"the tables have {counts} rows, not {expected}")
    return counts


def _advance_sequence(connection: Connection, table: Any) -> None:
    """Let a PostgreSQL sequence go on after the greatest key."""
    for column in table.primary_key:
        place = {"table": table.name, "column": column.name}
        sequence = connection.scalar(text("SELECT pg_get_serial_sequence(:table, :column)"), place)
        greatest = connection.scalar(select(func.max(column))) if sequence else None
        if greatest is not None:
            connection.execute(
                text("SELECT setval(:sequence, :greatest)"), {"sequence": sequence, "greatest": greatest}
            )


def _extract(archive: zipfile.ZipFile, folder: Path) -> int:
    """Write the artefacts that are not there; return the number of those in the archive."""
    names = [name for name in archive.namelist() if name.startswith("artefacts/")]
    for name in names:
        place = place_of(folder, name)
        if place.exists():
            continue
        place.parent.mkdir(parents=True, exist_ok=True, mode=FOLDER_MODE)
        with archive.open(name) as source, whole_file(place) as file:
            shutil.copyfileobj(source, file)
    return len(names)


def _recorded_erasures(settings: Settings, erasures: Sequence[Path]) -> list[RecordedErasure]:
    """Return all erasures of some records and of the one in the folder of artefacts."""
    own = settings.artefacts_folder / erasure_log.NAME
    try:
        return list(erasure_log.read([*erasures, *([own] if own.exists() else [])]))
    except (ValueError, KeyError, TypeError) as error:
        raise BackupError(f"a record of erasures is damaged: {error}; mend the line, and restore again") from error


def _erase_again(
    session: Session, settings: Settings, recorded: Sequence[RecordedErasure], *, actor: str, now: datetime
) -> tuple[int, list[str]]:
    """Erase the members of recorded erasures; return their number, and what is left."""
    digests: dict[str, set[str]] = {}
    for organisation, digest, _ in recorded:
        digests.setdefault(organisation, set()).add(digest)
    count, left = 0, []
    for organisation, wanted in digests.items():
        for organisation_key, member_id in list(
            _members_among(session, organisation, wanted, home_page=settings.xapi_home_page or None)
        ):
            left += erasure.erase(session, settings, organisation_key, member_id, actor=actor, now=now)["left"]
            count += 1
    return count, left


def _members_among(
    session: Session, organisation: str, digests: set[str], *, home_page: str | None
) -> Iterator[tuple[int, str]]:
    """Yield the organisation's key and the id of every member whose digest is one of these."""
    query = select(organisations.c.organisation_key, organisations.c.erasure_key)
    owner = session.execute(query.where(organisations.c.name == organisation)).one_or_none()
    if owner is None:
        return
    ids: set[str] = set(member_ids_of_statements(session, owner.organisation_key, home_page=home_page))
    for table in personal_tables():
        own = table.c.organisation_key == owner.organisation_key
        ids.update(session.scalars(select(table.c.member_id).distinct().where(own, table.c.member_id.is_not(None))))
    for member_id in sorted(ids):
        if erasure_log.digest_of(member_id, owner.erasure_key) in digests:
            yield owner.organisation_key, member_id
