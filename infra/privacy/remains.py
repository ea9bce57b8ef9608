"""Search for what an erasure left of a member: rows, statements, texts and files; each with how to finish."""

import re
from collections.abc import Collection, Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
from sqlalchemy import Column, Table, and_, exists, func, literal, or_, select, update
from sqlalchemy.orm import Session

from infra.access.audit import OIDC_ACTOR
from infra.db.access_tables import api_keys, audit_entries
from infra.db.core_tables import events, imports, runs
from infra.db.delivery_tables import deliveries, endpoints
from infra.db.lrs_tables import statement_attachments, statements
from infra.db.policy_tables import waivers
from infra.events import month_files
from infra.privacy import folders
from infra.privacy.data_subject import DataSubject
from infra.privacy.export import personal_tables
from infra.privacy.files import ERASED, MANIFEST, is_distinctive, mention_of, written_forms
from infra.runs import store
from infra.runs.artefacts import path_of
from infra.serving.online_model import ONLINE_MODEL

FREE_TEXTS: Final = (
    waivers.c.reason,
    events.c.device,
    imports.c.file_name,
    deliveries.c.reason,
    endpoints.c.reason,
    api_keys.c.name,
    statements.c.statement,
)
"""Columns of words that people or messages chose, which may name a member; of statements, the values in WORDS."""
WORDS: Final = ("extensions", "response", "name", "display", "description", "platform", "revision")
"""Properties of a statement that hold whatever its author likes, where they are not of an account."""

RUN_ID: Final = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
PART_BYTES: Final = 1_000_000


def redact(subject: DataSubject) -> int:
    """Replace a member's id in texts about others by ``(erased)``; return the number of texts."""
    if not is_distinctive(subject.member_id):
        return 0
    mention = mention_of(subject.member_id)
    n_texts = 0
    for column in FREE_TEXTS:
        table = column.table
        for row in _rows_that_name(subject, column):
            of_row = and_(*(table.c[name] == value for name, value in row.items()))
            text = row[column.name]
            redacted = _of_statement(text, mention) if table is statements else mention.sub(ERASED, text)
            if redacted != text:
                subject.session.execute(update(table).where(of_row).values({column.name: redacted}))
                n_texts += 1
    return n_texts


def _of_statement(text: str, mention: re.Pattern[str]) -> str:
    """Return a statement as JSON, without mentions in the words of its author; its identifiers stay."""

    def redacted(value: Any, *, is_free: bool = False) -> Any:
        match value:
            case dict():
                return {
                    name: part
                    if name == "account" and not is_free
                    else redacted(part, is_free=is_free or name in WORDS)
                    for name, part in value.items()
                }
            case list():
                return [redacted(part, is_free=is_free) for part in value]
            case str() if is_free:
                return mention.sub(ERASED, value)
            case int() if is_free and mention.fullmatch(str(value)):
                return ERASED
        return value

    statement = orjson.loads(text)
    without = redacted(statement)
    return text if without == statement else orjson.dumps(without).decode()


def _rows_that_name(subject: DataSubject, column: Column[Any]) -> list[dict[str, Any]]:
    """Return key, or organisation, and text of the rows of a column that name a member as a word."""
    table: Any = column.table
    columns = dict.fromkeys([table.c.organisation_key, *table.primary_key.columns, column])
    query = select(*columns).where(
        table.c.organisation_key == subject.organisation_key,
        or_(*(column.contains(form, autoescape=True) for form in written_forms(subject.member_id))),
    )
    rows = [dict(row) for row in subject.session.execute(query.distinct()).mappings()]
    return [row for row in rows if mention_of(subject.member_id).search(row[column.name])]


def of_subject(subject: DataSubject, *, besides: Collection[Table]) -> Iterator[str]:
    """Yield what tables and files still hold of a member, except the tables in ``besides``."""
    session, organisation_key, member_id = subject.session, subject.organisation_key, subject.member_id
    yield from _in_database(subject, besides)
    run_ids = [run["run_id"] for run in store.all_of(session, organisation_key)]
    places, _ = subject.folders(folders.ARTEFACTS, subject.settings.artefacts_folder)
    for place in places:
        yield from _in_artefacts(place, run_ids)
        yield from _in_stray_folders(session, place, member_id)
        yield from in_event_copy(place, organisation_key, member_id)
    for endpoint_id, target in subject.batch_folders():
        yield from _in_batches(target, endpoint_id, subject.organisation, member_id)


def _in_database(subject: DataSubject, besides: Collection[Table]) -> Iterator[str]:
    for table in personal_tables():
        query = select(func.count()).select_from(table).where(subject.rows(table))
        if n_rows := 0 if table in besides else subject.session.scalar(query):
            yield f"{n_rows} rows of {table.name}; run this again"
    if moments := subject.statements():
        yield f"{len(moments)} statements; run this again"
    if is_distinctive(subject.member_id):
        for row in _rows_that_name(subject, audit_entries.c.detail):
            yield f"audit entry {row['sequence']} names the member in its detail; entries are never changed"
        for moment in _attachments_that_name(subject):
            yield f"an attachment stored at {moment} holds the id; delete its row of statement_attachments"


