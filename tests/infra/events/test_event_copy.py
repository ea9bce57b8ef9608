"""The copy of the events as Parquet files: the same events as in the database, whatever happened to either."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import HealthCheck, example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy import Engine
from structlog.testing import capture_logs

from features.events import check_events
from infra.catalog import organisations
from infra.db.engine import snapshot, transaction
from infra.events import event_copy, month_files, retention
from infra.events import store as events
from infra.privacy import erasure, remains
from infra.settings.settings import Settings
from jobs.nightly.night import nightly

COLUMNS = ["event_id", "member_id", "item_id", "verb", "occurred_at", "progress", "session_id", "voided_event_id"]
MEMBERS, ITEMS = pd.Index(["", "member-a", "member-b"]), pd.Index(["i1", "i2"])
MOMENTS = (
    "1970-01-01T00:00:00Z",
    "2026-01-31T23:59:59.999999Z",
    "2026-02-01",
    "2026-02-11T08:00:00Z",
    "2026-02-12T08:00:00Z",
    "2199-12-31T23:59:59Z",
)


def store(engine: Engine, key: int, *rows: tuple[str, ...]) -> None:
    """Store events given as texts."""
    frame = pd.DataFrame([(*row, *[""] * (len(COLUMNS) - len(row))) for row in rows], columns=COLUMNS, dtype="str")
    valid, rejects = check_events(frame)
    assert rejects.empty
    with transaction(engine) as session:
        events.store(session, key, valid)


def compared(engine: Engine, key: int, folder: Path, now: datetime) -> pd.DataFrame:
    """Return the events as read by way of the copy, after comparing them with those of the database."""
    with snapshot(engine) as session:
        arguments: dict[str, Any] = {"members": MEMBERS, "items": ITEMS, "before": now}
        copied = event_copy.study_events(session, key, folder, **arguments)
        stored = events.study_events(session, key, **arguments)
    names = list(stored.columns)
    pd.testing.assert_frame_equal(*(frame.sort_values(names, ignore_index=True) for frame in (copied, stored)))
    return copied


def states(engine: Engine, key: int, folder: Path) -> dict[str, str]:
    """Return whether each month's file is the ``same`` as the database, ``behind`` it, ``damaged`` or ``missing``."""
    by_month: dict[str, event_copy.Digests] = {month: {} for month in month_files.months_in(folder)}
    with transaction(engine) as session:
        for day, digest in event_copy.day_digests(session, key).items():
            by_month.setdefault(month_files.month_of(day), {})[day] = digest
    return {month: state_of(folder, month, expected) for month, expected in by_month.items()}


def state_of(folder: Path, month: str, expected: event_copy.Digests) -> str:
    if not month_files.path_of(folder, month).exists():
        return "missing"
    try:
        present = month_files.digests(month_files.read(folder, month))
    except month_files.UNREADABLE:
        return "damaged"
    return "same" if present == expected else "behind"


@pytest.fixture
def folder(settings: Settings, key: int) -> Path:
    """Return the folder of the copy."""
    return month_files.folder_of(settings.artefacts_folder, key)


@pytest.fixture
def key(engine: Engine, now: datetime) -> int:
    """Return the key of an organisation with events in two months."""
    with transaction(engine) as session:
        key = organisations.ensure(session, "default", now=now)
    january = ("member-a", "i1", "viewed", "2026-01-05T08:00:00Z", "0.30000000000000004")
    store(engine, key, ("e1", *january), ("e2", "member-b", "i2", "completed", "2026-02-01", "", "s1"))
    return key


ANY_EVENT = st.tuples(
    st.sampled_from(["member-a", "member-b", "stranger"]),
    st.sampled_from(["i1", "i2", "elsewhere"]),
    st.sampled_from(["viewed", "completed", "shown"]),
    st.sampled_from(MOMENTS),
    st.sampled_from(["", "0.1", "1"]),
    st.sampled_from(["", "s1"]),
)
STEPS = st.one_of(
    st.tuples(st.just("store"), st.lists(ANY_EVENT, min_size=1, max_size=3)),
    st.tuples(st.just("void"), st.integers(1, 6)),
    st.tuples(st.just("erase"), st.sampled_from(["member-a", "member-b"])),
    st.tuples(st.just("retain"), st.sampled_from([10, 40])),
)
NUMBERS = count()


@hypothesis_settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(STEPS, min_size=1, max_size=4))
@example(
    steps=[
        ("store", [("member-a", "i1", "viewed", moment, "", "s1") for moment in MOMENTS]),
        ("store", [("member-b", "i1", "viewed", MOMENTS[4], "", ""), ("member-a", "i2", "viewed", MOMENTS[5], "", "")]),
        ("void", 4),
        ("erase", "member-a"),
        ("retain", 10),
    ]
)
def test_the_copy_has_the_events_of_the_database_whatever_is_stored_voided_erased_or_retained(
    steps: list[tuple[str, Any]], engine: Engine, settings: Settings, now: datetime
) -> None:
    with transaction(engine) as session:
        key = organisations.ensure(session, f"number {next(NUMBERS)}", now=now)
    folder = month_files.folder_of(settings.artefacts_folder, key)
    ids = count()
    for step, detail in steps:
        if step == "store":
            store(engine, key, *((f"e{next(ids)}", *row) for row in detail))
        elif step == "void":
            store(engine, key, (f"v{next(ids)}", "", "", "voided", "2026-02-20", "", "", f"e{detail}"))
        elif step == "erase":
            store(engine, key, (f"e{next(ids)}", detail, "i1", "viewed", "2026-02-11T08:00:00Z"))
            compared(engine, key, folder, now)
            with transaction(engine) as session:
                assert erasure.erase(session, settings, key, detail, actor="test", now=now)["left"] == []
            assert not any(detail.encode() in path.read_bytes() for path in folder.glob("*"))
            assert set(states(engine, key, folder).values()) <= {"same"}
        else:
            with transaction(engine) as session:
                retention.retain(session, key, days=detail, now=now, min_group_size=1, apply=True)
        compared(engine, key, folder, now)


