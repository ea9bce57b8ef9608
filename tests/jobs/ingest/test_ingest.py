"""Files into the database: checked, counted, all or nothing."""

import csv
import gzip
import os
from datetime import datetime
from pathlib import Path

import pytest
from sqlalchemy import Engine, func, select

from content_catalog.errors import FileUnreadableError, MappingError, PrerequisiteCycleError
from content_catalog.io.files import rejects_frame
from infra.catalog import organisations
from infra.catalog import store as catalog
from infra.db.core_tables import imports, metadata
from infra.db.engine import transaction
from infra.errors import ImportRefusedError
from infra.ingest.rejects import rejects_writer
from infra.settings.settings import Settings
from infra.training.data import load_interactions
from jobs.ingest.ingest import ingest
from tests.conftest import ON_SQLITE, Take

HEADER = "event_id,member_id,item_id,verb,occurred_at,progress\n"


def rows_by_table(engine: Engine) -> dict[str, int]:
    """Return the number of rows of each table that has any, but for those that every import writes before it begins."""
    with engine.connect() as connection:
        counts = {
            name: connection.execute(select(func.count()).select_from(table)).scalar_one()
            for name, table in metadata.tables.items()
            if name not in {"organisations", "data_folders"}
        }
    return {name: number for name, number in counts.items() if number}


def rejects_of(path: Path) -> list[tuple[str, str, str, str]]:
    """Return the rows of a rejects file."""
    with path.open(encoding="utf-8", newline="") as file:
        return [(row["line"], row["field"], row["value"], row["reason"]) for row in csv.DictReader(file)]


def study(count: int) -> str:
    """Return this many sound lines of one member and item."""
    return "".join(f"e{number},m1,i1,viewed,2026-02-01T08:00:{number:02d}Z,\n" for number in range(count))


def test_every_bad_line_is_a_reject_with_its_line_field_value_and_reason_and_the_rest_is_taken(
    take: Take, engine: Engine, settings: Settings
) -> None:
    bad = (
        "b1,m1,i1,viewd,2026-02-01,\n"
        "b2,m1,i1,viewed,yesterday,\n"
        "b3,m1,i1,viewed,2026-02-01,150\n"
        "b4,,i1,viewed,2026-02-01,\n"
        'b5,m1,i1,"viewed\n",2026-02-01,x\n'
        "b6,m1,i1,viewed\n"
        "b7,,,voided,2026-02-01,\n"
        "b8,m1,i1,,2026-02-01,-1\n"
    )
    done = take("events", HEADER + study(3) + bad + study(1), max_reject_share=1.0)
    counts = done.counts
    assert (counts.rows, counts.stored, counts.duplicates, counts.rejected) == (12, 3, 1, 8)
    assert done.rejects_file is not None
    assert done.rejects_file.parent == settings.rejects_folder / "default"
    rejects = rejects_of(done.rejects_file)
    assert [(line, field, value) for line, field, value, _ in rejects] == [
        ("5", "verb", "viewd"),
        ("6", "occurred_at", "yesterday"),
        ("7", "progress", "150"),
        ("8", "member_id", ""),
        ("9", "progress", "x"),
        ("11", "", "b6,m1,i1,viewed"),
        ("12", "voided_event_id", ""),
        ("13", "verb", ""),
        ("13", "progress", "-1"),
    ]
    reasons = [reason for *_, reason in rejects]
    assert all(reasons)
    assert "viewed" in reasons[0]
    assert "2026-03-01T08:30:00Z" in reasons[1]
    assert "0..1" in reasons[2]
    assert "6 fields expected, 4 found" in reasons[5]
    assert rows_by_table(engine) == {"events": 3, "imports": 1}


def test_a_file_without_bad_lines_leaves_no_rejects_file(take: Take, settings: Settings) -> None:
    assert take("events", HEADER + study(2)).rejects_file is None
    assert not settings.rejects_folder.exists()


