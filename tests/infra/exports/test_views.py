"""Read-only views of the star schema in PostgreSQL."""

from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import ProgrammingError

from infra.catalog import organisations
from infra.db.engine import transaction
from infra.db.migrate import migrate
from infra.errors import SettingsError
from infra.exports import views
from infra.exports.export import export
from infra.exports.star_schema import DIMENSIONS, FACTS
from infra.settings.settings import Settings
from tests.audit_entries import audit_entries
from tests.conftest import ON_SQLITE, Take


def create(engine: Engine, settings: Settings, schema: str, role: str | None, now: datetime) -> None:
    """Create views, as `xuelu views create` does."""
    views.create(engine, settings, schema, role, actor="test", now=now)


def as_role(engine: Engine, role: str, query: str) -> list[Any]:
    """Return the rows of a query that a role asks."""
    with engine.begin() as connection:
        connection.exec_driver_sql(f"SET LOCAL ROLE {role}")
        return [row._asdict() for row in connection.execute(text(query))]


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_views_hold_what_an_export_writes_and_their_reader_sees_nothing_else(
    served: dict[str, Any], take: Take, engine: Engine, settings: Settings, now: datetime, tmp_path: Path
) -> None:
    take(
        "events",
        "event_id,member_id,item_id,verb,occurred_at,push_list_id\n"
        f"p1,d0,o1,shown,2026-03-01T06:00:00.000007Z,{list_id_of(engine, served, 'd0')}\n",
    )
    with transaction(engine) as session:
        organisations.ensure(session, "other", now=now)
    take("members", "member_id,role\nstranger,41\n", organisation="other")
    role = f"reader_{engine.url.database}"
    with engine.begin() as connection:
        connection.exec_driver_sql(f"CREATE ROLE {role}")
    try:
        create(engine, settings, "bi", role, now)
        create(engine, settings, "bi", role, now)  # replaces them
        export(engine, settings, [*FACTS], tmp_path / "bi", form="parquet", actor="test", now=now)
        for name in (*DIMENSIONS, *FACTS):
            exported = pq.read_table(tmp_path / "bi" / f"{name}.parquet").to_pylist()
            viewed = as_role(engine, role, f"TABLE bi.{name}")
            assert exported
            assert sorted(map(texts, viewed)) == sorted(map(texts, exported))
        with pytest.raises(ProgrammingError, match="permission denied"):
            as_role(engine, role, "SELECT member_id FROM members")
        with views.suspended(engine):
            assert not views_in(engine)
            migrate(engine)
        assert len(views_in(engine)) == 6
        assert as_role(engine, role, "TABLE bi.events"), "an upgrade keeps the role's right"
    finally:
        with engine.begin() as connection:
            connection.exec_driver_sql(f"DROP OWNED BY {role}; DROP ROLE {role}")


def texts(row: dict[str, Any]) -> list[str]:
    """Return a row's names and values as texts, which an instant's are in any spelling of UTC."""
    return [*row, *map(str, row.values())]


def views_in(engine: Engine) -> list[Any]:
    """Return the views in the schema."""
    query = "SELECT * FROM information_schema.views WHERE table_schema = 'bi'"
    with engine.begin() as connection:
        return list(connection.exec_driver_sql(query))


def list_id_of(engine: Engine, run: dict[str, Any], member_id: str) -> str:
    """Return the id of a member's list of a run."""
    query = text("SELECT list_id FROM lists WHERE run_key = :run_key AND member_id = :member_id")
    with engine.begin() as connection:
        return str(connection.execute(query, {"run_key": run["run_key"], "member_id": member_id}).scalar_one())


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_schema_of_views_is_of_one_organisation_and_dropped_by_it(
    couriers: Engine, settings: Settings, now: datetime
) -> None:
    other = settings.model_copy(update={"organisation": "o'hara 100%"})
    with transaction(couriers) as session:
        organisations.ensure(session, "o'hara 100%", now=now)
    with couriers.begin() as connection:
        connection.exec_driver_sql("CREATE SCHEMA taken")
    create(couriers, other, "theirs", None, now)

    for schema, message in (
        ("taken", "schema taken holds something else; name another one"),
        ("theirs", "schema theirs holds views of another organisation"),
        ("public", "'public' is no name for a schema"),
        ('bi"; DROP TABLE members; --', "is no name for a schema or role"),
    ):
        with pytest.raises(SettingsError, match=message):
            create(couriers, settings, schema, None, now)
        with pytest.raises(SettingsError, match=message):
            views.drop(couriers, settings, schema, actor="test", now=now)
    views.drop(couriers, other, "theirs", actor="test", now=now)
    create(couriers, settings, "theirs", None, now)
    with transaction(couriers) as session:
        key = organisations.key_of(session, "o'hara 100%")
        assert [entry["action"] for entry in audit_entries(session, key)][:2] == ["data.views", "data.views"]


@ON_SQLITE
def test_sqlite_has_no_views_and_an_upgrade_needs_none(engine: Engine, settings: Settings, now: datetime) -> None:
    with pytest.raises(SettingsError, match="views need PostgreSQL; `xuelu export` writes the same tables as files"):
        create(engine, settings, "bi", None, now)
    with views.suspended(engine):
        migrate(engine)
