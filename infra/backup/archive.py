"""A backup as a ZIP file: ``manifest.json``, the rows of each table as JSON Lines, and artefacts of runs.

Rows are those that the columns hold, whichever database they come from: a backup of SQLite can be restored into
PostgreSQL and the other way round.
"""

import fcntl
import os
import zipfile
from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import IO, Any, Final

import orjson
from sqlalchemy import Connection, LargeBinary, MetaData, Table, select
from sqlalchemy.orm import Session

from infra.access import audit
from infra.db.core_tables import organisations
from infra.errors import BackupError
from infra.file_modes import FILE_MODE

MANIFEST: Final = "manifest.json"
FORMAT: Final = 1
REVISIONS: Final = "alembic_version"
EMPTIED: Final = frozenset({"console_sessions"})
"""Tables left empty in a backup: sessions are of no use after a restoration, and must not be in a lost file."""
OPTIONS: Final[dict[str, Any]] = {"compression": zipfile.ZIP_DEFLATED, "compresslevel": 1, "strict_timestamps": False}


@contextmanager
def new_archive(path: Path) -> Iterator[zipfile.ZipFile]:
    """Open a new archive, which stands at its place only once it is whole.

    Raises
    ------
    BackupError
        There is a file of this name, or another process is writing it.
    """
    if path.exists():
        raise BackupError(f"{path} exists; choose a name that is free, such as one with the date in it")
    part = path.with_name(f".{path.name}.part")
    with os.fdopen(os.open(part, os.O_RDWR | os.O_CREAT, FILE_MODE), "w+b") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise BackupError(f"another backup is writing {path}; wait for its end, or choose another name") from error
        try:
            file.truncate()  # what a killed backup left
            with zipfile.ZipFile(file, "w", **OPTIONS) as archive:
                yield archive
            file.flush()
            os.fsync(file.fileno())
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)


@contextmanager
def opened_archive(path: Path) -> Iterator[tuple[zipfile.ZipFile, dict[str, Any]]]:
    """Open an archive and read its manifest.

    Raises
    ------
    BackupError
        The file is no backup, is damaged, or of a later format.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            manifest = orjson.loads(archive.read(MANIFEST))
            if manifest["format"] != FORMAT:
                raise BackupError(f"{path} has format {manifest['format']}; restore it with the version that made it")
            yield archive, manifest | {"made_at": datetime.fromisoformat(manifest["made_at"])}
    except (zipfile.BadZipFile, KeyError, ValueError) as error:
        raise BackupError(f"{path} is no backup, or is damaged: {error}; use another copy") from error


def reflected_tables(connection: Connection) -> list[Table]:
    """Return the tables that a database has, those that others refer to first."""
    present = MetaData()
    present.reflect(connection)
    return [table for table in present.sorted_tables if table.name != REVISIONS]


def entry_of(table: Table) -> str:
    """Return the name of a table's rows in an archive."""
    return f"tables/{table.name}.jsonl"


def write_rows(file: IO[bytes], table: Table, rows: Iterable[Any]) -> int:
    """Write rows in the order of the table's columns, after a line with the names of these; return their number."""
    binary = [number for number, column in enumerate(table.c) if isinstance(column.type, LargeBinary)]
    file.write(orjson.dumps([str(column.name) for column in table.c]) + b"\n")
    count = 0
    for row in rows:
        values = list(row)
        for number in binary:
            values[number] = None if values[number] is None else b64encode(values[number]).decode()
        file.write(orjson.dumps(values) + b"\n")
        count += 1
    return count


def read_rows(file: IO[bytes], table: Table) -> Iterator[dict[str, Any]]:
    """Yield rows as :func:`write_rows` wrote them.

    Raises
    ------
    ValueError
        A column is not the table's.
    """
    names = orjson.loads(file.readline())
    if unknown := set(names) - set(table.c.keys()):
        raise ValueError(f"{table.name} has no column {min(unknown)!r}")
    binary = {name for name in names if isinstance(table.c[name].type, LargeBinary)}
    for line in file:
        row = dict(zip(names, orjson.loads(line), strict=True))
        for name in binary:
            row[name] = None if row[name] is None else b64decode(row[name])
        yield row


def place_of(folder: Path, name: str) -> Path:
    """Return where a file of an archive goes in a folder.

    >>> place_of(Path("kept"), "artefacts/run/a.artefact").as_posix()
    'kept/run/a.artefact'

    Raises
    ------
    ValueError
        It would lie outside of the folder.
    """
    parts = PurePosixPath(name).parts[1:]
    if not parts or ".." in parts or "\\" in name:
        raise ValueError(f"{name!r} is no file of artefacts")
    return folder.joinpath(*parts)


def note(session: Session, actor: str, action: str, detail: dict[str, Any], now: datetime) -> None:
    """Write what concerns the whole database into every organisation's audit log."""
    keys = select(organisations.c.organisation_key).order_by(organisations.c.organisation_key)
    for key in session.scalars(keys).all():
        audit.append(session, key, actor=actor, action=action, now=now, detail=detail)
