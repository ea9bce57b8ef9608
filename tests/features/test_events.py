"""Study events: sound ones get an id from their content, and the same id never says two things."""

import csv
import io
import json
from itertools import product
from pathlib import Path
from uuid import UUID, uuid5

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from content_catalog.io.readers import read_chunks
from features.events import (
    EVENT_NAMESPACE,
    SAME_ID,
    check_events,
    compare_content,
    deduplicate,
    with_event_ids,
)
from features.schema import CONTENT, VERBS

VIEWED = {"member_id": "m1", "item_id": "i1", "verb": "viewed", "occurred_at": "2026-03-01T08:30:00Z"}
# One other value for every column that makes an event another one.
OTHER = {
    "member_id": "m2",
    "item_id": "i2",
    "verb": "liked",
    "occurred_at": "2026-03-01T08:30:00.000001Z",
    "duration_seconds": "0.5",
    "progress": "0.25",
    "score": "0.25",
    "rating": "3",
    "device": "phone",
    "push_list_id": "l1",
    "voided_event_id": "e0",
    "session_id": "s1",
}
IDS = st.text("abc课", min_size=1, max_size=3)
ROWS = st.fixed_dictionaries(
    {
        "member_id": IDS,
        "item_id": IDS,
        "verb": st.sampled_from([verb for verb in VERBS if verb != "voided"]),
        "occurred_at": st.datetimes(pd.Timestamp(1970, 1, 2), pd.Timestamp(2100, 1, 1)),
        "duration_seconds": st.none() | st.floats(0, 600_000),
        "progress": st.none() | st.floats(0, 1),
        "device": st.none() | IDS,
    }
)


