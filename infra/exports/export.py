"""Export of an organisation's data into files of a folder, which an erasure finds."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Final

import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
from sqlalchemy import Engine, func, select
from sqlalchemy.orm import Session

from infra.access import audit
from infra.catalog import organisations
from infra.db.access_tables import audit_entries
from infra.db.engine import transaction
from infra.errors import SettingsError
from infra.exports.star_schema import DIMENSIONS, FACTS
from infra.file_modes import FILE_MODE, FOLDER_MODE
from infra.ingest.rejects import FORMULA, NUMBER
from infra.privacy import folders
from infra.privacy.files import EXPORT_FORMATS, EXPORT_MANIFEST, export_manifest
from infra.settings.settings import Settings

Write = Callable[[pa.Table], None]
Read = Mapping[str, tuple[pa.Schema, Iterable[pa.Table]]]
"""Schema and parts of each table, by its name."""
ACTION: Final = "data.export"


def export(
    engine: Engine, settings: Settings, facts: Sequence[str], folder: Path, *, form: str, actor: str, now: datetime
) -> dict[str, int]:
    """Write facts, and the members, items and runs that they name, and return the number of rows of each file.

    Members who switched personalisation off are left out. Files appear whole; earlier ones are replaced. The folder is
    recorded first, so that an erasure finds it.

    Raises
    ------
    SettingsError
        A fact or format is unknown, the folder holds other files of these names, or a member was erased meanwhile.
    """
    if unknown := sorted(set(facts) - set(FACTS)):
        raise SettingsError(f"there is no {unknown[0]!r} to export; choose of {', '.join(FACTS)}")
    if form not in EXPORT_FORMATS:
        raise SettingsError(f"files are not written as {form!r}; choose of {', '.join(EXPORT_FORMATS)}")
    tables = {**DIMENSIONS, **{name: FACTS[name] for name in FACTS if name in facts}}

    def read(session: Session, organisation_key: int) -> Read:
        return {name: (table.schema, table.tables(session, organisation_key)) for name, table in tables.items()}

    return write_files(engine, settings, folder, [*tables], read, form=form, actor=actor, now=now)


def write_files(
    engine: Engine,
    settings: Settings,
    folder: Path,
    names: Sequence[str],
    read: Callable[[Session, int], Read],
    *,
    form: str,
    actor: str,
    now: datetime,
) -> dict[str, int]:
    """Write tables of an organisation as files that an erasure finds; return the number of rows of each.

    Parameters
    ----------
    names : sequence of str
        The tables that are read, by name.
    read : callable
        Takes a session and the organisation's key; returns the schema and the parts of each table.

    Raises
    ------
    SettingsError
        The folder holds other files of these names, or a member was erased meanwhile.
    """
    files = {name: f"{name}.{form}" for name in names}
    folder.mkdir(parents=True, exist_ok=True, mode=FOLDER_MODE)
    earlier = _earlier_files(folder, settings.organisation, files.values())
    with transaction(engine) as session:
        key = organisations.key_of(session, settings.organisation)
        folders.record(session, key, folders.EXPORTS, folder)
    parts = {name: folder / f".{file}.part" for name, file in files.items()}
    rows = {}
    try:
        with transaction(engine) as session:
            erased = _erasures(session, key)
            for name, (schema, tables) in read(session, key).items():
                rows[name] = _write_table(parts[name], schema, tables, form)
        with transaction(engine) as session:
            detail = {"format": form, "rows": rows}
            audit.append(session, key, actor=actor, action=ACTION, now=now, detail=detail)
            # The entry holds up erasures until the files are in place, where these find them.
            if _erasures(session, key) != erased:
                raise SettingsError("a member was erased meanwhile; run the export again")
            manifest = {"organisation": settings.organisation, "files": sorted({*earlier, *files.values()})}
            (folder / EXPORT_MANIFEST).touch(mode=FILE_MODE)
            (folder / EXPORT_MANIFEST).write_bytes(orjson.dumps(manifest, option=orjson.OPT_INDENT_2))
            for name, part_file in parts.items():
                part_file.replace(folder / files[name])
    finally:
        for part_file in parts.values():
            part_file.unlink(missing_ok=True)
    return {files[name]: number for name, number in rows.items()}


def _write_table(file: Path, schema: pa.Schema, tables: Iterable[pa.Table], form: str) -> int:
    """Write the parts of a table as a file; return the number of rows."""
    file.unlink(missing_ok=True)
    file.touch(mode=FILE_MODE)
    rows = 0
    with _writer(file, schema, form) as write:
        for table in tables:
            write(table)
            rows += table.num_rows
    return rows


def _earlier_files(folder: Path, organisation: str, files: Iterable[str]) -> list[str]:
    """Return the files of an earlier export in a folder.

    Raises
    ------
    SettingsError
        It is another organisation's, or a file that no export wrote would be replaced.
    """
    manifest = export_manifest(folder) or {"organisation": organisation, "files": []}
    if manifest["organisation"] != organisation:
        raise SettingsError(f"{folder} holds the export of another organisation; name another folder")
    earlier = set(manifest["files"])
    if foreign := sorted(file for file in files if file not in earlier and (folder / file).exists()):
        raise SettingsError(f"{folder / foreign[0]} is no export; name another folder")
    return sorted(earlier)


def _erasures(session: Session, organisation_key: int) -> int:
    """Return the number of erasures of an organisation."""
    own = audit_entries.c.organisation_key == organisation_key
    query = select(func.count()).where(own, audit_entries.c.action == "members.erase")
    return int(session.execute(query).scalar_one())


@contextmanager
def _writer(path: Path, schema: pa.Schema, form: str) -> Iterator[Write]:
    """Yield a function that appends the rows of a table to a file."""
    if form == "parquet":
        with pq.ParquetWriter(path, schema, compression="zstd") as parquet:
            yield parquet.write_table
    elif form == "csv":
        with pa_csv.CSVWriter(path, schema) as csv:
            yield lambda table: csv.write_table(_without_formulas(table))
    else:
        with path.open("wb") as file:
            yield lambda table: file.writelines(
                orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE | orjson.OPT_UTC_Z) for row in table.to_pylist()
            )


def _without_formulas(table: pa.Table) -> pa.Table:
    """Return a table with texts as :func:`infra.ingest.rejects.escape_formula` makes them: ids alike in all files."""
    for index, field in enumerate(table.schema):
        if field.type == pa.string():
            column = table.column(index)
            formula = pc.and_not(
                pc.match_substring_regex(column, f"^(?:{FORMULA.pattern})"),
                pc.match_substring_regex(column, f"^(?:{NUMBER.pattern})$"),
            )
            escaped = pc.binary_join_element_wise("'", column, "")
            table = table.set_column(index, field, pc.if_else(formula, escaped, column))
    return table
