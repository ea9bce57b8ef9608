"""Excel workbooks: the first sheet or a named one, with times and numbers as other formats have them."""

import datetime as dt
import gzip
import re
from pathlib import Path
from zipfile import ZipFile

import pytest
from openpyxl import Workbook

from content_catalog.errors import FileUnreadableError
from content_catalog.io.files import Chunk
from content_catalog.io.readers import read_chunks
from content_catalog.io.validation import check_rows
from features.schema import MEMBERS

ROWS = [
    [None, None, None, None],
    ["item_id", "title", "minutes", "published_at"],
    [17, "劳动合同法", 1.5, dt.datetime.fromisoformat("2026-03-01T08:30")],
    [None, None, None, None],
    ["b", None, dt.timedelta(seconds=90), dt.date(2026, 3, 2)],
]


@pytest.fixture
def workbook(tmp_path: Path) -> Path:
    """Return a workbook with two sheets."""
    book = Workbook()
    for row in ROWS:
        book.active.append(row)
    book.create_sheet("More").append(["item_id"])
    book["More"].append(["c"])
    path = tmp_path / "items.xlsx"
    book.save(path)
    return path


def test_the_first_sheet_is_read_with_its_row_numbers(workbook: Path) -> None:
    (chunk,) = read_chunks(workbook)
    assert chunk.frame.index.tolist() == [3, 5]
    assert chunk.frame.to_numpy().tolist() == [
        ["17", "劳动合同法", "1.5", "2026-03-01T08:30:00"],
        ["b", "", "90", "2026-03-02"],
    ]


def test_a_sheet_is_read_by_its_name(workbook: Path) -> None:
    (chunk,) = read_chunks(workbook, sheet="More")
    assert chunk.frame.to_numpy().tolist() == [["c"]]


@pytest.mark.parametrize(
    ("content", "sheet", "said"),
    [
        (None, "Other", "has no sheet 'Other'; it has Sheet, More"),
        (b"PK\x03\x04 broken", None, "is not a readable Excel workbook"),
        (b"item_id\n1\n", None, "is not a readable Excel workbook"),
    ],
)
def test_a_workbook_that_cannot_be_read_says_why(
    workbook: Path, content: bytes | None, sheet: str | None, said: str
) -> None:
    if content is not None:
        workbook.write_bytes(content)
    with pytest.raises(FileUnreadableError, match=said):
        list(read_chunks(workbook, sheet=sheet))


def in_workbook(folder: Path, *rows: list[object], form: str = "General", name: str = "own.xlsx") -> list[Chunk]:
    """Return the chunks of a workbook with rows, whose cell B2 has a number format."""
    book = Workbook()
    for row in rows:
        book.active.append(row)
    book.active["B2"].number_format = form
    book.save(folder / name)
    return list(read_chunks(folder / name))


@pytest.mark.parametrize(
    ("value", "form", "text"),
    [
        (dt.time(0, 5), "h:mm:ss", "300"),
        (5 / 1440, "[h]:mm:ss", "300"),
        (5 / 1440, "mm:ss", "300"),
        (46_082.6, "mm:ss.0", "2026-03-01T14:24:00"),
        (46_082.6, 'yyyy-mm-dd "the hour"', "2026-03-01"),
        (46_082, '[$-804]yyyy"年"m"月"d"日";@', "2026-03-01"),
        (10**15 - 1, "0", "999999999999999"),
        (1_234_567_890_123_450, "0", "1.23456789012345e+15"),
        ("a_x000D_", "General", "a\r"),
        (True, "General", "true"),
    ],
)
def test_a_cell_is_read_as_what_it_means(tmp_path: Path, value: object, form: str, text: str) -> None:
    (chunk,) = in_workbook(tmp_path, ["id", "value"], ["a", value], form=form)
    assert chunk.frame["value"].tolist() == [text]


def test_a_cell_beyond_the_header_is_a_reject(tmp_path: Path) -> None:
    (chunk,) = in_workbook(tmp_path, ["id", "value"], ["a", 1, None, "lost"], ["b", 2, None, None], [" ", "\u3000"])
    assert chunk.frame.to_numpy().tolist() == [["b", "2"]]
    assert chunk.rejects[["line", "value"]].to_numpy().tolist() == [[2, "lost"]]


def test_charts_and_hidden_sheets_are_passed_over(tmp_path: Path) -> None:
    book = Workbook()
    book.active.append(["id"])
    book.create_sheet("hidden", 0).sheet_state = "hidden"
    book.create_chartsheet("chart", 0)
    book.save(tmp_path / "own.xlsx")
    (chunk,) = read_chunks(tmp_path / "own.xlsx")
    assert (chunk.rows, list(chunk.frame.columns)) == (0, ["id"])


def test_a_workbook_is_known_by_its_content(tmp_path: Path) -> None:
    (chunk,) = in_workbook(tmp_path, ["id"], ["a"], name="own.xlsm")
    assert chunk.frame.to_numpy().tolist() == [["a"]]
    (tmp_path / "log.csv").write_bytes((tmp_path / "own.xlsm").read_bytes())
    assert next(read_chunks(tmp_path / "log.csv")).frame.to_numpy().tolist() == [["a"]]
    (tmp_path / "log.xlsx.csv").write_text("id\nb\n", encoding="utf-8")
    assert next(read_chunks(tmp_path / "log.xlsx.csv")).frame.to_numpy().tolist() == [["b"]]


