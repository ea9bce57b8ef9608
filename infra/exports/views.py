"""Read-only views of the star schema in PostgreSQL, for BI tools that ask the database itself.

Each schema of views is of one organisation: a role that may read it sees the rows of that one, and no table below.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Double, Engine, Select, cast, func, literal_column, select
from sqlalchemy.dialects import postgresql
from sqlalchemy.orm import Session

from infra.access import audit
from infra.catalog import organisations
from infra.db.engine import transaction
from infra.errors import SettingsError
from infra.exports.star_schema import DIMENSIONS, FACTS, LISTS, MOMENT, ExportTable
from infra.settings.settings import Settings

ACTION: Final = "data.views"
NAME: Final = re.compile(r"(?!pg_|public$|information_schema$)[a-z_][a-z0-9_]{0,62}")
"""Names of schemas and roles; PostgreSQL keeps those that begin with ``pg_`` for itself."""
COMMENT: Final = "xuelu views of organisation "
"""Begin of the comment of a schema of views, which the organisation's name follows."""
TABLES: Final = {**DIMENSIONS, **FACTS}
INSTANT: Final = "timestamptz 'epoch' + {} * interval '1 microsecond'"
DIALECT: Final = postgresql.dialect(paramstyle="named")  # type: ignore[no-untyped-call]  # SQLAlchemy leaves it untyped


def create(engine: Engine, settings: Settings, schema: str, role: str | None, *, actor: str, now: datetime) -> None:
    """Create the views of an organisation in a schema, or replace them, and let a role read them.

    Raises
    ------
    SettingsError
        The database is not PostgreSQL, a name is no plain one, or the schema holds something else.
    """
    _check_names(engine, schema, role)
    with transaction(engine) as session:
        key = organisations.key_of(session, settings.organisation)
        _check_owner(session, schema, settings.organisation)
        _execute(session.connection(), f"CREATE SCHEMA IF NOT EXISTS {schema}")
        comment = (COMMENT + settings.organisation).replace("'", "''")
        _execute(session.connection(), f"COMMENT ON SCHEMA {schema} IS '{comment}'")
        if role:
            # Of later views as well: an upgrade of the database makes them again.
            _execute(
                session.connection(),
                f"GRANT USAGE ON SCHEMA {schema} TO {role};"
                f" ALTER DEFAULT PRIVILEGES IN SCHEMA {schema} GRANT SELECT ON TABLES TO {role}",
            )
        _replace_views(session.connection(), schema, key)
        detail = {"schema": schema, "role": role}
        audit.append(session, key, actor=actor, action=ACTION, now=now, detail=detail)


def drop(engine: Engine, settings: Settings, schema: str, *, actor: str, now: datetime) -> None:
    """Drop a schema of views.

    Raises
    ------
    SettingsError
        As :func:`create`.
    """
    _check_names(engine, schema, None)
    with transaction(engine) as session:
        key = organisations.key_of(session, settings.organisation)
        _check_owner(session, schema, settings.organisation)
        _execute(session.connection(), f"DROP SCHEMA IF EXISTS {schema} CASCADE")
        dropped = {"schema": schema, "dropped": True}
        audit.append(session, key, actor=actor, action=ACTION, now=now, detail=dropped)


@contextmanager
def suspended(engine: Engine) -> Iterator[None]:
    """Drop all views while the tables below are migrated, which their columns would prevent, and create them again."""
    if engine.dialect.name != "postgresql":
        yield
        return
    with transaction(engine) as session:
        schemas = _schemas(session.connection())
        for schema in schemas:
            _drop_views(session.connection(), schema)
    try:
        yield
    finally:
        with transaction(engine) as session:
            for schema, organisation in schemas.items():
                _replace_views(session.connection(), schema, organisations.key_of(session, organisation))


def _check_names(engine: Engine, schema: str, role: str | None) -> None:
    if engine.dialect.name != "postgresql":
        raise SettingsError("views need PostgreSQL; `xuelu export` writes the same tables as files")
    for name in (schema, role):
        if name is not None and not NAME.fullmatch(name):
            raise SettingsError(f"{name!r} is no name for a schema or role; use a-z, 0-9 and _, not public or pg_…")


def _check_owner(session: Session, schema: str, organisation: str) -> None:
    """Raise where a schema holds anything but views of the organisation."""
    owner = _schemas(session.connection()).get(schema)
    exists = session.connection().exec_driver_sql("SELECT 1 FROM pg_namespace WHERE nspname = %s", (schema,)).first()
    if owner != organisation and exists:
        held = "something else" if owner is None else "views of another organisation"
        raise SettingsError(f"schema {schema} holds {held}; name another one")


def _schemas(connection: Connection) -> dict[str, str]:
    """Return the organisation of each schema of views."""
    query = "SELECT nspname, obj_description(oid, 'pg_namespace') FROM pg_namespace ORDER BY nspname"
    comments = {name: comment or "" for name, comment in connection.exec_driver_sql(query)}
    return {name: text.removeprefix(COMMENT) for name, text in comments.items() if text.startswith(COMMENT)}


def _replace_views(connection: Connection, schema: str, organisation_key: int) -> None:
    _drop_views(connection, schema)
    for name, table in TABLES.items():
        query = view_query(table, organisation_key).compile(
            dialect=DIALECT, compile_kwargs={"literal_binds": True, "render_postcompile": True}
        )
        # A barrier: no function of the reader's runs on rows that the view leaves out.
        _execute(connection, f"CREATE VIEW {schema}.{name} WITH (security_barrier) AS {query}")


def _execute(connection: Connection, statement: str) -> None:
    """Run a statement without parameters, for which the driver would take what follows a percent sign."""
    connection.exec_driver_sql(statement.replace("%", "%%"))


def _drop_views(connection: Connection, schema: str) -> None:
    for name in TABLES:
        _execute(connection, f"DROP VIEW IF EXISTS {schema}.{name}")


def view_query(table: ExportTable, organisation_key: int) -> Select[Any]:
    """Return the rows of a table of the star schema as a query for PostgreSQL, instants as ``timestamptz``."""
    inner = table.query(organisation_key).order_by(None).subquery("exported")
    if table.schema is LISTS:
        return _entries_of(inner)
    columns = [
        literal_column(INSTANT.format(f"exported.{field.name}")).label(field.name)
        if field.type == MOMENT
        else inner.c[field.name]
        for field in table.schema
    ]
    return select(*columns).select_from(inner)


def _entries_of(stored: Any) -> Select[Any]:
    """Return a row per entry of stored lists, ranks from 1."""
    entries = func.jsonb_array_elements(cast(stored.c.entries, postgresql.JSONB)).table_valued(
        "value", with_ordinality="rank", name="entry"
    )
    entry = entries.render_derived().lateral()
    value = cast(entry.c.value, postgresql.JSONB)
    computed = {
        "rank": entry.c.rank,
        "item_id": value["item_id"].astext,
        "reason_code": value["reason"]["code"].astext,
        "propensity": func.coalesce(cast(value["propensity"].astext, Double), 1.0),
    }
    columns = [computed[name].label(name) if name in computed else stored.c[name] for name in LISTS.names]
    return select(*columns).select_from(stored).join(entry, literal_column("true"))
