"""Import of a file, slice by slice, with its rejects file and its entry in the import log."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from content_catalog.io.mapping import Mapping, load_mapping
from infra.access import audit
from infra.catalog import organisations
from infra.db.engine import transaction
from infra.events import unresolved
from infra.ingest import import_log, rejects
from infra.ingest.import_file import ImportFile
from infra.ingest.import_log import ImportCounts
from infra.ingest.importer import Importer
from infra.ingest.spool import SLICE_ROWS, Spool
from infra.privacy import folders
from infra.settings.settings import Settings

COUNTED: Final = (
    "stored",
    "duplicates",
    "rejected",
    "without_event",
    "created_members",
    "created_items",
    "unresolved_events",
)
"""Figures of an import that count what became of its lines."""
DEFAULT_ZONE: Final = "UTC"
READ_IN_UTC: Final = "times without an offset were read in UTC, as no time zone is set; `xuelu timezone` sets one"
AtEnd = Callable[[Session, int, ImportCounts], None]
READING_SHARE: Final = 0.3
"""Share of an import that is done once its file is read: the database has to write it then."""


@dataclass(frozen=True, slots=True)
class ImportResult:
    """Counts, rejects file and warnings of one import."""

    counts: ImportCounts
    rejects_file: Path | None
    unused_columns: list[str]
    missing_columns: list[str]
    similar_columns: dict[str, str]
    created_members: int = 0
    created_items: int = 0
    unresolved: int = 0
    warnings: Sequence[str] = ()

    @property
    def figures(self) -> dict[str, Any]:
        """All figures by name, as the command prints them."""
        counts = self.counts
        handled = counts.stored + counts.duplicates + counts.rejected
        return {
            "lines": counts.rows,
            "stored": counts.stored,
            "duplicates": counts.duplicates,
            "rejected": counts.rejected,
            "without_event": counts.rows - handled if counts.kind == "xapi" else 0,
            "rejects_file": self.rejects_file,
            "created_members": self.created_members,
            "created_items": self.created_items,
            "unresolved_events": self.unresolved,
            "unused_columns": self.unused_columns,
            "missing_columns": self.missing_columns,
            "similar_columns": self.similar_columns,
            "rejects_by_reason": dict(counts.reasons),
            "warnings": [*self.warnings],
        }


@dataclass(frozen=True, slots=True)
class FileOptions:
    """Mapping of a file, encoding of its text, sheet of its workbook."""

    mapping: str | None = None
    encoding: str = "utf-8"
    sheet: str | None = None


DEFAULT_OPTIONS: Final = FileOptions()


def ingest(  # noqa: PLR0913 - options of one import
    engine: Engine,
    settings: Settings,
    path: Path,
    kind: str,
    *,
    now: datetime,
    options: FileOptions = DEFAULT_OPTIONS,
    at_end: AtEnd = lambda _session, _key, _counts: None,
    progress: Callable[[float], None] = lambda _share: None,
    slice_rows: int = SLICE_ROWS,
) -> ImportResult:
    """Import a file of a kind of :data:`infra.ingest.import_file.SCHEMAS` into the organisation of the settings.

    The file is read and checked whole, and only then written: up to ``slice_rows`` rows in one transaction. A larger
    one is several; the log calls its import unfinished until the last, and importing the file again completes it.

    Parameters
    ----------
    at_end : callable
        Called at the end of the last transaction, such as :func:`audit_import`.

    Raises
    ------
    ImportRefusedError
        More than ``max_reject_share`` of the lines are bad; nothing was imported; the rejects file says why.
    """
    mapping = load_mapping(options.mapping, kind) if options.mapping else None
    home_page = settings.xapi_home_page or None
    file = ImportFile(path, kind, mapping=mapping, home_page=home_page, encoding=options.encoding, sheet=options.sheet)
    rejects_folder = rejects.folder_of(settings.rejects_folder, settings.organisation)
    rejects_file = rejects_folder / f"{path.name}{rejects.ENDING}"
    with transaction(engine) as session:
        organisation_key = organisations.ensure(session, settings.organisation, now=now)
        folders.record(session, organisation_key, folders.REJECTS, settings.rejects_folder)
    with (
        Spool(slice_rows) as slices,
        rejects.rejects_writer(rejects_file) as reject,
        import_log.entry(engine, organisation_key, file.counts, now=now) as log,
    ):
        with transaction(engine) as session:
            importer = Importer(session, organisation_key, file, now=now, timezone=settings.timezone)
            importer.read(
                slices,
                max_reject_share=settings.max_reject_share,
                reject=reject,
                see=str(rejects_file),
                progress=lambda share: progress(READING_SHARE * share),
            )
            if importer.has_local_times and _has_no_zone(session, organisation_key, settings, mapping):
                importer.warnings.append(READ_IN_UTC)
        with transaction(engine) as session:
            creates = settings.auto_create and file.of_events
            unknown = _unknown_ids(session, organisation_key, importer) if creates else {}
            if len(slices) > 1:
                log(session, "unfinished")
        parts = iter(slices)
        for number in range(1, len(slices)):
            with transaction(engine) as session:
                importer.write(session, next(parts), reject=reject)
            progress(READING_SHARE + (1 - READING_SHARE) * number / len(slices))
        with transaction(engine) as session:
            for part in parts:  # the last one, where there is any
                importer.write(session, part, reject=reject)
            created_members, created_items = unresolved.create(session, organisation_key, unknown, now=now)
            log(session, "imported")
            at_end(session, organisation_key, file.counts)
        progress(1.0)
    return ImportResult(
        file.counts,
        rejects_file if file.counts.rejected else None,
        sorted(file.unused),
        sorted(file.missing),
        file.similar_columns(),
        created_members,
        created_items,
        unresolved=0 if settings.auto_create else importer.unresolved,
        warnings=importer.warnings,
    )


def _has_no_zone(session: Session, organisation_key: int, settings: Settings, mapping: Mapping | None) -> bool:
    is_default = settings.timezone == DEFAULT_ZONE and not (mapping and mapping.timezone)
    return is_default and organisations.timezone(session, organisation_key) is None


def _unknown_ids(session: Session, organisation_key: int, importer: Importer) -> dict[str, set[str]]:
    """Return the ids that stored events and those of a file name, but no member or item has."""
    stored = unresolved.unknown_ids(session, organisation_key)
    return {name: ids | importer.unknown_ids.get(name, set()) for name, ids in stored.items()}


def audit_import(session: Session, organisation_key: int, counts: ImportCounts, *, actor: str, now: datetime) -> None:
    """Append the audit entry of an import."""
    detail = {
        "lines": counts.rows,
        **{name: getattr(counts, name) for name in ("stored", "duplicates", "rejected")},
    }
    audit.append(session, organisation_key, actor=actor, action=f"{counts.kind}.import", now=now, detail=detail)
