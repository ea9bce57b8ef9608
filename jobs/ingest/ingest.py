"""Import of a file in one transaction, with its rejects file and its entry in the import log."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from content_catalog.io.mapping import load_mapping
from infra.access import audit
from infra.catalog import organisations
from infra.db.engine import transaction
from infra.errors import ImportRefusedError
from infra.events import store as events
from infra.ingest import import_log, rejects
from infra.ingest.import_log import ImportCounts
from infra.ingest.importer import Importer, ImportFile
from infra.privacy import folders
from infra.settings.settings import Settings

AtEnd = Callable[[Session, int, ImportCounts], None]
READING_SHARE: Final = 0.9
"""Share of an import that is done once its file is read: the database has to write it then."""


@dataclass(frozen=True, slots=True)
class ImportResult:
    """Counts and rejects file of one import."""

    counts: ImportCounts
    rejects_file: Path | None
    unused_columns: list[str]
    missing_columns: list[str]
    similar_columns: dict[str, str]
    created_members: int = 0
    created_items: int = 0
    unresolved: int = 0


@dataclass(frozen=True, slots=True)
class FileOptions:
    """Mapping of a file, encoding of its text, sheet of its workbook."""

    mapping: str | None = None
    encoding: str = "utf-8"
    sheet: str | None = None


DEFAULT_OPTIONS: Final = FileOptions()


def ingest(
    engine: Engine,
    settings: Settings,
    path: Path,
    kind: str,
    *,
    now: datetime,
    options: FileOptions = DEFAULT_OPTIONS,
    at_end: AtEnd = lambda _session, _key, _counts: None,
    progress: Callable[[float], None] = lambda _share: None,
) -> ImportResult:
    """Import a file of a kind of :data:`infra.ingest.importer.SCHEMAS` into the organisation of the settings.

    Parameters
    ----------
    at_end : callable
        Called last in the transaction of an import that is not refused, such as :func:`audit_import`.

    Raises
    ------
    ImportRefusedError
        More than ``max_reject_share`` of the lines are bad; nothing was imported; the rejects file says why.
    """

    def reading(share: float) -> None:
        progress(READING_SHARE * share)

    mapping = load_mapping(options.mapping, kind) if options.mapping else None
    file = ImportFile(
        path,
        kind,
        mapping=mapping,
        home_page=settings.xapi_home_page or None,
        encoding=options.encoding,
        sheet=options.sheet,
    )
    rejects_folder = rejects.folder_of(settings.rejects_folder, settings.organisation)
    rejects_file = rejects_folder / f"{path.name}{rejects.ENDING}"
    with transaction(engine) as session:
        organisation_key = organisations.ensure(session, settings.organisation, now=now)
        folders.record(session, organisation_key, folders.REJECTS, settings.rejects_folder)
    try:
        with transaction(engine) as session, rejects.rejects_writer(rejects_file) as reject:
            organisation_key = organisations.ensure(session, settings.organisation, now=now)
            importer = Importer(session, organisation_key, file, timezone=settings.timezone)
            counts = importer.counts
            share = settings.max_reject_share
            importer.run(max_reject_share=share, reject=reject, see=str(rejects_file), progress=reading)
            created = (
                events.create_unknown(session, organisation_key) if settings.auto_create and file.of_events else (0, 0)
            )
            import_log.record(session, organisation_key, counts, status="imported", now=now)
            at_end(session, organisation_key, counts)
        progress(1.0)
    except ImportRefusedError:
        with transaction(engine) as session:
            organisation_key = organisations.ensure(session, settings.organisation, now=now)
            counts.stored = counts.duplicates = 0
            import_log.record(session, organisation_key, counts, status="refused", now=now)
        raise
    return ImportResult(
        counts,
        rejects_file if counts.rejected else None,
        sorted(file.unused),
        sorted(file.missing),
        file.similar_columns(),
        *created,
        0 if settings.auto_create else importer.unresolved,
    )


def audit_import(session: Session, organisation_key: int, counts: ImportCounts, *, actor: str, now: datetime) -> None:
    """Append the audit entry of an import."""
    detail = {
        "lines": counts.rows,
        "stored": counts.stored,
        "duplicates": counts.duplicates,
        "rejected": counts.rejected,
    }
    audit.append(
        session, organisation_key, actor=actor, action=f"{counts.kind}.import", subject=None, now=now, detail=detail
    )
