"""Backups: everything comes back to the byte, on either database, and nobody who was erased since."""

import os
import zipfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from sqlalchemy import Connection, Engine, event, insert, literal, select

from infra.access import audit_log, console_sessions
from infra.access.console_sessions import ProviderLogin
from infra.backup.archive import MANIFEST, new_archive, place_of, write_rows
from infra.backup.backup import backup
from infra.backup.restore import restore
from infra.catalog import organisations
from infra.db import access_tables, core_tables
from infra.db.delivery_tables import deliveries, delivery_attempts
from infra.db.engine import make_engine, transaction
from infra.delivery import endpoints, outbox
from infra.errors import BackupError
from infra.privacy import erasure, erasure_log
from infra.privacy.export import METADATA
from infra.runs import artefacts
from infra.settings.settings import Settings
from tests.conftest import ON_SQLITE

Restore = Callable[..., tuple[Engine, dict[str, Any]]]
AFTER_RESTORE = {"audit_entries", "audit_heads", "data_folders", "catalogue_versions"}
"""Tables that a restoration itself writes to."""


@pytest.fixture
def settings(settings: Settings, tmp_path: Path) -> Settings:
    """Return settings with a folder of artefacts of the test's own."""
    return settings.model_copy(update={"artefacts_folder": tmp_path / "artefacts"})


@pytest.fixture
def file(engine: Engine, settings: Settings, served: dict[str, Any], now: datetime, tmp_path: Path) -> Path:
    """Return a backup of an organisation with a night, an artefact of it, and pushes that were tried."""
    with transaction(engine) as session:
        owner = served["organisation_key"]
        endpoints.add_endpoint(session, owner, "webhook", "https://app.example/", now=now)
        outbox.enqueue(session, owner, served["run_key"], settings, now=now)
        columns = (deliveries.c.organisation_key, deliveries.c.delivery_key, deliveries.c.due_at, literal(1))
        names = ["organisation_key", "delivery_key", "started_at", "number"]
        session.execute(insert(delivery_attempts).from_select(names, select(*columns)))
    folder = settings.artefacts_folder / served["run_id"]
    artefacts.save(folder, "fit", {"kept": True})
    os.utime(artefacts.path_of(folder, "fit"), (0, 0))  # a machine without a clock; ZIP files begin in 1980
    backup(engine, settings, tmp_path / "backup.zip", actor="test", now=now)
    return tmp_path / "backup.zip"


@pytest.fixture
def restored(request: pytest.FixtureRequest, settings: Settings, now: datetime, tmp_path: Path) -> Iterator[Restore]:
    """Return what restores a file into an empty database of a kind and a new folder, and returns both."""
    undo = ExitStack()

    def restoring(file: Path, kind: str, **changes: Any) -> tuple[Engine, dict[str, Any]]:
        states = request.getfixturevalue(f"{kind}_states")
        engine = make_engine(undo.enter_context(states.database("empty")))
        undo.callback(engine.dispose)
        elsewhere = settings.model_copy(update={"artefacts_folder": tmp_path / "elsewhere"})
        commits: list[Connection] = []
        event.listen(engine, "commit", commits.append)
        figures = restore(engine, elsewhere, file, actor="test", now=now + timedelta(days=2), **changes)
        assert len(commits) == 1, "where it is killed before, nothing is left"
        return engine, figures

    with undo:
        yield restoring


def contents(engine: Engine, *, without: set[str]) -> dict[str, list[Any]]:
    """Return the rows of every table by its name."""
    with transaction(engine) as session:
        return {
            table.name: sorted((tuple(row) for row in session.execute(select(table))), key=repr)
            for table in METADATA.sorted_tables
            if table.name not in without
        }


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_everything_comes_back_on_either_database(engine: Engine, file: Path, restored: Restore, kind: str) -> None:
    other, figures = restored(file, kind)
    before = contents(engine, without=AFTER_RESTORE)
    assert contents(other, without=AFTER_RESTORE) == before
    assert before["list_entries"]
    assert (figures["artefacts"], figures["erased"], figures["left"]) == (1, 0, [])
    with transaction(other) as session:
        owner = organisations.key_of(session, "default")
        assert audit_log.verify(session, owner)[1] is None
    with transaction(engine) as session:
        entry = audit_log.page(session, owner, audit_log.EntryFilter(), limit=1)[0]
        assert (entry["actor"], entry["action"]) == ("test", "backup.write")
    with transaction(other) as session:
        assert organisations.ensure(session, "new", now=figures["made_at"]) > owner, "sequences go on"


