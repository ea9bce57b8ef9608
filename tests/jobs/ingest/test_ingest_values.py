"""Values of files: absent and empty ones, exact ids, audiences, columns that nothing reads."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sqlalchemy import Engine

from infra.catalog import organisations
from infra.catalog import store as catalog
from infra.db.engine import transaction
from infra.errors import ImportRefusedError
from jobs.ingest.ingest import READ_IN_UTC, ImportResult
from tests.conftest import Take


@pytest.fixture
def lines(take: Take, tmp_path: Path) -> Take:
    """Return a function that imports objects as JSON Lines."""

    def imported(kind: str, *rows: dict[str, Any], **options: Any) -> ImportResult:
        path = tmp_path / f"{kind}.jsonl"
        path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
        return take(kind, path, max_reject_share=1.0, **options)

    return imported


def stored(engine: Engine, kind: str, *columns: str) -> dict[str, list[Any]]:
    """Return columns of the stored records by their id, None for missing values."""
    with transaction(engine) as session:
        frame = catalog.read(session, organisations.key_of(session, "default"), kind)
    values = frame[list(columns)].astype(object)
    rows = values.where(values.notna(), None).to_numpy().tolist()
    return dict(zip(values.index, rows, strict=True))


def reasons(result: ImportResult) -> list[str]:
    """Return the reasons of an import's rejects."""
    return [] if result.rejects_file is None else result.rejects_file.read_text(encoding="utf-8").splitlines()[1:]


def test_a_line_changes_only_the_columns_that_it_names(lines: Take, engine: Engine) -> None:
    lines("members", {"member_id": "p", "region": "East"}, {"member_id": "q", "language": "en", "region": "West"})
    lines(
        "members",
        {"member_id": "p", "language": "zh-CN"},
        {"member_id": "q", "region": "x"},
        {"member_id": "r", "region": None},
    )
    assert stored(engine, "members", "language", "region") == {
        "p": ["zh-CN", "East"],
        "q": ["en", "x"],
        "r": [None, None],
    }


def test_null_empties_a_column_whatever_the_neighbours_name(lines: Take, engine: Engine) -> None:
    lines("items", {"item_id": "a", "title": "A", "topics": ["x"]}, {"item_id": "b", "title": "B", "topics": ["y"]})
    lines("items", {"item_id": "a", "title": None}, {"item_id": "b", "topics": []})
    assert stored(engine, "items", "title", "topics") == {"a": [None, "x"], "b": ["B", None]}


def test_a_line_without_an_optional_column_costs_no_other_line(lines: Take, engine: Engine) -> None:
    rows = [{"member_id": f"m{number}", "region": "North"} for number in range(50)]
    result = lines("members", *rows, {"member_id": "x"}, {"region": "nobody"})
    assert (result.counts.stored, result.counts.rejected) == (51, 1)
    assert stored(engine, "members", "region")["x"] == [None]


def test_numbers_are_exact_ids_in_every_format(lines: Take, take: Take, engine: Engine, tmp_path: Path) -> None:
    table = pa.table({"member_id": pa.array([17.0, float("nan"), None, 2.0**60])})
    pq.write_table(table, tmp_path / "members.parquet")
    result = take("members", tmp_path / "members.parquet", max_reject_share=1.0)
    assert (result.counts.stored, result.counts.rejected) == (1, 3)
    lines(
        "members", {"member_id": 17.0}, {"member_id": 12345678901234567890123}, {"member_id": 12345678901234567890124}
    )
    assert sorted(stored(engine, "members", "region")) == ["12345678901234567890123", "12345678901234567890124", "17"]


def test_an_id_that_the_index_cannot_hold_is_a_reject(lines: Take) -> None:
    many = "".join(chr(0x4E00 + number) for number in range(1_000))
    result = lines("items", {"item_id": many}, {"item_id": "a\nb"}, {"item_id": many[:666]})
    assert (result.counts.stored, result.counts.rejected) == (1, 2)
    event = {"member_id": "m", "verb": "viewed", "occurred_at": "2026-02-01"}
    seen = lines("events", event | {"item_id": many}, event | {"item_id": many[:600]}, auto_create=True)
    assert (seen.counts.stored, seen.counts.rejected, seen.created_items) == (1, 1, 1)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({}, "restricted without a target role, industry or unit; name at least one"),
        ({"target_units": ["Nort"]}, "unknown unit 'Nort'; nearest: North"),
        ({"target_units": "North/Depot 4"}, "unknown unit 'North/Depot 4'; nearest: North/Depot 3"),
        ({"target_roles": "8X"}, "unknown code '8X' in isco08"),
        ({"target_roles": []}, "restricted without a target"),
    ],
)
def test_a_restricted_item_needs_a_known_target(lines: Take, row: dict[str, Any], reason: str) -> None:
    lines("members", {"member_id": "m", "units": ["North/Depot 3"]})
    result = lines("items", {"item_id": "a", "audience": "restricted"} | row)
    assert result.counts.stored == 0
    assert reason in reasons(result)[0]


