"""Mappings: foreign columns become canonical ones, and a mapping that does not fit says what is wrong with it."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from content_catalog.errors import MappingError
from content_catalog.io.mapping import Mapping, Threshold, load_mapping, shipped_mappings
from content_catalog.io.values import without_marks
from content_catalog.schema import ITEMS, Column, Schema

SCHEMA = Schema("things", (*ITEMS.columns, Column("joined_on", "date")))


def mapped(source: list[str], **parts: Any) -> list[str]:
    """Return what a mapping of one column, with these parts, makes of its values."""
    columns = parts.pop("columns", {"item_id": "source"})
    frame = pd.DataFrame({"source": source}, dtype="str")
    values = Mapping(kind="items", columns=columns, **parts).apply(frame, SCHEMA).iloc[:, 0]
    return [without_marks(value) for value in values]


def times(*values: str, name: str = "published_at", form: str = "", timezone: str = "Europe/Paris") -> list[str]:
    """Return what a mapping makes of times."""
    return mapped([*values], columns={name: "source"}, times={name: form} if form else {}, timezone=timezone)


def test_times_without_an_offset_are_of_the_zone_with_its_summer_time() -> None:
    assert times("2026-03-29T01:59:59", "2026-03-29T03:00:00", "2026-07-01", "2026-12-01 08:30") == [
        "2026-03-29T00:59:59.000000Z", "2026-03-29T01:00:00.000000Z", "2026-06-30T22:00:00.000000Z",
        "2026-12-01T07:30:00.000000Z",
    ]  # fmt: skip


def test_an_hour_that_clocks_skip_moves_to_its_end_and_one_they_repeat_is_the_first() -> None:
    assert times("2026-03-29T02:30:00") == ["2026-03-29T01:00:00.000000Z"]
    assert times("2026-10-25T02:30:00") == ["2026-10-25T00:30:00.000000Z"]


@pytest.mark.parametrize(
    ("value", "utc"),
    [
        ("2026-03-01T08:30:00Z", "08:30"),
        ("2026-03-01 08:30:00+08:00", "00:30"),
        ("20260301T083000-0500", "13:30"),
        ("2026-03-01T08+01", "07:00"),
        ("2026-03-01T08:30:00Z\u00a0", "08:30"),
    ],
)
def test_a_time_with_an_offset_keeps_it(value: str, utc: str) -> None:
    assert times(value, "2026-03-01T08:30:00") == [f"2026-03-01T{utc}:00.000000Z", "2026-03-01T07:30:00.000000Z"]


@pytest.mark.parametrize("value", ["", "soon", "now", "today", "2026-02-30", "2026-03-01 9:30Z"])
def test_what_is_no_time_stays_as_it_stands_for_the_check_to_reject(value: str) -> None:
    assert times(value) == [value]
    assert times(value, form="%Y", timezone="UTC") == [value]


def test_times_in_a_form_of_their_own_are_of_the_zone_or_of_their_own_offset() -> None:
    assert times("01/07/2026 08h30", form="%d/%m/%Y %Hh%M") == ["2026-07-01T06:30:00.000000Z"]
    assert times("01/07/2026 08:30 +0800", form="%d/%m/%Y %H:%M %z") == ["2026-07-01T00:30:00.000000Z"]


def test_a_day_is_the_same_day_in_every_zone() -> None:
    assert times("2026-07-01", name="joined_on", timezone="Asia/Shanghai") == ["2026-07-01"]
    assert times("01/07/2026", name="joined_on", form="%d/%m/%Y", timezone="Asia/Shanghai") == ["2026-07-01"]


def test_a_zone_touches_times_only() -> None:
    assert times("2026-07-01", name="title") == ["2026-07-01"]


def test_a_template_with_a_part_that_is_not_given_gives_nothing() -> None:
    assert mapped(["7", "", "N/A"], columns={"item_id": "course-{source}-{source}"}, missing=["N/A"]) == [
        "course-7-7",
        "",
        "",
    ]


def test_braces_of_a_template_around_no_name_stand_for_themselves() -> None:
    assert mapped(["7", "{8}"], columns={"item_id": "{{source}}-}{"}) == ["{7}-}{", "{{8}}-}{"]


def test_columns_are_joined_and_lists_of_python_are_read() -> None:
    assert mapped(["['a', 'b']", "[]", "c"], columns={"topics": ["source", "source"]}) == ["a;b;a;b", "", "c;c"]


@given(text=st.one_of(st.text(max_size=20), st.text("[]{}()'\"1,:-+a\\ ", max_size=20).map("[{}]".format)))
def test_a_text_that_is_not_a_list_of_python_keeps_its_characters(text: str) -> None:
    (value,) = mapped([text], columns={"topics": "source"})
    text = text.strip()
    assert value == text or (text[0], text[-1]) == ("[", "]")


@pytest.mark.parametrize("text", ["[1]", "['Word']"])
def test_only_columns_of_lists_read_lists_of_python(text: str) -> None:
    assert mapped([text], columns={"title": "source"}) == [text]


def test_values_are_stripped_before_they_are_mapped() -> None:
    assert mapped(["4\u00a0", " 4"], columns={"duration_seconds": "source"}, scale={"duration_seconds": 60}) == [
        "240.0",
        "240.0",
    ]
    assert mapped([" 17", "\u3000"], columns={"item_id": "course-{source}"}) == ["course-17", ""]
    assert mapped(["N/A "], missing=["N/A"]) == [""]
    assert mapped(["legal\t"], values={"item_id": {"legal": "26"}}) == ["26"]


@pytest.mark.parametrize(
    ("form", "value", "utc"),
    [
        ("seconds since 1970-01-01T00:00:00Z", "1772353800", "2026-03-01T08:30:00.000000Z"),
        ("milliseconds since 1970-01-01T00:00:00Z", "1772353800250", "2026-03-01T08:30:00.250000Z"),
        ("hours since 2026-03-01T00:00:00+08:00", "8.5", "2026-03-01T00:30:00.000000Z"),
        ("days since 2026-03-28", "2", "2026-03-29T22:00:00.000000Z"),
        ("days since 2026-03-28", "soon", "soon"),
        ("days since 2026-03-28", "1e300", "1e300"),
        ("seconds since 1970-01-01T00:00:00Z", "2026-03-01T08:30:00Z", "2026-03-01T08:30:00.000000Z"),
    ],
)
def test_times_are_counted_from_a_start(form: str, value: str, utc: str) -> None:
    assert times(value, form=form) == [utc]


@pytest.mark.parametrize(
    ("form", "value", "day"),
    [
        ("seconds since 1970-01-01", "1772380800", "2026-03-02"),
        ("seconds since 1970-01-01T00:00:00Z", "1772380799", "2026-03-01"),
        ("days since 1899-12-30", "46082.9", "2026-03-01"),
        ("%Y/%m/%d", "2026/3/1", "2026-03-01"),
        ("%Y/%m/%d", "2026-03-01T23:30:00-08:00", "2026-03-01T23:30:00-08:00"),
    ],
)
def test_a_counted_day_is_one_of_the_zone(form: str, value: str, day: str) -> None:
    assert times(value, name="joined_on", form=form, timezone="Asia/Shanghai") == [day]


def test_the_unix_epoch_is_in_utc_in_every_zone() -> None:
    for start in ("1970-01-01", "1970-01-01T00:00", "1970-01-01T00:00:00Z"):
        assert times("1772353800", form=f"seconds since {start}") == ["2026-03-01T08:30:00.000000Z"]


@pytest.mark.parametrize(
    ("form", "value", "text"),
    [
        ("", "20260301", "20260301"),
        ("%m/%d/%Y", "3/1/2026", "2026-03-01"),
        ("days since 2026-01-01", "59", "2026-03-01"),
        ("days since 2026-01-01", "59.5", "2026-03-01T11:00:00.000000Z"),
        ("%m/%d/%Y", "2026-03-01T08:30", "2026-03-01T07:30:00.000000Z"),
        ("%m/%d/%Y %H:%M", "3/1/2026 00:00", "2026-02-28T23:00:00.000000Z"),
        ("seconds since 1970-01-01", "20260301", "1970-08-23T11:51:41.000000Z"),
    ],
)
def test_an_event_without_a_time_keeps_its_date(form: str, value: str, text: str) -> None:
    schema = Schema("things", (Column("occurred_at", "instant"),))
    mapping = Mapping(
        kind="events",
        columns={"occurred_at": "source"},
        times={"occurred_at": form} if form else {},
        timezone="Europe/Paris",
    )
    assert mapping.apply(pd.DataFrame({"source": [value]}, dtype="str"), schema)["occurred_at"].tolist() == [text]


def test_a_leap_second_of_a_form_is_the_last_of_a_day_in_utc() -> None:
    form = "%Y-%m-%d %H:%M:%S.%f"
    assert times("2026-03-01 07:59:60.5", "2026-03-01 00:00:00.600000001", form=form, timezone="Asia/Shanghai") == [
        "2026-03-01T00:00:00.500000Z", "2026-02-28T16:00:00.600000Z",
    ]  # fmt: skip
    for none in ("2026-03-01 12:59:60.0", "2026-03-01 23:59:60.0", "2026-03-01 07:59:61.0"):
        assert times(none, form=form, timezone="Asia/Shanghai") == [none]


def test_names_of_zones_in_times_are_read() -> None:
    assert times("2026-03-01 08:30 UTC", "2026-03-01 08:30 CST", form="%Y-%m-%d %H:%M %Z") == [
        "2026-03-01T08:30:00.000000Z",
        "2026-03-01 08:30 CST",
    ]


def test_a_text_that_is_no_number_passes_a_threshold_as_it_is() -> None:
    rule = Threshold(column="source", at_least=100, then="completed", otherwise="progressed")
    mapping = Mapping(kind="events", columns={}, threshold={"verb": rule})
    frame = pd.DataFrame({"source": ["100\u00a0", "1,000", "100%", ""]}, dtype="str")
    assert mapping.apply(frame, SCHEMA)["verb"].tolist() == ["completed", "1,000", "100%", "progressed"]


def test_a_template_does_not_hide_a_number_that_lost_digits() -> None:
    assert mapped(["1.2E+17", "17"], columns={"item_id": "course-{source}"}) == ["1.2E+17", "course-17"]


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("['a ', 1.0, None, True]", "a ;1;true"),
        (r"['\ud800']", r"['\ud800']"),
        ("[['a']]", '[["a"]]'),
        ("[1e400]", "1e999"),
    ],
)
def test_parts_of_lists_are_spelt_as_in_other_formats(text: str, parts: str) -> None:
    assert mapped([text], columns={"topics": "source"}) == [parts]


def test_values_are_found_by_their_stripped_parts() -> None:
    assert mapped([" legal ; hr "], columns={"topics": "source"}, values={"topics": {"legal": "26"}}) == ["26;hr"]


def test_a_start_that_is_not_a_time_is_refused() -> None:
    with pytest.raises(ValueError, match="'2026-02-30' is not a time in ISO 8601"):
        times("1", form="days since 2026-02-30")


def test_a_value_is_absent_where_its_line_names_no_source_column() -> None:
    mapping = Mapping(kind="items", columns={"item_id": "id", "title": "Title"}, constants={"language": "fr"})
    frame = pd.DataFrame([{"id": "a", "Title": ""}, {"id": "b"}], dtype="str")
    assert mapping.apply(frame, SCHEMA).isna().to_numpy().tolist() == [[False] * 3, [False, True, False]]


@pytest.mark.parametrize("text", ["[Teams] first steps [2]", "[a, b]", "[{[]: 1}]", "[1", "[" + "-" * 50_000 + "1]"])
def test_a_text_in_brackets_that_python_cannot_read_stays_as_it_stands(text: str) -> None:
    assert mapped([text]) == [text]


def test_numbers_are_scaled_and_what_is_none_stays_as_it_stands() -> None:
    parts = {"columns": {"duration_seconds": "source"}, "scale": {"duration_seconds": 60.0}}
    assert mapped(["0.1", "7", "", "long"], **parts) == ["6.0", "420.0", "", "long"]


def test_a_value_table_replaces_each_part_of_a_list_and_leaves_unknown_ones() -> None:
    parts = {"columns": {"topics": "source"}, "values": {"topics": {"a": "x", "c": "y"}}}
    assert mapped(["['a', 'b']", "c", ""], **parts) == ["x;b", "y", ""]


def test_a_threshold_chooses_by_a_number_and_a_constant_is_the_same_on_every_row() -> None:
    rule = Threshold(column="source", at_least=100, then="completed", otherwise="progressed")
    mapping = Mapping(
        kind="events", columns={"progress": "source"}, threshold={"verb": rule}, constants={"device": "web"}
    )
    frame = pd.DataFrame({"source": ["99.9", "100", ""]}, index=[4, 5, 9], dtype="str")
    mapped_rows = mapping.apply(frame, SCHEMA)
    assert mapped_rows["verb"].tolist() == ["progressed", "completed", "progressed"]
    assert mapped_rows["device"].tolist() == ["web"] * 3
    assert mapped_rows.index.tolist() == [4, 5, 9]


def test_a_chunk_without_rows_maps_to_one_without_rows() -> None:
    parts = {"scale": {"item_id": 2}, "values": {"item_id": {"a": "b"}}, "missing": ["N/A"]}
    assert mapped([], **parts) == []
    assert times() == []
    assert mapped([], columns={"item_id": "x{source}"}) == []


def test_a_file_that_lacks_required_columns_of_the_mapping_is_refused_by_name() -> None:
    needed = ["verb", "occurred_at", "member_id", "item_id"]
    with pytest.raises(MappingError) as refusal:
        load_mapping("mars-watch", "events").check_header(["user_id", "created_at"], needed)
    assert str(refusal.value) == (
        "the file has no column 'item_id', 'watch_percentage', which the mapping reads; it has: user_id, created_at"
    )
    with pytest.raises(MappingError, match="no column 'course_id'"):
        load_mapping("ds365-items", "items").check_header(["course_title"], ["item_id"])


def test_source_columns_of_optional_columns_may_be_missing_and_are_named() -> None:
    assert load_mapping("ds365-items", "items").check_header(["course_id"], ["item_id"]) == ["course_title"]
    mapping = Mapping(kind="items", columns={"topics": ["Software", "Theme"]})
    assert mapping.check_header(["name"], ["item_id"]) == ["Software", "Theme"]


def test_a_mapping_of_your_own_is_read_from_its_path(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text('kind = "items"\n[columns]\nitem_id = "id"\n', encoding="utf-8-sig")
    assert load_mapping(str(path), "items").columns == {"item_id": "id"}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"kind = ", "Invalid value"),
        (b"kind = '\xff'", "it is not UTF-8"),
        (b"kind = 'scores'\ncolumns = {}\nz = 1", "kind: Input should be 'events', 'members' or 'items'; z: Ext"),
        (b"kind = 'items'", "columns: Field required"),
        (b"kind = 'items'\ntimezone = 'Mars/Olympus'\n[columns]", "timezone: 'Mars/Olympus' is no time zone of"),
        (b"kind = 'items'\ncolumns = {}\ntimes = {published_at = '%Q'}", "times: 'Q' is a bad directive"),
        (b"kind = 'items'\ncolumns = {}\ntimes = {published_at = '%Y-%Y'}", "times: '%Y-%Y' names a directive twice"),
        (b"kind = 'items'\ncolumns = {item_id = []}", "columns.item_id.list"),
        (b"kind = 'items'\ncolumns = {}\ntimes = {published_at = 'mixed'}", "times: 'mixed' is no format; write one"),
        (b"kind = 'items'\ncolumns = {}\nscale = {duration = 60}", "cannot be used: scale names 'duration', which is"),
        (b"kind = 'items'\ncolumns = {d = 'd'}\nscale = {d = nan}", "scale.d: Input should be a finite number"),
        (b"kind = 'items'\ncolumns = {d = 'd'}\nscale = {d = 0}", "scale.d: Input should be greater than 0"),
        (None, "No such file or directory"),
    ],
)  # fmt: skip
def test_a_mapping_that_cannot_be_used_says_why_in_one_line(tmp_path: Path, content: bytes | None, said: str) -> None:
    path = tmp_path / "own.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(MappingError) as refusal:
        load_mapping(str(path), "items")
    message = str(refusal.value)
    assert said in message
    assert message.startswith(f"mapping {str(path)!r} cannot be used: ")
    assert message.endswith("; see docs/reference/mappings.md")
    assert "\n" not in message


def test_an_unknown_mapping_names_the_shipped_ones_and_a_wrong_kind_is_refused() -> None:
    with pytest.raises(MappingError) as unknown:
        load_mapping("moodle", "events")
    assert str(unknown.value) == (
        f"no mapping 'moodle'; shipped: {', '.join(shipped_mappings())}; or give the path of a .toml file"
    )
    with pytest.raises(MappingError) as wrong:
        load_mapping("mars-items", "events")
    assert str(wrong.value) == "mapping 'mars-items' is for items, not for events"
