"""Tables of xAPI statements and of the record stores that they are pulled from."""

from sqlalchemy import Boolean, Column, Index, LargeBinary, Table, Text, UniqueConstraint

from infra.db.core_tables import Instant, metadata, organisation_column, partial_index

statements = Table(
    "statements",
    metadata,
    organisation_column(),
    Column("stored_at", Instant, primary_key=True),
    Column("statement_id", Text, nullable=False),
    Column("voiding", Boolean, nullable=False),
    Column("target_id", Text),
    Column("statement", Text, nullable=False),
    UniqueConstraint("organisation_key", "statement_id"),
)
partial_index(
    "ix_statements_target_id",
    statements.c.organisation_key,
    statements.c.target_id,
    where=statements.c.target_id.is_not(None),
)

statement_terms = Table(
    "statement_terms",
    metadata,
    organisation_column(),
    Column("term", Text, primary_key=True),
    Column("stored_at", Instant, primary_key=True),
    Column("direct", Boolean, nullable=False),
    Index("ix_statement_terms_organisation_key_stored_at", "organisation_key", "stored_at"),
)

statement_attachments = Table(
    "statement_attachments",
    metadata,
    organisation_column(),
    Column("stored_at", Instant, primary_key=True),
    Column("sha2", Text, primary_key=True),
    Column("content", LargeBinary, nullable=False),
)

statement_sources = Table(
    "statement_sources",
    metadata,
    organisation_column(),
    Column("url", Text, primary_key=True),
    Column("pulled_until", Instant, nullable=False),
)
"""Progress of pulling from a record store: all it stored up to this time is here."""
