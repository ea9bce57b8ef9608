"""Table of the record stores that statements are pulled from."""

from sqlalchemy import Column, ForeignKey, Integer, Table, Text

from infra.db.core_tables import Instant, metadata

statement_sources = Table(
    "statement_sources",
    metadata,
    Column(
        "organisation_key",
        Integer,
        ForeignKey("organisations.organisation_key"),
        primary_key=True,
        nullable=False,
    ),
    Column("url", Text, primary_key=True),
    Column("pulled_until", Instant, nullable=False),
)
"""Progress of pulling from a record store: all it stored up to this time is here."""
