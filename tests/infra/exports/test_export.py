"""Lists, events and outcomes as files of a star schema."""

import csv
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson
import pyarrow.parquet as pq
import pytest
from sqlalchemy import Engine, select

from infra.catalog import organisations
from infra.db.core_tables import lists
from infra.db.engine import transaction
from infra.errors import SettingsError
from infra.exports.export import export
from infra.exports.star_schema import DIMENSIONS, FACTS
from infra.ingest.rejects import escape_formula
from infra.privacy import erasure
from infra.settings.settings import Settings
from tests.audit_entries import audit_entries
from tests.conftest import Take
from tests.docs.pages import REFERENCE, rows


@pytest.fixture
def written(
    served: dict[str, Any], take: Take, engine: Engine, settings: Settings, now: datetime, tmp_path: Path
) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of every file of an export as Parquet, after one entry of a list was opened."""
    with transaction(engine) as session:
        row = session.execute(
            select(lists).where(lists.c.run_key == served["run_key"], lists.c.member_id == "d0")
        ).one()
    take(
        "events",
        "event_id,member_id,item_id,verb,occurred_at,push_list_id,voided_event_id\n"
        f"p1,d0,o1,shown,2026-03-01T06:00:00Z,{row.list_id},\n"
        f"p2,d0,o1,completed,2026-03-01T07:00:00Z,{row.list_id},\n"
        f"p3,d0,o2,viewed,2026-03-01T07:00:00Z,{row.list_id},\n"
        "p4,,,voided,2026-03-01T08:00:00Z,,p3\n",
    )
    export(engine, settings, [*FACTS], tmp_path / "bi", form="parquet", actor="test", now=now)
    return {path.stem: pq.read_table(path).to_pylist() for path in (tmp_path / "bi").glob("*.parquet")}


def test_every_fact_names_members_items_and_runs_that_are_exported(written: dict[str, list[dict[str, Any]]]) -> None:
    ids = {name: {row[f"{name[:-1]}_id"] for row in written[name]} for name in DIMENSIONS}

    assert written.keys() == {*DIMENSIONS, *FACTS}
    for name in FACTS:
        assert written[name]
        assert {row["member_id"] for row in written[name]} <= ids["members"] - {"private", ""}
    assert {row["item_id"] for row in written["lists"]} <= ids["items"]
    assert {row["run_id"] for row in written["lists"]} == ids["runs"]
    own = [row["rank"] for row in written["lists"] if row["member_id"] == "d0"]
    assert own == list(range(1, len(own) + 1))


def test_an_outcome_has_what_became_of_an_entry_and_voided_events_count_nowhere(
    written: dict[str, list[dict[str, Any]]],
) -> None:
    (outcome,) = written["outcomes"]

    assert (outcome["member_id"], outcome["item_id"]) == ("d0", "o1")
    assert [outcome[name] for name in ("shown", "opened", "completed", "dismissed", "liked")] == [1, 1, 1, 0, 0]
    assert f"{outcome['first_at']:%Y-%m-%d %H}" == "2026-03-01 06"
    assert {row["event_id"] for row in written["events"]} & {"p1", "p2", "p3", "p4"} == {"p1", "p2"}


def test_every_format_holds_the_same_and_an_erasure_removes_the_files(
    served: dict[str, Any], engine: Engine, settings: Settings, now: datetime, tmp_path: Path
) -> None:
    del served
    folder = tmp_path / "bi"
    counts = {
        form: export(engine, settings, ["lists"], folder, form=form, actor="test", now=now)
        for form in ("parquet", "csv", "jsonl")
    }
    with (folder / "lists.csv").open(encoding="utf-8") as file:
        from_csv = [(row["member_id"], row["item_id"], int(row["rank"])) for row in csv.DictReader(file)]
    lines = map(orjson.loads, (folder / "lists.jsonl").read_bytes().splitlines())
    from_parquet = pq.read_table(folder / "lists.parquet").to_pylist()

    keys = ("member_id", "item_id", "rank")
    assert from_csv == [tuple(row[key] for key in keys) for row in from_parquet]
    assert from_csv == [tuple(row[key] for key in keys) for row in lines]
    assert {rows[f"lists.{form}"] for form, rows in counts.items()} == {len(from_csv)}
    assert {path.stat().st_mode & 0o077 for path in folder.glob("lists.*")} == {0}, "for their owner alone"
    (folder / "notes.txt").write_text("mine")
    with transaction(engine) as session:
        key = organisations.key_of(session, "default")
        entries = [entry for entry in audit_entries(session, key) if entry["action"] == "data.export"]
        assert len(entries) == 3
        (folder / ".lists.csv.part").write_text("d0")  # of an export that was killed
        report = erasure.erase(session, settings, key, "d0", actor="test", now=now)
    assert report["erased"]["files_of_exports"] == 13
    assert [path.name for path in folder.iterdir()] == ["notes.txt"]


def test_a_csv_file_runs_no_formula_and_the_other_formats_are_exact(
    couriers: Engine, take: Take, settings: Settings, now: datetime, tmp_path: Path
) -> None:
    titles = ["=1+1", "'=1+1", "@SUM(A1)", "-2", "-2+3", "＝1", "plain", ""]
    lines = "\n".join(f"f{number},{title}" for number, title in enumerate(titles))
    take("items", f"item_id,title\n{lines}\n-i,plain\n")
    for form in ("csv", "jsonl"):
        export(couriers, settings, ["events"], tmp_path, form=form, actor="test", now=now)

    with (tmp_path / "items.csv").open(encoding="utf-8") as file:
        from_csv = {row["item_id"]: row["title"] for row in csv.DictReader(file)}
    rows_of_json = map(orjson.loads, (tmp_path / "items.jsonl").read_bytes().splitlines())
    exact = {row["item_id"]: row["title"] for row in rows_of_json}
    ids = [f"f{number}" for number in range(len(titles))]
    assert [from_csv[item_id] for item_id in ids] == [escape_formula(title) for title in titles]
    assert [exact[item_id] or "" for item_id in ids] == titles
    assert from_csv["'-i"] == exact["-i"] == "plain"


def test_what_cannot_be_exported_is_refused_and_files_of_others_stay(
    engine: Engine, couriers: Engine, settings: Settings, now: datetime, tmp_path: Path
) -> None:
    del couriers
    (tmp_path / "bi").mkdir()
    (tmp_path / "bi" / "members.csv").write_text("mine")

    def refused(facts: list[str], form: str, message: str) -> None:
        with pytest.raises(SettingsError, match=message):
            export(engine, settings, facts, tmp_path / "bi", form=form, actor="test", now=now)

    refused(["list"], "csv", "there is no 'list' to export; choose of lists, events, outcomes")
    refused(["lists"], "xlsx", "files are not written as 'xlsx'; choose of parquet, csv, jsonl")
    refused(["lists"], "csv", "is no export; name another folder")
    (tmp_path / "bi" / "export.json").write_text('{"organisation": "acme", "files": ["members.csv"]}')
    refused(["lists"], "csv", "holds the export of another organisation")
    assert (tmp_path / "bi" / "members.csv").read_text() == "mine"
    assert not list((tmp_path / "bi").glob(".*.part"))


@pytest.mark.parametrize("name", [*DIMENSIONS, *FACTS])
def test_every_column_of_an_export_is_documented(name: str) -> None:
    kinds = {"string": "text", "double": "number", "int64": "number", "timestamp[us, tz=UTC]": "instant"}
    documented = [(row.first, row["type"]) for row in rows(REFERENCE / "schemas.md") if row.heading == name]

    assert documented == [(field.name, kinds[str(field.type)]) for field in ({**DIMENSIONS, **FACTS}[name]).schema]
