"""Backup: one state of the database, and the artefacts of its runs, while everything goes on."""

import zipfile
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson
from alembic.migration import MigrationContext
from sqlalchemy import Engine, false, select
from sqlalchemy.orm import Session

from infra.backup.archive import EMPTIED, FORMAT, MANIFEST, entry_of, new_archive, note, reflected_tables, write_rows
from infra.db.core_tables import runs
from infra.db.engine import check_migrated, snapshot, transaction
from infra.privacy import erasure_log
from infra.settings.settings import Settings
from infra.training import examples

BATCH = 2_000


def backup(engine: Engine, settings: Settings, path: Path, *, actor: str, now: datetime) -> dict[str, Any]:
    """Write database and artefacts into a new file; return its figures.

    Settings and secrets of the environment are no part of it, the key for receipts least of all, nor are sessions of
    the console.

    Raises
    ------
    BackupError
        There is a file of this name.
    DatabaseError
        The database is not at the newest migration, or cannot be reached.
    """
    check_migrated(engine)
    with transaction(engine) as session:
        erasure_log.make_keys(session)
    with new_archive(path) as archive, snapshot(engine) as session:
        connection = session.connection()
        revision = MigrationContext.configure(connection).get_current_revision()
        rows = {}
        for table in reflected_tables(connection):
            query = select(table) if table.name not in EMPTIED else select(table).where(false())
            result = session.execute(query.execution_options(yield_per=BATCH))
            with archive.open(entry_of(table), "w", force_zip64=True) as file:
                rows[str(table.name)] = write_rows(file, table, result)
        artefacts = _write_artefacts(session, archive, settings.artefacts_folder)
        manifest = {"format": FORMAT, "made_at": now, "revision": revision, "rows": rows, "artefacts": artefacts}
        archive.writestr(MANIFEST, orjson.dumps(manifest, option=orjson.OPT_INDENT_2))
    with transaction(engine) as session:
        note(session, actor, "backup.write", {"rows": sum(rows.values())}, now)
    return {"file": str(path), "bytes": path.stat().st_size, "rows": sum(rows.values()), "artefacts": artefacts}


def _write_artefacts(session: Session, archive: zipfile.ZipFile, folder: Path) -> int:
    """Write the files of finished and begun runs and of training examples; return their number.

    A file that a night removes meanwhile is left out: the run's digests say what is missing.
    """
    names = [*session.scalars(select(runs.c.run_id)), examples.FOLDER]
    count = 0
    for file in sorted(file for name in names for file in (folder / name).rglob("*") if file.is_file()):
        try:
            archive.write(file, f"artefacts/{file.relative_to(folder).as_posix()}")
        except FileNotFoundError:
            continue
        count += 1
    return count