def checked(*rows: dict[str, str]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return what becomes of rows of text, whose lines begin with 2."""
    index = pd.RangeIndex(2, len(rows) + 2, name="line")
    return check_events(pd.DataFrame([*rows], index=index, dtype="str").fillna(""))


def named(**contents: str) -> pd.DataFrame:
    """Return events with these ids, each told by its device: equal devices, equal contents."""
    rows = [VIEWED | {"event_id": name.rstrip("_"), "device": device} for name, device in contents.items()]
    return checked(*rows)[0]


@pytest.mark.parametrize(
    ("row", "field", "value", "reason"),
    [
        (VIEWED | {"member_id": ""}, "member_id", "", "missing, and required"),
        (VIEWED | {"item_id": " "}, "item_id", "", "missing, and required"),
        (VIEWED | {"verb": "voided"}, "voided_event_id", "", "a voided event must name the event it voids"),
        (VIEWED | {"verb": ""}, "verb", "", "missing, and required"),
        (VIEWED | {"verb": "veiwed"}, "verb", "veiwed", "unknown; known and nearest: viewed"),
        (VIEWED | {"occurred_at": ""}, "occurred_at", "", "missing, and required"),
        (VIEWED | {"duration_seconds": "-1"}, "duration_seconds", "-1", "outside 0..604800"),
        (VIEWED | {"progress": "45"}, "progress", "45", "outside 0..1"),
    ],
)
def test_an_event_that_says_too_little_or_the_impossible_is_rejected(
    row: dict[str, str], field: str, value: str, reason: str
) -> None:
    good, rejects = checked(VIEWED, row)
    assert good.index.tolist() == [2]
    assert rejects.to_numpy().tolist() == [[3, field, value, reason]]


def test_an_event_without_member_and_item_is_rejected_for_both() -> None:
    good, rejects = checked(VIEWED | {"member_id": "", "item_id": ""}, VIEWED | {"progress": "x", "member_id": " "})
    assert good.empty
    fields = [[2, "member_id"], [2, "item_id"], [3, "progress"], [3, "member_id"]]
    assert rejects[["line", "field"]].to_numpy().tolist() == fields


def test_a_voiding_event_needs_neither_member_nor_item() -> None:
    good, rejects = checked({"verb": "voided", "voided_event_id": "e1", "occurred_at": "2026-03-01T08:30:00Z"})
    assert rejects.empty
    assert good["voided_event_id"].tolist() == ["e1"]
    assert good["event_id"].notna().all()


def test_an_id_is_the_uuid_5_of_the_content() -> None:
    micros = pd.Timestamp(VIEWED["occurred_at"]).value // 1_000
    content = "\x1f".join(["m1", "i1", "viewed", str(micros), "0.5", "", "1", "", "phone", "", "", ""])
    good, _ = checked(VIEWED | {"duration_seconds": "0.50", "score": "1.0", "device": "phone"})
    assert good["event_id"].tolist() == [str(uuid5(EVENT_NAMESPACE, content))]
    assert UUID(good["event_id"].iloc[0]).version == 5


def test_every_column_makes_another_id() -> None:
    good, rejects = checked(VIEWED, *[VIEWED | {name: value} for name, value in OTHER.items()])
    assert {*OTHER} == {*CONTENT}
    assert rejects.empty
    assert good["event_id"].nunique() == len(OTHER) + 1


def test_the_same_moment_told_in_two_zones_makes_the_same_id() -> None:
    good, _ = checked(VIEWED, VIEWED | {"occurred_at": "2026-03-01T16:30:00+08:00"})
    assert good["event_id"].iloc[0] == good["event_id"].iloc[1]


def test_ids_that_are_given_stay_and_only_the_others_are_made() -> None:
    good, _ = checked(VIEWED | {"event_id": "e1"}, VIEWED, VIEWED | {"event_id": "e2"})
    assert good["event_id"].iloc[[0, 2]].tolist() == ["e1", "e2"]
    assert UUID(good["event_id"].iloc[1]).version == 5
    complete = good.iloc[[0, 2]]
    assert with_event_ids(complete) is complete


def ids_of(path: Path, chunk_rows: int) -> list[str]:
    return [
        name for chunk in read_chunks(path, chunk_rows=chunk_rows) for name in check_events(chunk.frame)[0]["event_id"]
    ]


@given(rows=st.lists(ROWS, min_size=1, max_size=6), chunk_rows=st.integers(1, 6), data=st.data())
@settings(max_examples=15)
def test_ids_do_not_depend_on_the_format_the_order_or_the_chunks(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, object]], chunk_rows: int, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("ids")
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, rows[0])
    writer.writeheader()
    writer.writerows(rows)
    (folder / "log.csv").write_bytes(text.getvalue().encode())
    (folder / "log.jsonl").write_text("".join(json.dumps(row, default=str) + "\n" for row in rows), encoding="utf-8")
    pq.write_table(pa.Table.from_pylist(rows), folder / "log.parquet")
    from_csv, from_json, from_parquet = (
        ids_of(folder / name, chunk_rows) for name in ("log.csv", "log.jsonl", "log.parquet")
    )
    assert len(from_csv) == len(rows)
    assert from_csv == from_json == from_parquet
    order = data.draw(st.permutations(range(len(rows))))
    bad = {"member_id": "m", "duration_seconds": "?", "occurred_at": "?"}  # sends whole columns another way
    shuffled = [json.dumps(rows[place], default=str) + "\n" for place in order] + [json.dumps(bad) + "\n"]
    (folder / "log.jsonl").write_text("".join(shuffled), encoding="utf-8")
    assert ids_of(folder / "log.jsonl", 100) == [from_csv[place] for place in order]


def test_exact_repetitions_are_counted_and_another_content_of_the_same_id_is_rejected() -> None:
    events = named(a="x", b="y", a_="x", a__="z", b_="y")
    first, same, rejects = deduplicate(events)
    assert first.index.tolist() == [2, 3]
    assert same == 2
    assert rejects.to_numpy().tolist() == [[5, "event_id", "a", SAME_ID]]


def test_events_without_repetition_come_back_as_they_are() -> None:
    events = named(a="x", b="x")
    first, same, rejects = deduplicate(events)
    assert first is events
    assert same == 0
    assert rejects.empty


def test_events_are_compared_by_id_with_those_known_before() -> None:
    earlier = named(a="x", b="y")
    rejects, same = compare_content(named(b="y", c="x", a="z"), earlier)
    assert same == 1
    assert rejects[["line", "value"]].to_numpy().tolist() == [[4, "a"]]
    rejects, same = compare_content(named(c="x"), earlier)
    assert same == 0
    assert rejects.empty


@pytest.mark.parametrize(("name", "value"), OTHER.items())
def test_two_contents_differ_by_any_column_and_by_what_is_not_given(name: str, value: str) -> None:
    event = VIEWED | {"event_id": "e"}
    earlier, events = checked(event)[0], checked(event | {name: value})[0]
    assert compare_content(events, earlier)[0]["value"].tolist() == ["e"]
    assert compare_content(earlier, events)[0]["value"].tolist() == ["e"]
    assert compare_content(events, events)[1] == 1


PAIRS = list(product("abc", ["x", "y", ""]))
EVENT_OF_PAIR, _ = checked(*[VIEWED | {"event_id": name, "device": device} for name, device in PAIRS])


@given(pairs=st.lists(st.sampled_from(PAIRS), min_size=1, max_size=8))
def test_every_event_of_a_chunk_is_kept_counted_or_rejected(pairs: list[tuple[str, str]]) -> None:
    first, same, rejects = deduplicate(EVENT_OF_PAIR.iloc[[PAIRS.index(pair) for pair in pairs]])
    assert len(first) + same + len(rejects) == len(pairs)
    first_devices = dict(reversed(pairs))
    assert dict(zip(first["event_id"], first["device"].fillna(""), strict=True)) == first_devices
    assert same == sum(first_devices[name] == device for name, device in pairs) - len(first_devices)


def test_a_message_about_an_id_says_what_to_do() -> None:
    assert SAME_ID == "another event with this id says something else; ids must be unique"


@pytest.mark.parametrize(
    ("fields", "at", "date_only"),
    [
        ({"occurred_at": "2026-03-01"}, "2026-03-01T00:00Z", True),
        ({"occurred_at": "\u30002026-03-01\xa0"}, "2026-03-01T00:00Z", True),
        ({"occurred_at": "2026-03-01T00:00:00Z"}, "2026-03-01T00:00Z", False),
        ({"occurred_at": "2026-03-01T08:00:00+08:00"}, "2026-03-01T00:00Z", False),
        ({"occurred_at": "2026-03-01T00:00:00Z", "date_only": "true"}, "2026-03-01T00:00Z", True),
        ({"occurred_at": "2026-03-01T15:30:00Z", "date_only": "true"}, "2026-03-01T00:00Z", True),
        ({"occurred_at": "2026-03-01", "date_only": "false"}, "2026-03-01T00:00Z", False),
    ],
)
def test_a_date_without_a_time_is_flagged_and_midnight_is_not(fields: dict[str, str], at: str, date_only: bool) -> None:
    good, rejects = checked(VIEWED | fields)

    assert rejects.empty
    assert good["occurred_at"].tolist() == [pd.Timestamp(at)]
    assert good["date_only"].tolist() == [date_only]


def test_the_flag_changes_no_id_and_contradicts_nothing() -> None:
    good, _ = checked(VIEWED | {"occurred_at": "2026-03-01"}, VIEWED | {"occurred_at": "2026-03-01T00:00:00Z"})

    distinct, duplicates, clashes = deduplicate(good)

    assert (len(distinct), duplicates, len(clashes)) == (1, 1, 0)