def _attachments_that_name(subject: DataSubject) -> Iterable[datetime]:
    """Return when the statements were stored that have an attachment with a member's id."""
    table, needle = statement_attachments.c, literal(subject.member_id.encode())
    on_sqlite = subject.session.get_bind().dialect.name == "sqlite"
    place = func.instr(table.content, needle) if on_sqlite else func.position(needle.op("IN")(table.content))
    own = (table.organisation_key == subject.organisation_key) & (place > 0)
    return subject.session.scalars(select(table.stored_at).where(own).distinct())


def as_actor(subject: DataSubject, *, eraser: str) -> Iterator[str]:
    """Yield that the audit log names a member who acted, or now erases itself, with a token of the OpenID provider."""
    actor = f"{OIDC_ACTOR}{subject.member_id}"
    own = (audit_entries.c.organisation_key == subject.organisation_key) & (audit_entries.c.actor == actor)
    if eraser == actor or subject.session.scalar(select(exists().where(own))):
        yield "the audit log names the subject of the member's own tokens as actor; entries are never changed"


def _in_artefacts(place: Path, run_ids: Iterable[str]) -> Iterator[str]:
    """Yield the folders of runs that hold more than the models, which stay without the member."""
    for folder in (place / run_id for run_id in run_ids):
        files = [folder] if folder.is_file() else [*folder.rglob("*")]
        if any(path.is_file() and path != path_of(folder, ONLINE_MODEL) for path in files):
            yield f"{folder} cannot be removed; remove it"


def stray_folders(session: Session, place: Path) -> list[Path]:
    """Return the folders of runs that no run of this database has: a killed process or another database left them."""
    run_ids = set(session.scalars(select(runs.c.run_id)))
    return sorted(
        folder
        for folder in place.glob("*")
        if RUN_ID.fullmatch(folder.name) and folder.is_dir() and folder.name not in run_ids
    )


def _in_stray_folders(session: Session, place: Path, member_id: str) -> Iterator[str]:
    """Yield the stray folders with a file that holds a member's id."""
    for folder in stray_folders(session, place):
        if any(_holds(path, member_id) for path in folder.rglob("*") if path.is_file()):
            yield f"{folder} is of no run of this database and may name the member; remove it, or erase there"


def _holds(path: Path, member_id: str) -> bool:
    """Return whether a file holds an id as a text, or in an array of texts; a file that cannot be read may."""
    needles = (member_id.encode(), member_id.encode("utf-32-le"))
    overlap = max(map(len, needles)) - 1
    tail = b""
    try:
        with path.open("rb") as file:
            while part := file.read(PART_BYTES):
                window = tail + part
                if any(needle in window for needle in needles):
                    return True
                tail = window[-overlap:]
    except OSError:
        return True
    return False


def in_event_copy(place: Path, organisation_key: int, member_id: str) -> Iterator[str]:
    """Yield the files of the copy of the events that hold a member, or may, as they cannot be read."""
    folder = month_files.folder_of(place, organisation_key)
    for path in sorted(folder.glob("*")):
        try:
            if path.suffix == month_files.ENDING and not month_files.holds_member(folder, path.stem, member_id):
                continue
        except month_files.UNREADABLE:
            pass
        yield f"{path} may name the member; remove it"


def _in_batches(target: Path, endpoint_id: str, organisation: str, member_id: str) -> Iterator[str]:
    """Yield files in an endpoint's folder that name a member: in batches without a manifest of ours, or unfinished."""
    for path in sorted([*target.glob("*/lists.*"), *target.glob(f".{endpoint_id}-*.part/*")]):
        if _may_be_of(path.parent, organisation) and _names(path, member_id):
            yield f"{path} names the member; remove it"


def _may_be_of(batch: Path, organisation: str) -> bool:
    """Return whether a batch is an organisation's, or may be, as nothing says whose it is."""
    try:
        return bool(orjson.loads((batch / MANIFEST).read_bytes())["organisation"] == organisation)
    except (OSError, ValueError, LookupError, TypeError):
        return True


def _names(path: Path, member_id: str) -> bool:
    """Return whether a file of lists names a member; a file that cannot be read may."""
    try:
        if path.suffix == ".parquet":
            return member_id in pq.read_table(path, columns=["member_id"])["member_id"].to_pylist()
        needle = orjson.dumps(member_id)
        with path.open("rb") as lines:
            return any(needle in line for line in lines)
    except pa.ArrowInvalid:  # a file that was not finished, or that something else wrote
        return path.stat().st_size > 0
    except OSError:
        return True
