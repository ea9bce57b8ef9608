"""Imports are read whole first, and then written in slices between which others write."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, func, select

from content_catalog.errors import FileUnreadableError
from infra.catalog import organisations
from infra.db.core_tables import events, imports, items
from infra.db.engine import transaction
from infra.errors import ImportRefusedError
from infra.settings.settings import Settings
from jobs.ingest.ingest import ingest

HEADER = "event_id,member_id,item_id,verb,occurred_at\n"
LINES = [f"e{number},m1,i{number},viewed,2026-02-25T08:00:00Z\n" for number in range(10)]
Slices = Callable[..., Any]


@pytest.fixture
def in_slices(engine: Engine, settings: Settings, now: datetime, tmp_path: Path) -> Slices:
    """Return what imports events in slices of four rows."""

    def take(text: str, kind: str = "events", **options: Any) -> Any:
        path = tmp_path / "file.csv"
        path.write_text(text, encoding="utf-8")
        return ingest(engine, settings, path, kind, now=now, slice_rows=4, **options)

    return take


def stored(engine: Engine) -> tuple[int, list[tuple[str, int, int]]]:
    """Return the number of events, and status and counts of each import."""
    with transaction(engine) as session:
        count = session.scalar(select(func.count()).select_from(events)) or 0
        query = select(imports.c.status, imports.c.stored, imports.c.duplicates).order_by(imports.c.import_key)
        return count, [(row.status, row.stored, row.duplicates) for row in session.execute(query)]


def test_others_write_between_the_slices_of_a_file(
    engine: Engine, database_url: str, open_engine: Callable[[str], Engine], in_slices: Slices, now: datetime
) -> None:
    other = open_engine(database_url)
    seen: list[tuple[float, int]] = []

    def write(share: float) -> None:
        with transaction(other) as session:
            if other.dialect.name == "sqlite":
                session.connection().exec_driver_sql("PRAGMA busy_timeout = 0")
            organisations.ensure(session, f"organisation {len(seen)}", now=now)
            seen.append((share, session.scalar(select(func.count()).select_from(events)) or 0))

    in_slices(HEADER + "".join(LINES), progress=write)
    assert [count for _, count in seen] == [0, 4, 8, 10]
    assert [share for share, _ in seen] == sorted({share for share, _ in seen})
    assert stored(engine) == (10, [("imported", 10, 0)])


def test_an_import_that_stops_half_way_is_unfinished_and_completed_by_importing_again(
    engine: Engine, in_slices: Slices
) -> None:
    def stop(share: float) -> None:
        if share > 0.5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        in_slices(HEADER + "".join(LINES), progress=stop)
    assert stored(engine) == (4, [("unfinished", 0, 0)])
    in_slices(HEADER + "".join(LINES))
    assert stored(engine) == (10, [("unfinished", 0, 0), ("imported", 6, 4)])


@pytest.mark.parametrize("text", [HEADER + "".join(LINES), "no,columns\n1,2\n"])
def test_an_import_is_unfinished_while_its_file_is_read_and_leaves_no_entry_if_that_stops(
    engine: Engine, in_slices: Slices, text: str
) -> None:
    seen = []

    def stop(share: float) -> None:
        seen.append((share, stored(engine)))
        raise KeyboardInterrupt

    with pytest.raises((KeyboardInterrupt, FileUnreadableError)):
        in_slices(text, progress=stop)
    assert seen == [(0.3, (0, [("unfinished", 0, 0)]))] * text.startswith(HEADER)
    assert stored(engine) == (0, [])


def test_a_refused_file_of_many_slices_stores_nothing(engine: Engine, in_slices: Slices) -> None:
    in_slices(HEADER + "".join(LINES))
    with pytest.raises(ImportRefusedError, match="9 of 10 lines are bad"):
        in_slices(HEADER + "".join(line.replace("viewed", "completed") for line in LINES[:9]) + LINES[9])
    with pytest.raises(ImportRefusedError, match="10 of 20 lines are bad"):
        in_slices(HEADER + "".join(f"new{line}" for line in LINES) + 10 * "x,,,viewed,never\n")
    assert stored(engine) == (10, [("imported", 10, 0), ("refused", 0, 0), ("refused", 0, 0)])


def test_members_and_items_of_all_slices_are_created(
    engine: Engine, settings: Settings, in_slices: Slices, tmp_path: Path, now: datetime
) -> None:
    in_slices(HEADER + "early,m0,i99,viewed,2026-02-25\n")
    creating = settings.model_copy(update={"auto_create": True})
    path = tmp_path / "more.csv"
    path.write_text(HEADER + "".join(LINES), encoding="utf-8")
    result = ingest(engine, creating, path, "events", now=now, slice_rows=4)
    assert (result.created_members, result.created_items, result.unresolved) == (2, 11, 0)


def test_items_of_many_slices_keep_what_their_lines_do_not_name_and_form_no_cycle(
    engine: Engine, in_slices: Slices
) -> None:
    in_slices(
        "item_id,title,prerequisites\n" + "".join(f"i{n},T{n},i{n + 1}\n" for n in range(9)) + "i9,T9,\n", "items"
    )
    in_slices("item_id,language\n" + "".join(f"i{n},en\n" for n in range(10)), "items")
    with transaction(engine) as session:
        rows = session.execute(select(items.c.title, items.c.language, items.c.prerequisites).order_by(items.c.item_id))
        assert [tuple(row) for row in rows][::9] == [("T0", "en", "i1"), ("T9", "en", None)]
    with pytest.raises(Exception, match="prerequisites form a cycle: i0 needs i1 needs"):
        in_slices("item_id,prerequisites\ni9,i0\n", "items")
    in_slices("item_id,prerequisites\ni8,\ni9,i0\n", "items")
