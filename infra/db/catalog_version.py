"""Version of each organisation's catalogue, raised by triggers, so that a cache knows when to read it again.

The database itself raises the version, in the transaction that changes an item or a code. So a reader
that sees the version it knows has missed no change that was committed.
"""

from sqlalchemy import BigInteger, Column, Connection, ScalarSelect, Table, func, select, text
from sqlalchemy.orm import Session

from infra.db import bulk
from infra.db.core_tables import metadata, organisation_column

WATCHED = ("items", "taxonomy_codes", "requirements", "waivers", "curations")

catalogue_versions = Table(
    "catalogue_versions",
    metadata,
    organisation_column(),
    Column("version", BigInteger, nullable=False),
)

RAISED_BY_POSTGRESQL = """
CREATE OR REPLACE FUNCTION raise_catalogue_version() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO catalogue_versions (organisation_key, version)
    SELECT DISTINCT organisation_key, 1 FROM changed ORDER BY organisation_key
    ON CONFLICT (organisation_key) DO UPDATE SET version = catalogue_versions.version + 1;
    RETURN NULL;
END $$
"""
ON_POSTGRESQL = """
CREATE OR REPLACE TRIGGER {table}_{event} AFTER {event} ON {table} REFERENCING {side} TABLE AS changed
FOR EACH STATEMENT EXECUTE FUNCTION raise_catalogue_version()
"""
ON_SQLITE = """
CREATE TRIGGER IF NOT EXISTS {table}_{event} AFTER {event} ON {table} FOR EACH ROW BEGIN
    INSERT INTO catalogue_versions (organisation_key, version) SELECT {side}.organisation_key, 0
    WHERE NOT EXISTS (SELECT 1 FROM catalogue_versions WHERE organisation_key = {side}.organisation_key);
    UPDATE catalogue_versions SET version = version + 1 WHERE organisation_key = {side}.organisation_key;
END
"""
SIDES = {"insert": "NEW", "update": "NEW", "delete": "OLD"}


def install(connection: Connection) -> None:
    """Make the database raise the versions; where it does already, nothing changes.

    Not a migration: on SQLite a later migration that recreates a table would lose its triggers.
    """
    on_sqlite = connection.dialect.name == "sqlite"
    if not on_sqlite:
        connection.execute(text(RAISED_BY_POSTGRESQL))
    for table in WATCHED:
        for event, side in SIDES.items():
            trigger = (ON_SQLITE if on_sqlite else ON_POSTGRESQL).format(table=table, event=event, side=side)
            connection.execute(text(trigger))


def increase(session: Session, organisation_key: int) -> None:
    """Raise the version for a change that no trigger sees, such as of an organisation's settings."""
    insert = bulk.insert_into(session, catalogue_versions).values(organisation_key=organisation_key, version=1)
    raised = {"version": catalogue_versions.c.version + 1}
    session.execute(insert.on_conflict_do_update(index_elements=["organisation_key"], set_=raised))


def current(session: Session) -> int:
    """Return the sum of all versions."""
    return int(session.scalar(select(total())) or 0)


def total() -> ScalarSelect[int]:
    """Return the sum of all versions, as a part of a query: a shared item of one organisation is on lists of others."""
    return select(func.coalesce(func.sum(catalogue_versions.c.version), 0)).scalar_subquery()
