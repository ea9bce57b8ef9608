"""Tables of the database. Every one that holds an organisation's data starts with its ``organisation_key``."""

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    Dialect,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    and_,
    false,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import TypeDecorator

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


class Instant(TypeDecorator[datetime]):
    """An aware UTC time, stored as whole microseconds since 1970: the same on both databases, and exact."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        """Return the microseconds of a time."""
        del dialect
        return None if value is None else (value - EPOCH) // MICROSECOND

    def process_result_value(self, value: Any | None, dialect: Dialect) -> datetime | None:
        """Return the time of stored microseconds."""
        del dialect
        return None if value is None else EPOCH + value * MICROSECOND


metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)
JSON_VALUE = JSON().with_variant(JSONB(), "postgresql")
KEY = BigInteger().with_variant(Integer(), "sqlite")


def organisation_column(*, primary: bool = True) -> Column[int]:
    """Return the column that names the organisation a row belongs to."""
    return Column(
        "organisation_key", Integer, ForeignKey("organisations.organisation_key"), primary_key=primary, nullable=False
    )


def partial_index(name: str, *columns: Column[Any], where: ColumnElement[bool]) -> Index:
    """Return an index of the rows that meet a condition."""
    return Index(name, *columns, sqlite_where=where, postgresql_where=where)


organisations = Table(
    "organisations",
    metadata,
    Column("organisation_key", Integer, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("created_at", Instant, nullable=False),
    Column("keep_events_days", Integer),
    Column("timezone", Text),
    Column("accepts_shared", Boolean, nullable=False, server_default=false()),
    Column("erasure_key", Text),
)

taxonomy_codes = Table(
    "taxonomy_codes",
    metadata,
    organisation_column(),
    Column("kind", Text, primary_key=True),
    Column("code", Text, primary_key=True),
    Column("parent", Text, nullable=False),
    Column("name_en", Text, nullable=False),
    Column("name_zh", Text, nullable=False),
)

items = Table(
    "items",
    metadata,
    organisation_column(),
    Column("item_id", Text, primary_key=True),
    *(Column(name, Text) for name in ("title", "summary", "text", "language", "format")),
    Column("duration_seconds", Double),
    *(
        Column(name, Text)
        for name in (
            "difficulty",
            "topics",
            "target_roles",
            "target_industries",
            "target_units",
            "audience",
            "prerequisites",
            "advised_prerequisites",
            "series",
        )
    ),
    Column("series_position", Double),
    Column("starts_at", Instant),
    Column("ends_at", Instant),
    Column("published_at", Instant),
    Column("available_from", Instant),
    Column("available_until", Instant),
    Column("hidden", Boolean),
    Column("provider", Text),
    Column("url", Text),
    Column("shared", Boolean),
    Column("updated_at", Instant),
)
Index("ix_items_format", items.c.format)
partial_index("ix_items_shared", items.c.item_id, where=items.c.shared.is_(True))

units = Table(
    "units",
    metadata,
    organisation_column(),
    Column("unit", Text, primary_key=True),
    Column("name_en", Text),
    Column("name_zh", Text),
)

members = Table(
    "members",
    metadata,
    organisation_column(),
    Column("member_id", Text, primary_key=True),
    *(Column(name, Text) for name in ("units", "role", "industry", "region", "language", "timezone")),
    *(Column(name, Instant) for name in ("joined_on", "role_since")),
    *(Column(name, Boolean) for name in ("personalised", "pushes")),
    *(Column(name, Text) for name in ("study_hours", "quiet_hours", "less_topics", "follows", "devices")),
    *(Column(name, Text) for name in ("previous_role", "previous_industry")),
    *(Column(name, Instant) for name in ("moved_on", "updated_at")),
    sqlite_with_rowid=False,
)

events = Table(
    "events",
    metadata,
    organisation_column(primary=False),
    Column("event_id", Text, nullable=False),
    Column("member_id", Text),
    Column("item_id", Text),
    Column("verb", Text, nullable=False),
    Column("occurred_at", Instant, nullable=False),
    *(Column(name, Double) for name in ("duration_seconds", "progress", "score", "rating")),
    *(Column(name, Text) for name in ("device", "push_list_id", "voided_event_id", "session_id")),
    Column("date_only", Boolean, nullable=False, server_default=false()),
    UniqueConstraint("organisation_key", "event_id"),
)
for _column in (events.c.voided_event_id, events.c.push_list_id):
    partial_index(f"ix_events_{_column.name}", events.c.organisation_key, _column, where=_column.is_not(None))
Index("ix_events_member_id", events.c.organisation_key, events.c.member_id)

study_totals = Table(
    "study_totals",
    metadata,
    organisation_column(),
    Column("month", Text, primary_key=True),
    Column("item_id", Text, primary_key=True),
    Column("verb", Text, primary_key=True),
    *(Column(name, BigInteger, nullable=False) for name in ("events", "members")),
)

imports = Table(
    "imports",
    metadata,
    Column("import_key", KEY, primary_key=True),
    organisation_column(primary=False),
    Column("import_id", Text, nullable=False, unique=True),
    Column("kind", Text, nullable=False),
    Column("file_name", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("finished_at", Instant, nullable=False),
    *(Column(name, BigInteger, nullable=False) for name in ("rows", "stored", "duplicates", "rejected")),
    Column("reasons", JSON_VALUE, nullable=False),
)

runs = Table(
    "runs",
    metadata,
    Column("run_key", KEY, primary_key=True),
    organisation_column(primary=False),
    Column("run_id", Text, nullable=False, unique=True),
    Column("status", Text, nullable=False),
    Column("as_of", Instant, nullable=False),
    Column("made_at", Instant, nullable=False),
    *(Column(name, Instant) for name in ("published_at", "models_as_of")),
    Column("settings_digest", Text, nullable=False),
    Column("data_digest", Text, nullable=False),
    Column("code_version", Text, nullable=False),
    Column("seeds", JSON_VALUE, nullable=False),
    Column("counts", JSON_VALUE, nullable=False),
    Column("checks", JSON_VALUE, nullable=False),
    Column("data_quality", JSON_VALUE),
    Index("ix_runs_organisation_key_status_run_key", "organisation_key", "status", "run_key"),
)

run_steps = Table(
    "run_steps",
    metadata,
    organisation_column(),
    Column("run_key", KEY, ForeignKey("runs.run_key"), primary_key=True),
    Column("name", Text, primary_key=True),
    Column("finished_at", Instant, nullable=False),
    Column("seconds", Double, nullable=False),
    *(Column(name, BigInteger, nullable=False) for name in ("rows", "peak_bytes")),
    Column("artefact_digest", Text),
)

lists = Table(
    "lists",
    metadata,
    organisation_column(),
    Column("run_key", KEY, ForeignKey("runs.run_key"), primary_key=True),
    Column("member_id", Text, primary_key=True),
    *(Column(name, Text, nullable=False) for name in ("list_id", "strategy", "entries_hash")),
    *(Column(name, Text) for name in ("language", "required", "curated", "saved", "resting", "experiment", "variant")),
    Column("pace_seconds", Double),
    Index("ix_lists_organisation_key_list_id", "organisation_key", "list_id"),
    sqlite_with_rowid=False,
)

experiments = Table(
    "experiments",
    metadata,
    organisation_column(),
    Column("name", Text, primary_key=True),
    Column("variants", JSON_VALUE, nullable=False),
    Column("started_at", Instant, nullable=False),
    Column("stopped_at", Instant),
)

trials = Table(
    "trials",
    metadata,
    organisation_column(),
    Column("number", Integer, primary_key=True),
    *(Column(name, Text, nullable=False) for name in ("kind", "subject")),
    Column("created_at", Instant, nullable=False),
    *(Column(name, Text, nullable=False) for name in ("settings_digest", "code_version", "data_digest")),
    *(Column(name, JSON_VALUE, nullable=False) for name in ("span", "settings", "results")),
)

list_entries = Table(
    "list_entries",
    metadata,
    organisation_column(),
    Column("entries_hash", Text, primary_key=True),
    Column("entries", Text, nullable=False),
)

SAME_ENTRIES = and_(
    list_entries.c.organisation_key == lists.c.organisation_key, list_entries.c.entries_hash == lists.c.entries_hash
)
"""Condition that joins lists with their entries."""

display_metadata = Table(
    "display_metadata",
    metadata,
    organisation_column(),
    Column("kind", Text, primary_key=True),
    Column("code", Text, primary_key=True),
    Column("since_run_key", KEY, primary_key=True),
    Column("fields", Text, nullable=False),
)

similar_items = Table(
    "similar_items",
    metadata,
    organisation_column(),
    Column("run_key", KEY, ForeignKey("runs.run_key"), primary_key=True),
    Column("item_id", Text, primary_key=True),
    Column("entries", Text, nullable=False),
)
