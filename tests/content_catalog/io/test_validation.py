"""Rows of text become typed columns, and every value that does not becomes a reject that says why."""

import csv
import io
import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from content_catalog.io.files import rejects_frame
from content_catalog.io.readers import read_chunks
from content_catalog.io.validation import check_rows, joined_rejects
from content_catalog.io.values import without_marks
from content_catalog.schema import ITEMS, REJECT_COLUMNS, SEVERAL, Column, Schema

THINGS = Schema(
    "things",
    (
        Column("id", required=True, longest=5, refused=(SEVERAL,)),
        Column("kind", choices=("article", "video")),
        Column("share", "number", low=0, high=1),
        Column("at", "instant"),
        Column("on", "date"),
        Column("hidden", "flag"),
        Column("topics", "list", longest=20),
        Column("media", "list", choices=("article", "video")),
        Column("hours", "hours"),
    ),
)
DTYPES = ["str", "str", "float64", "datetime64[us, UTC]", "datetime64[us, UTC]", "boolean", "str", "str", "str"]
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
# Good and bad values of every kind, whichever column they fall into.
VALUES = st.one_of(
    TEXTS,
    st.sampled_from(["", " ", "i1", "video", "0.5", "1", "2", "nan", "2026-03-01", "2026-03-01T08:30:00Z", "today"]),
    st.sampled_from(["true", "NO", "a;b", ";", "1899-01-01", "i\x00", "x" * 30, "9999-12-31T00:00:00Z", "1e999"]),
)

NOT_A_NUMBER = "not a number; write digits, and a point before decimals"
NOT_A_TIME = "not a time in ISO 8601, such as 2026-03-01T08:30:00Z"
NOT_A_DAY = "not a day in ISO 8601, such as 2026-03-01"
LOST_DIGITS = "a number that may have lost digits; write ids as text"