@pytest.mark.parametrize("extent", [b'<dimension ref="A1"/>', b'<dimension ref="A1:XFD1048576"/>', b""])
def test_the_extent_that_a_sheet_states_is_not_believed(tmp_path: Path, extent: bytes) -> None:
    in_workbook(tmp_path, ["id", "value"], ["a", "1"])
    with ZipFile(tmp_path / "own.xlsx") as book, ZipFile(tmp_path / "stated.xlsx", "w") as stated:
        for name in book.namelist():
            stated.writestr(name, re.sub(b"<dimension[^>]*>", extent, book.read(name)))
    (chunk,) = read_chunks(tmp_path / "stated.xlsx")
    assert chunk.frame.to_numpy().tolist() == [["a", "1"]]


def test_a_compressed_workbook_is_refused(tmp_path: Path) -> None:
    in_workbook(tmp_path, ["id"], ["a"])
    (tmp_path / "own.xlsx.gz").write_bytes(gzip.compress((tmp_path / "own.xlsx").read_bytes()))
    with pytest.raises(FileUnreadableError, match="is a compressed workbook or archive; unpack it first"):
        list(read_chunks(tmp_path / "own.xlsx.gz"))


def test_other_files_have_no_sheets(tmp_path: Path) -> None:
    (tmp_path / "items.csv").write_text("item_id\n1\n", encoding="utf-8")
    with pytest.raises(FileUnreadableError, match="has no sheets"):
        list(read_chunks(tmp_path / "items.csv", sheet="More"))


def test_a_header_may_not_name_a_column_twice(tmp_path: Path) -> None:
    book = Workbook()
    book.active.append(["a", "a"])
    book.save(tmp_path / "twice.xlsx")
    with pytest.raises(FileUnreadableError, match="names the column 'a' twice"):
        list(read_chunks(tmp_path / "twice.xlsx"))


def test_a_part_that_would_take_a_thousand_times_its_size_is_refused_unread(workbook: Path) -> None:
    with ZipFile(workbook, "a") as archive:
        archive.writestr("xl/texts.xml", "<t/>")
        archive.getinfo("xl/texts.xml").file_size = 1_000_000_000

    with pytest.raises(FileUnreadableError, match=r"texts\.xml would be 1,000,000,000 bytes, .*as CSV"):
        list(read_chunks(workbook))


def test_a_formula_without_a_value_costs_its_row_where_its_column_is_read(tmp_path: Path) -> None:
    book = Workbook()
    for row in (
        ["member_id", "role", "note"],
        ["m1", '="8"&"3"', None],
        ["m2", None, "=1+1"],
        *([f"n{n}"] for n in range(3_000)),
    ):
        book.active.append(row)
    path = tmp_path / "members.xlsx"
    book.save(path)
    (chunk,) = read_chunks(path)
    rows, rejects = check_rows(chunk.frame, MEMBERS)
    assert len(rows) == 3_001
    assert rejects["reason"].tolist() == ["a formula without a value; open the workbook in a spreadsheet and save it"]
    assert rejects[["line", "value"]].to_numpy().tolist() == [[2, '="8"&"3"']]


def test_a_formula_that_gives_an_empty_text_is_an_empty_value(tmp_path: Path) -> None:
    book = Workbook()
    book.active.append(["member_id", "role"])
    book.active.append(["m1", '=""'])
    book.save(tmp_path / "written.xlsx")
    with ZipFile(tmp_path / "written.xlsx") as written, ZipFile(tmp_path / "members.xlsx", "w") as stored:
        for name in written.namelist():  # as spreadsheets store it
            stored.writestr(name, written.read(name).replace(b'<c r="B2">', b'<c r="B2" t="str">'))
    (chunk,) = read_chunks(tmp_path / "members.xlsx")
    assert chunk.frame.to_numpy().tolist() == [["m1", ""]]


def test_cells_that_a_merged_one_covers_cost_their_rows_where_their_column_is_read(tmp_path: Path) -> None:
    """They were empty values: of a group of rows with one role all but the first lost it."""
    book = Workbook()
    for row in (
        ["member_id", "role", "industry", "language"],
        ["m1", "83", "54"],
        ["m2"],
        ["m3", "41", "60", None, "beyond"],
        ["m4", None, "60"],
        ["m5", "unit and language", None, None],
        ["m6", "83"],
        [None],
        ["m7", "41"],
    ):
        book.active.append(row)
    for cells in ("B2:B3", "D2:D9", "E4:E6", "B6:D6", "C7:C9", "B7:B8"):
        book.active.merge_cells(cells)
    book.active["C7"] = None
    path = tmp_path / "members.xlsx"
    book.save(path)
    (chunk,) = read_chunks(path)
    rows, rejects = check_rows(chunk.frame, MEMBERS)
    assert rows["member_id"].tolist() == ["m1", "m4", "m6", "m7"]
    assert rejects[["line", "field", "value"]].to_numpy().tolist() == [
        [3, "role", "merged"],
        [6, "industry", "merged"],
        [6, "language", "merged"],
    ]
    assert set(rejects["reason"]) == {"a part of a merged cell; unmerge it, and give each row a value of its own"}
    assert chunk.rejects["line"].tolist() == [4]