def test_a_target_that_is_stored_counts_and_one_that_is_emptied_does_not(lines: Take, engine: Engine) -> None:
    lines("units", {"unit": "North"})
    lines("items", {"item_id": "a", "target_units": ["North"]}, {"item_id": "b", "title": "B"})
    first = lines("items", {"item_id": "a", "audience": "restricted"}, {"item_id": "b", "audience": "restricted"})
    assert (first.counts.stored, first.counts.rejected) == (1, 1)
    second = lines("items", {"item_id": "a", "target_units": None}, {"item_id": "b", "title": "still B"})
    assert (second.counts.stored, second.counts.rejected) == (1, 1)
    assert stored(engine, "items", "audience", "target_units", "title") == {
        "a": ["restricted", "North", None],
        "b": [None, None, "still B"],
    }


def test_a_column_that_looks_like_a_canonical_one_is_pointed_out(take: Take) -> None:
    result = take("items", "item_id,titel,targt_units,必修\na,A,North,1\n")
    assert result.unused_columns == ["targt_units", "titel", "必修"]
    assert result.similar_columns == {"targt_units": "target_units", "titel": "title"}
    with pytest.raises(ImportRefusedError, match="; column 'titel' was not used: if it is 'title', rename it"):
        take("items", "item_id,titel,format\na,A,film\n")
    renamed = take("members", "member_id,organisation\nm,North\n")
    assert renamed.similar_columns == {"organisation": "units"}


@pytest.mark.parametrize(
    ("kind", "row"),
    [
        ("requirements", {"requirement_id": "r", "due_on": "2026-05-01"}),
        ("curations", {"curation_id": "c", "action": "ban", "ends_at": "2026-05-01"}),
    ],
)
def test_what_is_meant_for_some_does_not_hold_for_all(lines: Take, kind: str, row: dict[str, Any]) -> None:
    lines("items", {"item_id": "a"})
    row |= {"items": ["a"]}
    result = lines(kind, row | {"targt_units": ["North"]}, {key: f"{row[key]}" for key in row} | {"targt_units": ""})
    assert (result.counts.stored, result.counts.rejected) == (0, 2)
    assert reasons(result)[0] == "1,targt_units,North,unknown column; known and nearest: target_units"


def test_columns_that_a_mapping_does_not_read_are_named(take: Take, tmp_path: Path) -> None:
    mapping = tmp_path / "own.toml"
    mapping.write_text(
        'kind = "items"\n[columns]\nitem_id = "编号"\ntitle = "名称"\ntopics = "主题"\n', encoding="utf-8"
    )
    result = take("items", "编号,名称,必修,截止日期\n1,安全,是,2026-03-01\n", mapping=str(mapping))
    assert (result.counts.stored, result.unused_columns) == (1, ["必修", "截止日期"])
    assert result.missing_columns == ["主题"]


def test_a_mapping_decides_by_line_in_json_lines(lines: Take, engine: Engine, tmp_path: Path) -> None:
    mapping = tmp_path / "own.toml"
    mapping.write_text('kind = "items"\n[columns]\nitem_id = "id"\ntitle = "name"\n', encoding="utf-8")
    result = lines("items", {"id": 1, "name": "A"}, {"id": 2}, {"name": "C"}, mapping=str(mapping))
    assert (result.counts.stored, result.counts.rejected) == (2, 1)
    assert stored(engine, "items", "title") == {"1": ["A"], "2": [None]}


def test_a_time_that_its_mapping_refuses_is_none_of_the_organisations_zone(take: Take, tmp_path: Path) -> None:
    mapping = tmp_path / "own.toml"
    zone_and_columns = 'kind = "items"\ntimezone = "Asia/Shanghai"\ncolumns = { item_id = "id", published_at = "at" }\n'
    mapping.write_text(zone_and_columns, encoding="utf-8")
    rows = "id,at\n1,2026-03-01T23:59:60\n2,2026-03-01T07:59:60\n"
    result = take("items", rows, mapping=str(mapping), max_reject_share=1.0)
    assert (result.counts.stored, result.counts.rejected) == (1, 1)


def test_times_that_are_read_in_utc_for_want_of_a_zone_are_told(take: Take, tmp_path: Path) -> None:
    rows = "member_id,item_id,verb,occurred_at\nm,i,viewed,2026-03-01\nm,i,viewed,{}\n"
    mapping = tmp_path / "own.toml"
    mapping.write_text(
        'kind = "events"\ntimezone = "UTC"\n[columns]\nmember_id = "member_id"\nitem_id = "item_id"\n'
        'verb = "verb"\noccurred_at = "occurred_at"\n',
        encoding="utf-8",
    )
    assert take("events", rows.format("2026-03-01T08:30:00-05")).warnings == []
    assert take("events", rows.format("2026-03-02 08:30")).warnings == [READ_IN_UTC]
    assert take("events", rows.format("2026-03-03 08:30"), mapping=str(mapping)).warnings == []


def test_units_of_members_are_paths(lines: Take) -> None:
    result = lines("members", {"member_id": "m", "units": ["North//Depot"]}, {"member_id": "n", "units": ["North/ A"]})
    assert result.counts.rejected == 2


def test_a_required_column_may_be_a_constant_of_the_mapping(take: Take) -> None:
    result = take("events", "user_id,item_id,created_at\nm,i,2026-02-01 08:00:00\n", mapping="mars-views")

    assert (result.counts.stored, result.counts.rejected) == (1, 0)