@ON_SQLITE
@pytest.mark.usefixtures("served")
def test_no_session_of_the_console_is_in_a_backup_or_comes_back(
    engine: Engine, settings: Settings, restored: Restore, now: datetime, tmp_path: Path
) -> None:
    login = ProviderLogin("li", ("default",), frozenset({"lists:read"}), "an ID token")
    with transaction(engine) as session:
        console_sessions.open_by_provider(session, login, {"default": 1}, now=now)
    file = tmp_path / "backup.zip"
    backup(engine, settings, file, actor="test", now=now)
    name, earlier = "tables/console_sessions.jsonl", tmp_path / "earlier.zip"
    with zipfile.ZipFile(file) as source, zipfile.ZipFile(earlier, "w") as target, transaction(engine) as session:
        assert source.read(name).count(b"\n") == 1, "the names of the columns"
        for entry in set(source.namelist()) - {name, MANIFEST}:
            target.writestr(entry, source.read(entry))
        with target.open(name, "w") as rows:
            write_rows(rows, access_tables.console_sessions, session.execute(select(access_tables.console_sessions)))
        manifest = orjson.loads(source.read(MANIFEST))
        manifest["rows"]["console_sessions"] = 1
        target.writestr(MANIFEST, orjson.dumps(manifest))
    other, _ = restored(earlier, "sqlite")
    assert contents(other, without=set())["console_sessions"] == []


@ON_SQLITE
def test_artefacts_come_back_and_what_is_there_stays(
    file: Path, restored: Restore, served: dict[str, Any], tmp_path: Path
) -> None:
    present = tmp_path / "elsewhere" / "other" / "x.artefact"
    present.parent.mkdir(parents=True)
    present.write_bytes(b"x")
    restored(file, "sqlite")
    copy = artefacts.path_of(tmp_path / "elsewhere" / served["run_id"], "fit")
    assert copy.read_bytes() == artefacts.path_of(tmp_path / "artefacts" / served["run_id"], "fit").read_bytes()
    assert present.read_bytes() == b"x"


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_members_erased_since_do_not_come_back(
    engine: Engine, settings: Settings, file: Path, restored: Restore, now: datetime, kind: str
) -> None:
    later = now + timedelta(days=1)
    record = settings.artefacts_folder / erasure_log.NAME
    record.write_bytes(b'{"organisation":"def')  # a full disk cut it off
    with transaction(engine) as session:
        owner = organisations.key_of(session, "default")
        assert erasure.erase(session, settings, owner, "d1", actor="test", now=later)["left"] == []
    assert b'"d1"' not in record.read_bytes()
    other, figures = restored(file, kind, erasures=[record])
    assert (figures["erased"], figures["left"]) == (1, [])
    rows = contents(other, without=set())
    assert not any("d1" in row for table in rows.values() for row in table)
    assert any("d2" in row for row in rows["members"])


@ON_SQLITE
def test_an_erasure_before_the_backup_is_not_applied_to_whom_came_again(
    engine: Engine, settings: Settings, file: Path, restored: Restore, now: datetime
) -> None:
    with transaction(engine) as session:
        owner = organisations.key_of(session, "default")
        left = erasure_log.record(session, settings.artefacts_folder, owner, "d1", now=now - timedelta(hours=1))
    assert left == []
    assert restored(file, "sqlite", erasures=[settings.artefacts_folder / erasure_log.NAME])[1]["erased"] == 0


@ON_SQLITE
def test_an_erasure_that_cannot_be_recorded_is_left(
    engine: Engine, settings: Settings, file: Path, now: datetime
) -> None:
    assert file.exists()
    (settings.artefacts_folder / erasure_log.NAME).mkdir()
    with transaction(engine) as session:
        owner = organisations.key_of(session, "default")
        left = erasure.erase(session, settings, owner, "d1", actor="test", now=now)["left"]
    assert "erase the member again after restoring" in left[0]


