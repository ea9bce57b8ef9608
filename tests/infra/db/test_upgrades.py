"""Databases of earlier versions come to the newest migration with all their data, and whatever interrupts it."""

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from sqlalchemy import Boolean, Engine, Float, Integer, LargeBinary, MetaData, Table, insert, inspect, select, text
from sqlalchemy.types import JSON

from features.xapi.index_terms import agent_term
from infra.db.core_tables import metadata
from infra.db.engine import check_migrated, make_engine
from infra.db.migrate import changing, migrate
from infra.errors import DatabaseError
from tests.conftest import ON_SQLITE
from tests.limits import HANG_SECONDS

FIRST_RELEASE, BEFORE_PLAIN_WORDS = "0001", "0011"
"""Migrations of version 0.1.0, and of the last commit before columns were renamed."""

RENAMED_TABLES = {"archived_faces": "display_metadata", "catalogue_stamps": "catalogue_versions"}
RENAMED_COLUMNS = {
    "face": "fields", "stamp": "version", "path": "strategy", "content": "entries_hash", "voids": "voided_event_id",
    "organisation": "units",
}  # fmt: skip
MAIL_TERM = "0bc9df976c0726a7aefd67f3dde68f98"
"""Term of mailto:li@Example.ORG before domains were indexed in lower case (migration 0038)."""
ROWS = 3
WORKER = "import sys; from infra.db.engine import make_engine; from infra.db.migrate import migrate; "
WORKER += "migrate(make_engine(sys.argv[1]))"
KILLED_AT = (1, 80, 150)
"""Statements of an upgrade from the first release; it has more."""
KILLED_WORKER = """
import os, signal, sys
from sqlalchemy import event
from infra.db.engine import make_engine
from infra.db.migrate import migrate

def upgrade(last):
    engine, done = make_engine(sys.argv[1]), []
    @event.listens_for(engine, "after_cursor_execute")
    def count(*_):
        done.append(1)
        if len(done) == last:
            os.kill(os.getpid(), signal.SIGKILL)
    @event.listens_for(engine, "commit")
    def end(_):
        if last == 0:
            os.kill(os.getpid(), signal.SIGKILL)
    migrate(engine)

for last in map(int, sys.argv[2:]):
    child = os.fork()
    if not child:
        upgrade(last)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL, last
"""
"""Upgrade in forks, each killed after a number of statements; 0: before the commit."""


def at(engine: Engine, revision: str) -> None:
    """Bring an empty database to a migration."""
    with changing(engine) as config:
        command.upgrade(config, revision)


def reflected(engine: Engine) -> list[Table]:
    """Return the tables as the database has them, those first that others refer to."""
    tables = MetaData()
    tables.reflect(engine)
    return [table for table in tables.sorted_tables if table.name != "alembic_version"]


def value_of(table: Table, name: str, row: int) -> Any:
    """Return a value for a column that differs from row to row; rows of one number refer to each other."""
    kind = table.c[name].type
    if isinstance(kind, JSON):
        return {"row": row}
    if isinstance(kind, LargeBinary):
        return bytes([row])
    if isinstance(kind, Boolean):
        return bool(row % 2)
    if isinstance(kind, Float):
        return float(row)
    if isinstance(kind, Integer):
        return row
    return {"status": "published", "kind": "role"}.get(name, f"{table.name} {name} {row}")


def fill(engine: Engine) -> dict[str, list[dict[str, Any]]]:
    """Fill every table with some rows, and return them."""
    rows = {}
    with engine.begin() as connection:
        for table in reflected(engine):
            rows[table.name] = [
                {column.name: value_of(table, column.name, row) for column in table.columns}
                for row in range(1, ROWS + 1)
            ]
            connection.execute(insert(table), rows[table.name])
    return rows


def assert_rows_are_there(engine: Engine, rows: dict[str, list[dict[str, Any]]]) -> None:
    """Compare what stands under the new names with the rows of before."""
    tables = {table.name: table for table in reflected(engine)}
    with engine.connect() as connection:
        for name, before in rows.items():
            table = tables[name] if name in tables else tables[RENAMED_TABLES[name]]
            named = {old: new for old in before[0] if (new := new_name(table, old)) is not None}
            query = select(*(table.c[new] for new in named.values()))
            now = sorted(repr(tuple(row)) for row in connection.execute(query))
            assert now == sorted(repr(tuple(row[old] for old in named)) for row in before), name


def new_name(table: Table, old: str) -> str | None:
    """Return what a column is called today; None where what it held is elsewhere."""
    return next((name for name in (old, RENAMED_COLUMNS.get(old)) if name is not None and name in table.c), None)


@pytest.mark.usefixtures("empty")
def test_a_killed_upgrade_leaves_a_database_of_the_first_release_as_it_was_and_the_next_brings_all_its_rows(
    engine: Engine,
) -> None:
    at(engine, FIRST_RELEASE)
    rows = fill(engine)
    address = engine.url.render_as_string(hide_password=False)
    engine.dispose()
    command_line = [sys.executable, "-c", KILLED_WORKER, address, *map(str, (*KILLED_AT, 0))]
    subprocess.run(command_line, check=True, timeout=HANG_SECONDS)
    with engine.connect() as connection:
        assert connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one() == FIRST_RELEASE
    assert_rows_are_there(engine, rows)
    of_lists = {row["number"]: row["entries"] for row in rows.pop("list_entries")}
    migrate(engine)
    check_migrated(engine)
    assert_rows_are_there(engine, rows)
    joined = text("SELECT lists.member_id, entries FROM lists JOIN list_entries USING (organisation_key, entries_hash)")
    with engine.connect() as connection:
        entries = {row.member_id: row.entries for row in connection.execute(joined)}
    assert entries == {row["member_id"]: of_lists[row["number"]] for row in rows["lists"]}
    assert len(entries) == ROWS