def test_a_mended_file_of_the_same_name_removes_the_rejects_of_before(
    engine: Engine, settings: Settings, tmp_path: Path, now: datetime
) -> None:
    path = tmp_path / "log.csv"
    path.write_text(HEADER + "b1,m1,i1,watched,2026-02-01,\n", encoding="utf-8")
    lenient = settings.model_copy(update={"max_reject_share": 1.0})
    first = ingest(engine, lenient, path, "events", now=now)
    assert first.rejects_file is not None
    assert first.rejects_file.exists()
    path.write_text(HEADER + study(1), encoding="utf-8")
    assert ingest(engine, settings, path, "events", now=now).rejects_file is None
    assert not first.rejects_file.exists()


def test_rejects_of_two_imports_of_one_name_at_once_do_not_mix(tmp_path: Path) -> None:
    path = tmp_path / "rejects" / "log.csv.rejects.csv"
    with rejects_writer(path) as first:
        first(rejects_frame([(2, "verb", "x", "unknown")]))
        with rejects_writer(path) as second:
            second(rejects_frame([(7, "verb", "y", "unknown")]))
        assert [line for line, *_ in rejects_of(path)] == ["7"]
        first(rejects_frame([(3, "verb", "x", "unknown")]))
    assert [line for line, *_ in rejects_of(path)] == ["2", "3"]
    with pytest.raises(OSError, match="too long"), rejects_writer(path.with_name("x" * 256)) as third:
        third(rejects_frame([(2, "verb", "x", "unknown")]))
    assert ([file.name for file in path.parent.iterdir()], path.stat().st_mode & 0o777) == ([path.name], 0o600)


@pytest.mark.parametrize("kind", ["events", "members", "items"])
def test_a_file_with_too_many_bad_lines_is_refused_whole_and_leaves_only_its_record(
    take: Take, engine: Engine, settings: Settings, now: datetime, kind: str
) -> None:
    texts = {
        "events": HEADER + study(9) + "b1,m1,i1,watched,2026-02-01,\n",
        "members": "member_id,role\n" + "".join(f"m{number},83\n" for number in range(9)) + "m9,nonsense\n",
        "items": "item_id,format\n" + "".join(f"i{number},video\n" for number in range(9)) + "i9,song\n",
    }
    with pytest.raises(ImportRefusedError, match=r"1 of 10 lines are bad \(10\.0%, at most 5\.0%") as caught:
        take(kind, texts[kind])
    [rejects_file] = (settings.rejects_folder / "default").iterdir()
    assert str(rejects_file) in str(caught.value)
    assert len(rejects_of(rejects_file)) == 1
    assert rows_by_table(engine) == {"imports": 1}
    with transaction(engine) as session:
        [record] = session.execute(select(imports)).mappings().all()
    assert (record["kind"], record["status"], record["finished_at"]) == (kind, "refused", now)
    assert (record["rows"], record["stored"], record["duplicates"], record["rejected"]) == (10, 0, 0, 1)
    assert len(record["reasons"]) == 1


def test_a_share_of_bad_lines_that_is_just_allowed_is_taken(take: Take) -> None:
    lines = HEADER + study(9) + "b1,m1,i1,watched,2026-02-01,\n"
    assert take("events", lines, max_reject_share=0.1).counts.stored == 9


def test_an_id_with_other_content_is_a_reject_across_files_and_keeps_what_was_first(
    take: Take, engine: Engine, settings: Settings, now: datetime
) -> None:
    take("members", "member_id\nm1\n")
    take("items", "item_id\ni1\n")
    take("events", HEADER + "e1,m1,i1,progressed,2026-02-01,0.5\n")
    done = take(
        "events", HEADER + "e1,m1,i1,progressed,2026-02-01,0.6\ne2,m1,i1,viewed,2026-02-01,\n", max_reject_share=1
    )
    assert (done.counts.stored, done.counts.duplicates, done.counts.rejected) == (1, 0, 1)
    assert [reject[:3] for reject in rejects_of(done.rejects_file)] == [("2", "event_id", "e1")]
    with transaction(engine) as session:
        interactions = load_interactions(session, organisations.key_of(session, "default"), settings, as_of=now)
    assert interactions.cells["progress"].tolist() == [0.5]