def test_only_the_months_that_changed_are_written_and_their_owner_alone_reads_them(
    engine: Engine, key: int, folder: Path, now: datetime
) -> None:
    assert states(engine, key, folder) == {"2026-01": "missing", "2026-02": "missing"}
    assert len(compared(engine, key, folder, now)) == 2
    january, february = (folder / f"2026-0{number}.parquet" for number in (1, 2))
    before = (january.stat().st_ino, february.stat().st_ino)
    store(engine, key, ("e3", "member-a", "i1", "viewed", "2026-02-03"))
    assert states(engine, key, folder) == {"2026-01": "same", "2026-02": "behind"}
    assert len(compared(engine, key, folder, now)) == 3
    assert january.stat().st_ino == before[0]
    assert february.stat().st_ino != before[1]
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
    assert folder.stat().st_mode & 0o777 == 0o700


def cut_off(path: Path) -> None:
    """Leave half of a file."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip(path: Path) -> None:
    """Change one byte of the first page."""
    content = bytearray(path.read_bytes())
    content[40] ^= 0xFF
    path.write_bytes(content)


def other_columns(path: Path) -> None:
    """Replace a file by one of other columns."""
    pd.DataFrame({"member_id": ["x"]}).to_parquet(path)


@pytest.mark.parametrize("damage", [cut_off, flip, other_columns, Path.unlink, lambda path: path.write_bytes(b"")])
def test_a_damaged_or_missing_file_is_written_again(
    damage: Callable[[Path], None], engine: Engine, key: int, folder: Path, now: datetime
) -> None:
    compared(engine, key, folder, now)
    damage(folder / "2026-01.parquet")
    missing = damage is Path.unlink
    assert states(engine, key, folder)["2026-01"] == ("missing" if missing else "damaged")
    with capture_logs() as logs:
        assert len(compared(engine, key, folder, now)) == 2
    assert [entry["month"] for entry in logs] == ([] if missing else ["2026-01"])
    assert states(engine, key, folder)["2026-01"] == "same"


def test_what_a_killed_night_left_is_removed(engine: Engine, key: int, folder: Path, now: datetime) -> None:
    compared(engine, key, folder, now)
    (folder / "2026-02.parquet").replace(folder / "2026-02.parquet.part")
    (folder / "2020-01.parquet").write_bytes(b"")
    compared(engine, key, folder, now)
    assert sorted(path.name for path in folder.iterdir()) == ["2026-01.parquet", "2026-02.parquet"]


def test_a_folder_that_cannot_be_written_ends_no_night(engine: Engine, key: int, folder: Path, now: datetime) -> None:
    folder.parent.mkdir(parents=True)
    folder.write_text("in the way")
    with capture_logs() as logs:
        assert len(compared(engine, key, folder, now)) == 2
    assert logs


def test_an_erasure_removes_files_that_cannot_be_read_and_unfinished_ones(
    engine: Engine, settings: Settings, key: int, folder: Path, now: datetime
) -> None:
    compared(engine, key, folder, now)
    cut_off(folder / "2026-01.parquet")
    (folder / "2026-01.parquet.part").write_bytes(b"member-a")
    place = settings.artefacts_folder
    assert len(list(remains.in_event_copy(place, key, "member-a"))) == 2
    with transaction(engine) as session:
        assert erasure.erase(session, settings, key, "member-a", actor="test", now=now)["left"] == []
    assert [path.name for path in folder.iterdir()] == ["2026-02.parquet"]
    assert list(remains.in_event_copy(place, key, "member-a")) == []


def test_a_night_that_reads_the_copy_has_the_data_and_the_lists_of_one_that_reads_the_database(
    served: dict[str, Any], engine: Engine, settings: Settings, now: datetime
) -> None:
    rules = settings.nightly.model_copy(update={"event_copy": True})
    run = nightly(engine, settings.model_copy(update={"nightly": rules}), now=now)
    assert run["data_digest"] == served["data_digest"]
    assert run["counts"] == served["counts"]
    with transaction(engine) as session:
        key = organisations.key_of(session, "default")
    folder = month_files.folder_of(settings.artefacts_folder, key)
    assert states(engine, key, folder) == {"2026-02": "same"}


def test_a_copy_of_another_moment_counts_no_later_events(engine: Engine, key: int, folder: Path) -> None:
    moment = datetime(2026, 2, 1, tzinfo=UTC)
    assert len(compared(engine, key, folder, moment)) == 1
    assert len(compared(engine, key, folder, moment + timedelta(microseconds=1))) == 2