def checked(**columns: list[str]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return what becomes of columns of text, whose ids are made up and whose lines begin with 2."""
    rows = len(next(iter(columns.values())))
    given_columns = {"id": [f"i{row}" for row in range(rows)]} | columns
    frame = pd.DataFrame(given_columns, index=pd.RangeIndex(2, rows + 2, name="line"), dtype="str")
    return check_rows(frame, THINGS)


def reason(name: str, value: str) -> str:
    """Return why a value of a column is refused; empty where it is not."""
    good, rejects = checked(**{name: ["i0" if name == "id" else "", value]})
    assert len(good) + len(rejects) == 2
    if rejects.empty:
        return ""
    assert rejects[["line", "field", "value"]].to_numpy().tolist() == [[3, name, without_marks(value.strip())]]
    return str(rejects["reason"][0])


def test_columns_come_typed_in_canonical_order_and_those_not_asked_for_are_left_out() -> None:
    good, rejects = checked(
        hidden=["yes"], extra=["x"], topics=["law;history"], share=["0.5"], at=["2026-03-01T08:30:00Z"], kind=["video"]
    )
    assert list(good.columns) == THINGS.names
    assert [str(kind) for kind in good.dtypes] == DTYPES
    assert good.loc[2].dropna().tolist() == [
        "i0", "video", 0.5, pd.Timestamp("2026-03-01T08:30Z"), True, "law;history",
    ]  # fmt: skip
    assert rejects.empty


@pytest.mark.parametrize("url", ["javascript:alert(1)", " JavaScript:alert(1)", "data:text/html,x", "vbscript:x"])
def test_no_address_of_an_item_runs_as_a_script(url: str) -> None:
    urls = [url, "https://a.example/javascript:", "app://data:1", "courses/7"]
    items = pd.DataFrame({"item_id": list("abcd"), "url": urls}, pd.RangeIndex(2, 6, name="line"), dtype="str")
    good, rejects = check_rows(items, ITEMS)
    assert good["url"].tolist() == urls[1:]
    assert rejects[["line", "field", "value"]].to_numpy().tolist() == [[2, "url", url.strip()]]


@pytest.mark.parametrize("columns", [{}, {name: [" "] for name in THINGS.names[1:]}], ids=["lacking", "blank"])
def test_values_that_are_not_given_are_missing_in_the_same_way(columns: dict[str, list[str]]) -> None:
    good, rejects = checked(id=["i1"], **columns)
    assert [str(kind) for kind in good.dtypes] == DTYPES
    assert good.iloc[0].notna().tolist() == [name == "id" for name in THINGS.names]
    assert rejects.empty


@pytest.mark.parametrize("rows", [0, 3])
def test_a_required_column_that_is_lacking_rejects_every_row(rows: int) -> None:
    good, rejects = check_rows(pd.DataFrame({"kind": pd.Series(["video"] * rows, dtype="str")}), THINGS)
    assert good.empty
    assert [str(kind) for kind in good.dtypes] == DTYPES
    assert rejects.to_numpy().tolist() == [[line, "id", "", "missing, and required"] for line in range(rows)]


def test_a_required_value_may_not_be_blank() -> None:
    good, rejects = checked(id=["i1", " \t "])
    assert good["id"].tolist() == ["i1"]
    assert rejects.to_numpy().tolist() == [[3, "id", "", "missing, and required"]]


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("id", "sixsix", "longer than 5 characters"),
        ("id", "a\x00b", "holds a control character"),
        ("id", "a\nb", "holds a control character"),
        ("id", "a\x1fb", "holds a control character"),
        ("id", "a\u2028b", "holds a control character"),
        ("id", "\ufdd01", "a list; give a single value"),
        ("id", '\ufdd1{"a":1}', "an object or a nested list; give a single value"),
        ("topics", "\ufdd0a\ufdd0b;c", "a part holds ;, which separates the parts of a list"),
        ("topics", "\ufdd1[[1]]", "an object or a nested list; give a single value"),
        ("share", "\ufdd01", "a list; give a single value"),
        ("kind", "vidoe", "unknown; known and nearest: video"),
        ("kind", "VIDEO!", "unknown; known and nearest: video"),
        ("kind", "课程", "unknown; known: article, video"),
        ("share", "-0.1", "outside 0..1"),
        ("share", "1.0000001", "outside 0..1"),
        ("share", "half", NOT_A_NUMBER),
        ("share", "0,5", NOT_A_NUMBER),
        ("share", "nan", NOT_A_NUMBER),
        ("share", "-inf", NOT_A_NUMBER),
        ("share", "1e999", NOT_A_NUMBER),
        ("at", "1969-12-31T23:59:59.999999Z", "outside the years 1970 to 2199"),
        ("at", "2200-01-01T00:00:00Z", "outside the years 1970 to 2199"),
        ("at", "03/01/2026", NOT_A_TIME),
        ("at", "2026-02-29T00:00:00Z", NOT_A_TIME),
        *(
            ("at", loose, NOT_A_TIME)
            for loose in ("2026.5", "2026", "2026-03", "2026-03-01T08:3", "2026-03-01 9:30Z", "2026-03-01T24:01Z")
        ),
        ("at", "2026-03-01T12:59:60Z", NOT_A_TIME),
        ("at", "2026-03-01T23:59:60+08:00", NOT_A_TIME),
        *(("id", several, "a list; give a single value") for several in ("en;zh", "en\uff1bzh")),
        ("on", "2026/3/1", NOT_A_DAY),
        ("on", "2026-02-29T08:00:00Z", NOT_A_DAY),
        ("on", "1969-12-31T23:00:00-08:00", "outside the years 1970 to 2199"),
        ("at", "now", NOT_A_TIME),
        ("on", "today", NOT_A_DAY),
        ("on", "yesterday", NOT_A_DAY),
        ("hidden", "perhaps", "neither true nor false; write one of them"),
        ("topics", "x" * 21, "longer than 20 characters"),
        ("topics", "a;\x00", "holds a control character"),
        ("topics", "a;b\u200bc", "holds an invisible character (U+200B); remove it"),
        ("topics", "17; 1.23E+11", LOST_DIGITS),
        ("topics", "law\uff1bhistory", "holds \uff1b; separate the parts of a list by ;"),
    ],
)
def test_a_bad_value_is_rejected_with_its_line_its_field_itself_and_the_reason(name: str, value: str, why: str) -> None:
    assert reason(name, value) == why


@pytest.mark.parametrize(
    ("name", "value", "typed"),
    [
        ("id", " 课程课程课 ", "课程课程课"),
        ("kind", "article", "article"),
        ("share", "0", 0.0),
        ("share", "1", 1.0),
        ("share", "+5e-1", 0.5),
        ("at", "1970-01-01T00:00:00Z", pd.Timestamp("1970-01-01T00:00Z")),
        ("at", "2199-12-31T23:59:59.999999Z", pd.Timestamp("2199-12-31T23:59:59.999999Z")),
        ("at", "2026-03-01T08:30:00+08:00", pd.Timestamp("2026-03-01T00:30Z")),
        ("at", "2026-03-01 08:30", pd.Timestamp("2026-03-01T08:30Z")),
        ("at", "2026-03-01", pd.Timestamp("2026-03-01T00:00Z")),
        ("at", "2026-03-01T23:59:60Z", pd.Timestamp("2026-03-02T00:00Z")),
        ("at", "2026-03-01T24:00:00Z", pd.Timestamp("2026-03-02T00:00Z")),
        ("on", "2025-06-01T00:00:00+08:00", pd.Timestamp("2025-06-01T00:00Z")),
        ("at", "2017-01-01T05:29:60+05:30", pd.Timestamp("2017-01-01T00:00Z")),
        ("on", "1970-01-01T00:00:00+08:00", pd.Timestamp("1970-01-01T00:00Z")),
        ("on", "2199-12-31T23:30:00-08:00", pd.Timestamp("2199-12-31T00:00Z")),
        ("id", "\ufeffa\u2060", "a"),
        ("share", "\u200b0.5\u3000", 0.5),
        ("on", "20250601", pd.Timestamp("2025-06-01T00:00Z")),
        ("topics", "\ufdd0 a \ufdd0b\ufdd0", "a;b"),
        ("topics", "\ufdd0law\uff1bhistory", "law\uff1bhistory"),
        ("at", "2026-03-01T08:30:00.123456789Z", pd.Timestamp("2026-03-01T08:30:00.123456Z")),
        ("on", "2026-03-01T23:30:00Z", pd.Timestamp("2026-03-01T00:00Z")),
        ("hidden", "Y", True),
        ("hidden", "0", False),
        *(("hidden", word, True) for word in ("1.0", "t", "是")),
        *(("hidden", word, False) for word in ("0.0", "F", "否")),
        ("topics", " law\xa0;\n history\u200b;law;; ", "law;history"),
        ("media", "video ;\u3000article;", "video;article"),
        ("hours", "07:30\u2009-\u200909:00\n;22:00-24:00;", "07:30-09:00;22:00-24:00"),
    ],
)
def test_a_good_value_is_typed_whatever_stands_beside_it(name: str, value: str, typed: object) -> None:
    alone, _ = checked(**{name: [value]})
    assert alone[name].tolist() == [typed]
    # A bad value sends the whole column another way.
    beside, rejects = checked(**{name: [value, "\x00" * 30]})
    assert beside[name].tolist() == [typed]
    assert rejects["line"].tolist() == [3]


def test_a_list_of_nothing_but_separators_is_missing() -> None:
    assert checked(topics=["; ;"])[0]["topics"].isna().tolist() == [True]
    required = Schema("things", (Column("items", "list", required=True),))
    _, rejects = check_rows(pd.DataFrame({"items": [";", "a;"]}), required)
    assert rejects.to_numpy().tolist() == [[0, "items", ";", "missing, and required"]]


def test_each_fault_of_a_row_is_told_and_rejects_come_by_line() -> None:
    good, rejects = checked(share=["2", "0", "x"], at=["x", "2026-03-01", ""], kind=["", "", "film"])
    assert good.index.tolist() == [3]
    assert [(line, field) for line, field, _, _ in rejects.to_numpy()] == [
        (2, "share"), (2, "at"), (4, "kind"), (4, "share"),
    ]  # fmt: skip


def test_minus_nothing_is_nothing_to_the_last_bit() -> None:
    assert np.signbit(checked(share=["-0", "-0.0", "0"])[0]["share"]).tolist() == [False] * 3


@given(rows=st.lists(st.tuples(*[VALUES] * len(THINGS.names)), max_size=8))
def test_good_rows_and_rejected_lines_are_all_lines(rows: list[tuple[str, ...]]) -> None:
    index = pd.Index(range(5, 5 + 3 * len(rows), 3), name="line")
    good, rejects = check_rows(pd.DataFrame(rows, columns=THINGS.names, index=index, dtype="str"), THINGS)
    assert sorted([*good.index, *rejects["line"].unique()]) == index.tolist()
    assert rejects["line"].is_monotonic_increasing
    assert list(rejects.columns) == REJECT_COLUMNS
    assert [str(kind) for kind in good.dtypes] == DTYPES
    assert good["share"].dropna().between(0, 1).all()


@given(numbers=st.lists(st.floats(0, 1).map(repr), min_size=1))
def test_a_number_does_not_depend_on_the_values_beside_it(numbers: list[str]) -> None:
    alone, _ = checked(share=numbers)
    beside, _ = checked(share=[*numbers, "none"])
    assert alone["share"].tolist() == beside["share"].tolist() == [float(number) for number in numbers]


SOUND = st.fixed_dictionaries(
    {
        "id": st.text("abc课", min_size=1, max_size=5),
        "kind": st.sampled_from(["article", "video"]),
        "share": st.floats(0, 1),
        "at": st.datetimes(pd.Timestamp(1970, 1, 2), pd.Timestamp(2199, 12, 31)),
        "on": st.dates(pd.Timestamp(1970, 1, 1).date(), pd.Timestamp(2199, 12, 31).date()),
        "hidden": st.booleans(),
        "topics": st.lists(st.text("law法", min_size=1, max_size=4), max_size=3),
    }
).flatmap(lambda row: st.fixed_dictionaries({name: st.sampled_from([None, value]) for name, value in row.items()}))


@given(rows=st.lists(SOUND, min_size=1, max_size=6))
@settings(max_examples=15)
def test_equal_content_in_csv_json_and_parquet_gives_equal_frames(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, object]]
) -> None:
    folder = tmp_path_factory.mktemp("equal")
    texts = [
        {
            name: ";".join(value) if isinstance(value, list) else "" if value is None else str(value)
            for name, value in row.items()
        }
        for row in rows
    ]
    table = io.StringIO(newline="")
    writer = csv.DictWriter(table, THINGS.names)
    writer.writeheader()
    writer.writerows(texts)
    (folder / "log.csv").write_bytes(table.getvalue().encode())
    (folder / "log.jsonl").write_text("".join(json.dumps(row, default=str) + "\n" for row in rows), encoding="utf-8")
    pq.write_table(pa.Table.from_pylist(rows), folder / "log.parquet")
    csv_file, json_file, parquet_file = (
        [check_rows(chunk.frame, THINGS) for chunk in read_chunks(folder / name)]
        for name in ("log.csv", "log.jsonl", "log.parquet")
    )
    for (good, rejects), (other, others) in zip(json_file * 2, csv_file + parquet_file, strict=True):
        pd.testing.assert_frame_equal(good.reset_index(drop=True), other.reset_index(drop=True))
        assert rejects.drop(columns="line").to_numpy().tolist() == others.drop(columns="line").to_numpy().tolist()
    assert len(json_file[0][0]) == sum(row["id"] is not None for row in rows)


def test_rejects_of_several_frames_join_by_line_and_keep_their_order_on_it() -> None:
    first_rejects = rejects_frame([(4, "a", "", "x"), (9, "b", "", "x")])
    second_rejects = rejects_frame([(2, "c", "", "x"), (4, "d", "", "x")])
    joined = joined_rejects([first_rejects, rejects_frame(()), second_rejects])
    assert joined["field"].tolist() == ["c", "a", "d", "b"]
    assert joined.index.tolist() == [0, 1, 2, 3]
    assert list(joined_rejects([rejects_frame(())]).columns) == REJECT_COLUMNS
    assert np.issubdtype(joined["line"].dtype, np.integer)


KEYS = Schema("keys", (Column("id", required=True, longest=2_000, key=True), Column("text", multiline=True)))


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("课" * 667, "longer than 2000 bytes"),
        ("x" * 2_001, "longer than 2000 characters"),
        ("1.2345678901234568e+22", LOST_DIGITS),
        ("1.23457E+11", LOST_DIGITS),
        ("9007199254740992.0", LOST_DIGITS),
        ("1,23457E+11", LOST_DIGITS),
        ("1e999", LOST_DIGITS),
        ("-1e999", LOST_DIGITS),
        ("a\u200bb", "holds an invisible character (U+200B); remove it"),
        ("\u202da", "holds an invisible character (U+202D); remove it"),
        (".", "dots alone, which addresses cannot hold; choose another id"),
        (" .. ", "dots alone, which addresses cannot hold; choose another id"),
        *(
            (text, "what programs write for no value, and no id; leave it empty or give the id")
            for text in ("null", "NULL", "None", "NaN", "undefined", "[object Object]", "#N/A", "\\N", "<NA>")
        ),
    ],
)
def test_a_key_is_exact_and_fits_the_indexes_of_databases(value: str, why: str) -> None:
    _, rejects = check_rows(pd.DataFrame({"id": [value]}, dtype="str"), KEYS)
    assert rejects["reason"].tolist() == [why]


@pytest.mark.parametrize(
    "value", ["课" * 666, "x" * 2_000, "17", "none", "1e-07", "1E5", "12345678901234567890123", "👩\u200d🚒"]
)
def test_any_other_text_may_be_a_key(value: str) -> None:
    good, rejects = check_rows(pd.DataFrame({"id": [value]}, dtype="str"), KEYS)
    assert (good["id"].tolist(), len(rejects)) == ([value], 0)


def test_a_multiline_text_keeps_its_lines_and_may_not_hold_nul() -> None:
    frame = pd.DataFrame({"id": ["a", "b"], "text": ["one\n\ttwo", "x\x00"]}, dtype="str")
    good, rejects = check_rows(frame, KEYS)
    assert (good["text"].tolist(), rejects["reason"].tolist()) == (["one\n\ttwo"], ["holds a NUL character"])