def test_events_wait_for_their_member_and_item_and_count_once_both_have_come(
    take: Take, engine: Engine, settings: Settings, now: datetime
) -> None:
    def cells() -> int:
        with transaction(engine) as session:
            return len(load_interactions(session, organisations.key_of(session, "default"), settings, as_of=now).cells)

    done = take("events", HEADER + "e1,m1,i1,viewed,2026-02-01,\ne2,m1,i2,viewed,2026-02-01,\n")
    assert (done.counts.stored, done.unresolved, done.created_members, done.created_items) == (2, 2, 0, 0)
    assert cells() == 0
    take("members", "member_id\nm1\n")
    assert cells() == 0
    take("items", "item_id\ni1\n")
    assert cells() == 1
    take("items", "item_id\ni2\n")
    assert cells() == 2


def test_auto_create_makes_undescribed_members_and_items_of_waiting_events_too(take: Take, engine: Engine) -> None:
    assert take("events", HEADER + "e1,m1,i1,viewed,2026-02-01,\n").unresolved == 1
    take("members", "member_id,role\nm2,83\n")
    done = take("events", HEADER + "e2,m2,i2,viewed,2026-02-01,\n", auto_create=True)
    assert (done.created_members, done.created_items, done.unresolved) == (1, 2, 0)
    with transaction(engine) as session:
        members = catalog.read(session, organisations.key_of(session, "default"), "members")
    assert members["role"].notna().to_dict() == {"m1": False, "m2": True}


def test_a_later_description_fills_in_what_auto_create_made(take: Take, engine: Engine) -> None:
    take("events", HEADER + "e1,m1,i1,viewed,2026-02-01,\n", auto_create=True)
    take("items", "item_id,title\ni1,Knots\n")
    with transaction(engine) as session:
        items = catalog.read(session, organisations.key_of(session, "default"), "items")
    assert items["title"].to_dict() == {"i1": "Knots"}


@ON_SQLITE
def test_unknown_codes_are_rejects_that_name_the_nearest_known_ones(take: Take) -> None:
    done = take(
        "members",
        "member_id,role,industry\nm1,83,54\nm2,ISCO-8322,\nm3,,快递\nm4,Driver,邮政\nm5,o'neil,\n",
        max_reject_share=1.0,
    )
    assert (done.counts.stored, done.counts.rejected) == (1, 4)
    assert done.counts.reasons == {"role: unknown code": 3, "industry: unknown code": 2}
    rejects = rejects_of(done.rejects_file)
    assert [reject[:3] for reject in rejects] == [
        ("3", "role", "ISCO-8322"),
        ("4", "industry", "快递"),
        ("5", "role", "Driver"),
        ("5", "industry", "邮政"),
        ("6", "role", "o'neil"),
    ]
    assert "83 (Drivers and mobile plant operators)" in rejects[0][3]
    assert "60 (Post)" in rejects[1][3]


@ON_SQLITE
def test_target_codes_of_items_are_checked_too(take: Take) -> None:
    done = take(
        "items",
        "item_id,target_roles,target_industries\ni1,83;8,G;60\ni2,83;99,G\n",
        max_reject_share=1.0,
    )
    assert (done.counts.stored, done.counts.rejected) == (1, 1)
    assert rejects_of(done.rejects_file)[0][:3] == ("3", "target_roles", "83;99")


def test_repeated_lines_of_members_are_counted_and_contradictions_rejected(take: Take) -> None:
    done = take("members", "member_id,role\nm1,83\nm1,83\nm1,41\nm2,\nm2,\n", max_reject_share=1.0)
    assert (done.counts.rows, done.counts.stored, done.counts.duplicates, done.counts.rejected) == (5, 2, 2, 1)
    assert rejects_of(done.rejects_file)[0][:3] == ("4", "member_id", "m1")


@pytest.mark.parametrize(
    ("before", "last", "cycle"),
    [
        ([], "a,b\nb,c\nc,a\n", "a needs b needs c needs a"),
        (["a,b\nb,\n"], "b,a\n", "a needs b needs a"),
        ([], "a,a\n", "a needs a"),
    ],
)
def test_an_import_that_would_close_a_cycle_of_prerequisites_is_refused_and_names_it(
    take: Take, engine: Engine, before: list[str], last: str, cycle: str
) -> None:
    for text in before:
        take("items", "item_id,prerequisites\n" + text)
    stored = rows_by_table(engine)
    with pytest.raises(PrerequisiteCycleError) as caught:
        take("items", "item_id,prerequisites\nz,\n" + last)
    rotations = {
        " needs ".join([*names[turn:-1], *names[:turn], names[turn]])
        for names in [cycle.split(" needs ")]
        for turn in range(len(names) - 1)
    }
    assert any(rotation in str(caught.value) for rotation in rotations), caught.value
    assert rows_by_table(engine) == stored


