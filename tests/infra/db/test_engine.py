"""Databases: addresses, migrations, transactions, and faults told in one line."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest
from alembic import command
from alembic.util import CommandError
from sqlalchemy import Engine, ForeignKey, create_engine, inspect, select, text, update
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.orm import Session

from infra.catalog import organisations
from infra.db.core_tables import metadata
from infra.db.core_tables import organisations as table
from infra.db.engine import check_migrated, make_engine, migration_config, transaction
from infra.db.migrate import migrate
from infra.errors import DatabaseError, DatabaseUnavailableError

OpenEngine = Callable[[str], Engine]
SURROGATES = {"import_key", "key_id", "run_key", "endpoint_key", "secret_key", "delivery_key", "token_digest"}
TENANTS = "organisations"


def alembic(engine: Engine, what: str, *arguments: str) -> None:
    """Run one of alembic's own commands on a database."""
    with migration_config() as config, engine.begin() as connection:
        config.attributes["connection"] = connection
        getattr(command, what)(config, *arguments)


def test_migrations_make_exactly_the_tables_that_the_code_declares(engine: Engine) -> None:
    alembic(engine, "check")


def test_a_table_that_differs_from_the_declared_one_is_noticed(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE members DROP COLUMN region"))
    with pytest.raises(CommandError, match="region"):
        alembic(engine, "check")


def test_migrations_go_down_to_nothing_and_up_again(engine: Engine) -> None:
    alembic(engine, "downgrade", "base")
    assert set(inspect(engine).get_table_names()) == {"alembic_version"}
    migrate(engine)
    assert set(inspect(engine).get_table_names()) == {"alembic_version", *metadata.tables}
    alembic(engine, "check")


def test_tables_stand_in_their_primary_key_where_the_code_says_so(tmp_path: Path, open_engine: OpenEngine) -> None:
    engine = open_engine(f"sqlite:///{tmp_path / 'own.db'}")
    migrate(engine)
    with engine.connect() as connection:
        without_rowid = {row.name for row in connection.execute(text("PRAGMA main.table_list")) if row.wr}
    declared = {
        name
        for name, declared_table in metadata.tables.items()
        if not declared_table.dialect_options["sqlite"]["with_rowid"]
    }
    assert without_rowid == declared != set()


@pytest.mark.usefixtures("served")
def test_rows_are_kept_by_downgrades_and_upgrades(engine: Engine) -> None:
    def rows() -> dict[str, list[str]]:
        with engine.connect() as connection:
            return {
                name: sorted(map(repr, connection.execute(select(table)))) for name, table in metadata.tables.items()
            }

    ids_by_key = text("UPDATE imports SET import_id = 'im_' || import_key")  # 0027 draws others
    with engine.begin() as connection:
        connection.execute(ids_by_key)
        connection.execute(text("UPDATE runs SET data_quality = NULL"))  # 0032 makes the column empty
        for table in ("items", "members"):
            connection.execute(update(metadata.tables[table]).values(updated_at=None))  # as 0037 makes the column
    before = rows()
    assert all(before[name] for name in ("members", "lists", "list_entries", "display_metadata", "catalogue_versions"))
    assert any("'rank'" in row for row in before["run_steps"])
    alembic(engine, "downgrade", "0010")
    with engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM archived_faces WHERE face <> ''")).scalar_one() > 0
    migrate(engine)
    with engine.begin() as connection:
        # 0021 makes the column empty: a run without it has models of its own moment.
        connection.execute(text("UPDATE runs SET models_as_of = as_of"))
        connection.execute(ids_by_key)
    assert rows() == before | {"data_folders": []}, "which 0016 makes, and later nights and imports record"


def test_migrating_twice_keeps_what_is_there(engine: Engine, now: datetime) -> None:
    with transaction(engine) as session:
        organisations.ensure(session, "couriers", now=now)
    migrate(engine)
    with transaction(engine) as session:
        assert session.scalars(select(table.c.name)).all() == ["couriers"]


def test_every_table_with_data_of_an_organisation_says_of_which_one(engine: Engine) -> None:
    inspector = inspect(engine)
    for name in sorted(set(inspector.get_table_names()) - {"alembic_version", TENANTS}):
        columns = {column["name"]: column for column in inspector.get_columns(name)}
        assert not columns["organisation_key"]["nullable"], name
        keys = [key for key in inspector.get_foreign_keys(name) if key["referred_table"] == TENANTS]
        assert [key["constrained_columns"] for key in keys] == [["organisation_key"]], name
        first = next(iter(metadata.tables[name].primary_key.columns or metadata.tables[name].columns))
        assert first.name in {"organisation_key", *SURROGATES}, name


def test_rows_of_an_unknown_organisation_are_impossible(engine: Engine) -> None:
    for name in sorted(set(metadata.tables) - {TENANTS}):
        key = metadata.tables[name].c.organisation_key
        assert any(isinstance(foreign_key, ForeignKey) for foreign_key in key.foreign_keys), name
    with pytest.raises(IntegrityError, match=r"(?i)foreign key"), transaction(engine) as session:
        session.execute(text("INSERT INTO members (organisation_key, member_id) VALUES (7, 'm1')"))


@pytest.mark.usefixtures("empty")
def test_a_database_without_tables_is_told_apart_from_a_migrated_one(engine: Engine) -> None:
    with pytest.raises(DatabaseError, match="run `xuelu init`"):
        check_migrated(engine)
    migrate(engine)
    check_migrated(engine)


@pytest.mark.usefixtures("empty")
def test_work_on_a_database_without_tables_ends_with_what_to_do(engine: Engine) -> None:
    with (
        pytest.raises(DatabaseError, match="run `xuelu init`") as caught,
        transaction(engine) as session,
    ):
        organisations.key_of(session, "default")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("work", [migrate, check_migrated])
def test_a_database_that_cannot_be_opened_is_an_error_of_one_line(
    tmp_path: Path, open_engine: OpenEngine, work: Callable[[Engine], None]
) -> None:
    engine = open_engine(f"sqlite:///{tmp_path / 'no folder' / 'xuelu.db'}")
    with pytest.raises(DatabaseError, match=r"unable to open database file|does not exist") as caught:
        work(engine)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("work", [migrate, check_migrated])
def test_a_file_that_is_no_database_is_an_error_of_one_line(
    tmp_path: Path, open_engine: OpenEngine, work: Callable[[Engine], None]
) -> None:
    path = tmp_path / "notes.db"
    path.write_text("a shopping list, and certainly no database\n" * 10, encoding="utf-8")
    with pytest.raises(DatabaseError, match="file is not a database"):
        work(open_engine(f"sqlite:///{path}"))


def test_a_server_that_is_away_is_named_without_its_password(open_engine: OpenEngine, tmp_path: Path) -> None:
    engine = open_engine(f"postgresql://xuelu:open-sesame@/xuelu?host={tmp_path}&sslpassword=open-sesame")
    for work in (migrate, check_migrated):
        with pytest.raises(DatabaseError, match="xuelu:") as caught:
            work(engine)
        assert "open-sesame" not in str(caught.value)
    with pytest.raises(DatabaseError, match="is it running") as caught, transaction(engine) as session:
        organisations.key_of(session, "default")
    assert "open-sesame" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("nonsense", "is no SQLAlchemy address"),
        ("postgresql://xuelu:open-sesame@localhost:port/xuelu", "is no SQLAlchemy address"),
        ("postgresql://xuelu:p@open-sesame@localhost/xuelu", "write one of the user or the password as %40"),
        ("mysql://xuelu:open-sesame@localhost/xuelu", "mysql is not supported; use sqlite or postgresql"),
    ],
)
def test_an_address_of_no_known_database_is_refused_without_telling_its_password(url: str, message: str) -> None:
    with pytest.raises(DatabaseError, match=message) as caught:
        make_engine(url)
    assert "open-sesame" not in str(caught.value)