@pytest.mark.usefixtures("empty")
def test_a_database_of_the_last_commit_before_the_renaming_comes_along_and_goes_back(engine: Engine) -> None:
    at(engine, BEFORE_PLAIN_WORDS)
    rows = fill(engine)
    address = '{"actor":{"mbox":"mailto:li@Example.ORG"},"object":{"mbox":"mailto:an@example.org"}}'
    keys = {"organisation_key": 1, "stored_at": 9}
    statement = {**keys, "statement_id": "x", "voiding": False, "target_id": None, "statement": address}
    terms = [{**keys, "term": MAIL_TERM, "direct": True}]
    with engine.begin() as connection:
        for table in reflected(engine):
            added = {"statements": [statement], "statement_terms": terms}.get(table.name, [])
            if added:
                connection.execute(insert(table), added)
                rows[table.name] += added
    migrate(engine)
    rows["statement_terms"].append({**keys, "term": agent_term({"mbox": "mailto:li@example.org"}), "direct": True})
    assert_rows_are_there(engine, rows)
    with engine.connect() as connection:
        assert connection.execute(text("SELECT count(DISTINCT import_id) FROM imports")).scalar_one() == ROWS
    with changing(engine) as config:
        command.downgrade(config, BEFORE_PLAIN_WORDS)
    assert_rows_are_there(engine, rows)
    with changing(engine) as config:
        command.downgrade(config, FIRST_RELEASE)
        command.downgrade(config, "base")
    assert set(inspect(engine).get_table_names()) == {"alembic_version"}
    migrate(engine)
    assert set(inspect(engine).get_table_names()) == {*metadata.tables, "alembic_version"}


@pytest.mark.usefixtures("empty")
def test_many_lists_of_the_first_release_are_upgraded_in_time_that_grows_with_their_number(engine: Engine) -> None:
    """Twenty thousand lists once took a minute: each was looked for among all."""
    at(engine, FIRST_RELEASE)
    fill(engine)
    tables = {table.name: table for table in reflected(engine)}
    keys = {"organisation_key": 1, "run_key": 1}
    numbers = range(10, 20_010)
    with engine.begin() as connection:
        entries = [{**keys, "number": number, "entries": f"[{number}]"} for number in numbers]
        connection.execute(insert(tables["list_entries"]), entries)
        people = [{**keys, "member_id": f"m{n}", "list_id": str(n), "path": "x", "number": n} for n in numbers]
        connection.execute(insert(tables["lists"]), people)
    start = time.process_time()
    migrate(engine)
    assert time.process_time() - start < 15
    with engine.connect() as connection:
        assert connection.execute(text("SELECT count(DISTINCT entries_hash) FROM lists")).scalar_one() == 20_003


@pytest.mark.usefixtures("empty")
@ON_SQLITE
def test_what_a_killed_upgrade_of_the_first_release_left_is_dropped_and_views_are_named(engine: Engine) -> None:
    at(engine, FIRST_RELEASE)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE _alembic_tmp_members (member_id TEXT)"))
        connection.execute(text("CREATE VIEW own AS SELECT member_id FROM members"))
    with pytest.raises(DatabaseError, match=r"error in view own.*; drop that view"):
        migrate(engine)
    with engine.begin() as connection:
        connection.execute(text("DROP VIEW own"))
    migrate(engine)
    assert "_alembic_tmp_members" not in inspect(engine).get_table_names()


@pytest.mark.usefixtures("empty")
def test_upgrades_at_the_same_time_wait_for_each_other(engine: Engine, database_url: str) -> None:
    command_line = [sys.executable, "-c", WORKER, engine.url.render_as_string(hide_password=False)]
    del database_url
    workers = [subprocess.Popen(command_line, stderr=subprocess.PIPE) for _ in range(2)]
    for worker in workers:
        assert worker.wait(HANG_SECONDS) == 0, worker.stderr.read() if worker.stderr else ""
        if worker.stderr:
            worker.stderr.close()
    check_migrated(engine)


def test_a_database_of_a_newer_version_is_refused_in_one_line(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(DatabaseError, match="made by a newer version of xuelu") as caught:
        migrate(engine)
    assert "\n" not in str(caught.value)
    with pytest.raises(DatabaseError, match="is at migration 9999, not "):
        check_migrated(engine)


def test_a_mistyped_address_makes_no_file(tmp_path: Path) -> None:
    path = tmp_path / "elsewhere.db"
    with pytest.raises(DatabaseError, match="does not exist; run `xuelu init`, or check database_url"):
        check_migrated(make_engine(f"sqlite:///{path}"))
    assert not path.exists()


def test_a_new_database_file_is_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "xuelu.db"
    umask = os.umask(0)
    try:
        engine = make_engine(f"sqlite:///{path}")
        migrate(engine)
        with engine.begin() as connection:
            connection.execute(text("INSERT INTO organisations (name, created_at) VALUES ('a', 0)"))
            modes = {file.name: file.stat().st_mode & 0o777 for file in tmp_path.iterdir()}
    finally:
        os.umask(umask)
    engine.dispose()
    assert set(modes.values()) == {0o600}, modes