@ON_SQLITE
def test_a_damaged_backup_leaves_the_database_empty(file: Path, restored: Restore, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.zip"
    with zipfile.ZipFile(file) as source, zipfile.ZipFile(damaged, "w") as target:
        for name in source.namelist():
            content = source.read(name)
            target.writestr(name, content.splitlines()[0] if name == "tables/members.jsonl" else content)
    for _ in range(2):
        with pytest.raises(BackupError, match="damaged"):
            restored(damaged, "sqlite")
    with pytest.raises(BackupError, match="no backup"):
        restored(Path(__file__), "sqlite")


@ON_SQLITE
def test_a_restoration_that_failed_can_be_done_again(
    settings: Settings, file: Path, now: datetime, tmp_path: Path
) -> None:
    engine = make_engine(f"sqlite:///{tmp_path / 'new.db'}")
    elsewhere = settings.model_copy(update={"artefacts_folder": tmp_path / "elsewhere"})
    elsewhere.artefacts_folder.write_bytes(b"")
    with pytest.raises(OSError, match="elsewhere"):
        restore(engine, elsewhere, file, actor="test", now=now)
    elsewhere.artefacts_folder.unlink()
    record = tmp_path / "record.jsonl"
    record.write_bytes(b"{}\n")
    with pytest.raises(BackupError, match="record of erasures"):
        restore(engine, elsewhere, file, erasures=[record], actor="test", now=now)
    assert restore(engine, elsewhere, file, actor="test", now=now)["rows"]
    engine.dispose()


@ON_SQLITE
def test_nothing_that_is_there_is_overwritten(engine: Engine, settings: Settings, file: Path, now: datetime) -> None:
    content = file.read_bytes()
    with pytest.raises(BackupError, match="exists"):
        backup(engine, settings, file, actor="test", now=now)
    assert file.read_bytes() == content
    with pytest.raises(BackupError, match="has tables"):
        restore(engine, settings, file, actor="test", now=now)


def test_two_backups_do_not_write_one_file_and_what_a_killed_one_left_is_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "backup.zip"
    (tmp_path / ".backup.zip.part").write_bytes(b"half" * 1_000)

    with new_archive(path) as archive:
        archive.writestr("a", "b")
        with pytest.raises(BackupError, match="another backup is writing"), new_archive(path):
            pass

    assert [file.name for file in tmp_path.iterdir()] == ["backup.zip"]
    assert path.stat().st_size < 1_000
    with zipfile.ZipFile(path) as whole:
        assert whole.namelist() == ["a"]


@ON_SQLITE
def test_a_backup_holds_no_key_of_the_environment_and_only_its_owner_reads_it(
    engine: Engine, settings: Settings, served: dict[str, Any], now: datetime, tmp_path: Path
) -> None:
    assert served
    secret = settings.model_copy(update={"receipt_key": "receipt-secret"})
    backup(engine, secret, tmp_path / "x.zip", actor="test", now=now)
    assert (tmp_path / "x.zip").stat().st_mode & 0o077 == 0
    with zipfile.ZipFile(tmp_path / "x.zip") as archive:
        assert MANIFEST in archive.namelist()
        assert not any(b"receipt-secret" in archive.read(name) for name in archive.namelist())


@pytest.mark.parametrize("name", ["artefacts/../x", "artefacts", "artefacts/..\\x"])
def test_no_file_goes_outside_of_the_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="no file of artefacts"):
        place_of(tmp_path, name)


def test_the_keys_of_organisations_are_made_once(engine: Engine, now: datetime) -> None:
    table = core_tables.organisations
    with transaction(engine) as session:
        organisations.ensure(session, "keyed", now=now)
        erasure_log.make_keys(session)
        first = session.scalars(select(table.c.erasure_key)).all()
        erasure_log.make_keys(session)
        assert session.scalars(select(table.c.erasure_key)).all() == first
    assert all(first)