@pytest.mark.parametrize("scheme", ["postgresql", "postgresql+psycopg", "postgresql+psycopg2"])
def test_every_spelling_of_a_postgresql_address_is_opened_by_the_one_driver_there_is(
    scheme: str, open_engine: OpenEngine
) -> None:
    assert open_engine(f"{scheme}://localhost/xuelu").driver == "psycopg"


def test_a_transaction_that_fails_leaves_nothing(engine: Engine, now: datetime) -> None:
    def fail(session: Session) -> None:
        organisations.ensure(session, "couriers", now=now)
        raise LookupError("on the way")

    with pytest.raises(LookupError, match="on the way"), transaction(engine) as session:
        fail(session)
    with transaction(engine) as session:
        assert session.scalars(select(table.c.name)).all() == []


def test_a_fault_of_our_own_statement_leaves_nothing_and_is_told_as_no_outage(engine: Engine, now: datetime) -> None:
    def ask(session: Session) -> None:
        organisations.ensure(session, "couriers", now=now)
        session.execute(text("SELECT * FROM no_such_table"))

    with pytest.raises(DBAPIError, match="no_such_table"), transaction(engine) as session:
        ask(session)
    with transaction(engine) as session:
        assert session.scalars(select(table.c.name)).all() == []


def failing_with(name: str) -> str:
    """Return SQL that fails on PostgreSQL with an error of a name."""
    return f"DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '{name}', MESSAGE = 'planned'; END $$"


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
@pytest.mark.parametrize(
    ("statement", "kind", "message"),
    [
        (failing_with("deadlock_detected"), DatabaseUnavailableError, "another writer was in the way"),
        (failing_with("query_canceled"), DatabaseError, "raise request_timeout_seconds"),
        (failing_with("read_only_sql_transaction"), DatabaseUnavailableError, "a standby"),
        (failing_with("idle_in_transaction_session_timeout"), DatabaseUnavailableError, "raise idle_in_transaction"),
        (failing_with("invalid_sql_statement_name"), DatabaseError, "set its pool_mode to session"),
        (failing_with("insufficient_privilege"), DatabaseError, "grant it to the user"),
        (failing_with("disk_full"), DatabaseUnavailableError, "free some space"),
        (failing_with("admin_shutdown"), DatabaseUnavailableError, "is it running"),
        (failing_with("program_limit_exceeded"), DBAPIError, "planned"),
        (failing_with("check_violation"), DBAPIError, "planned"),
    ],
)
def test_errors_of_postgresql_are_explained_by_their_kind(
    engine: Engine, statement: str, kind: type[Exception], message: str
) -> None:
    with pytest.raises(kind, match=message) as raised, transaction(engine) as session:
        session.execute(text(statement))
    assert raised.type is kind or issubclass(kind, DBAPIError)


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_too_many_parameters_are_a_fault_of_ours_and_no_outage(engine: Engine) -> None:
    with pytest.raises(DBAPIError, match="number of parameters"), transaction(engine) as session:
        session.execute(select(table.c.name).where(table.c.name.in_(["x"] * 65_536)))


def test_a_connection_that_does_not_get_free_is_a_fault_of_the_database(tmp_path: Path) -> None:
    (tmp_path / "xuelu.db").touch()
    engine = create_engine(f"sqlite:///{tmp_path / 'xuelu.db'}", pool_size=1, max_overflow=0, pool_timeout=0.05)
    with transaction(engine) as holding:
        holding.execute(text("SELECT 1"))
        with pytest.raises(DatabaseUnavailableError, match="limit of size 1"), transaction(engine) as waiting:
            waiting.execute(text("SELECT 1"))
    engine.dispose()