def test_prerequisites_without_a_cycle_are_taken_even_where_they_are_not_known_yet(take: Take) -> None:
    assert take("items", "item_id,prerequisites\na,b;c\nb,c\nc,not-here\n").counts.stored == 3


@ON_SQLITE
def test_columns_that_are_no_canonical_ones_are_named(take: Take) -> None:
    done = take("members", "member_id,shoe_size,role,age\nm1,43,83,20\n")
    assert done.unused_columns == ["age", "shoe_size"]


@pytest.mark.parametrize(
    ("kind", "text", "message"),
    [
        (
            "events",
            "member_id,item_id\nm1,i1\n",
            "events need the column verb, occurred_at; the file has: member_id, item_id; rename",
        ),
        (
            "events",
            "verb,occured_at\n",
            "the file has: verb, occured_at; 'occured_at' looks like 'occurred_at'; rename",
        ),
        ("members", "id,role\nm1,83\n", "members need the column member_id"),
        ("items", "user_id,item\n1,2\n", "items need the column item_id"),
    ],
)
@ON_SQLITE
def test_a_file_without_the_columns_it_needs_is_unreadable_and_says_which(
    take: Take, engine: Engine, kind: str, text: str, message: str
) -> None:
    with pytest.raises(FileUnreadableError, match=message):
        take(kind, text)
    assert rows_by_table(engine) == {}


def test_a_file_that_breaks_off_leaves_nothing(
    engine: Engine, settings: Settings, tmp_path: Path, now: datetime
) -> None:
    path = tmp_path / "log.csv.gz"
    noise = "".join(f"e{number},m1,i1,viewed,2026-02-01,,{os.urandom(40).hex()}\n" for number in range(60_000))
    whole = gzip.compress((HEADER.strip() + ",noise\n" + noise).encode(), 1)
    path.write_bytes(whole[: len(whole) * 9 // 10])
    shares: list[float] = []
    with pytest.raises(FileUnreadableError, match=r"log\.csv\.gz: its gzip stream is broken"):
        ingest(
            engine,
            settings.model_copy(update={"max_reject_share": 1.0}),
            path,
            "events",
            now=now,
            progress=shares.append,
        )
    assert rows_by_table(engine) == {}


def test_foreign_files_come_in_through_a_mapping_and_only_of_its_kind(take: Take, engine: Engine) -> None:
    watches = "user_id,item_id,watch_percentage,created_at\n7,9,100,2020-01-02 03:04:05\n7,9,30,2020-01-03 00:00:00\n"
    done = take("events", watches, mapping="mars-watch", auto_create=True)
    assert (done.counts.stored, done.created_members, done.created_items) == (2, 1, 1)
    people = take("members", "user_id,job\n7,juridique\n8,N/A\n", mapping="mars-members")
    assert people.counts.stored == 2
    with transaction(engine) as session:
        members = catalog.read(session, organisations.key_of(session, "default"), "members")
    assert members["role"].fillna("").to_dict() == {"7": "26", "8": ""}
    with pytest.raises(MappingError, match="is for events, not for members"):
        take("members", "user_id\n7\n", mapping="mars-watch")
    with pytest.raises(MappingError, match="no mapping 'mars'; shipped: "):
        take("events", watches, mapping="mars")


def test_an_import_is_recorded_with_what_became_of_its_lines(take: Take, engine: Engine, now: datetime) -> None:
    take("members", "member_id,role\nm1,83\nm1,83\nm2,nonsense\n", max_reject_share=1.0)
    with transaction(engine) as session:
        [record] = session.execute(select(imports)).mappings().all()
    columns = ("kind", "status", "finished_at", "rows", "stored", "duplicates", "rejected", "reasons")
    assert [record[name] for name in columns] == ["members", "imported", now, 3, 1, 1, 1, {"role: unknown code": 1}]
