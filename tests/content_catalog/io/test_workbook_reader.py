"""Excel workbooks: the first sheet or a named one, with times and numbers as other formats have them."""

import datetime as dt
from pathlib import Path

import pytest
from openpyxl import Workbook

from content_catalog.errors import FileUnreadableError
from content_catalog.io.readers import read_chunks

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


def test_other_files_have_no_sheets(tmp_path: Path) -> None:
    (tmp_path / "items.csv").write_text("item_id\n1\n", encoding="utf-8")
    with pytest.raises(FileUnreadableError, match="has no sheets"):
        list(read_chunks(tmp_path / "items.csv", sheet="More"))


def test_a_header_may_not_name_a_column_twice(tmp_path: Path) -> None:
    book = Workbook()
    book.active.append(["a", "a"])
    book.save(tmp_path / "twice.xlsx")
    with pytest.raises(FileUnreadableError, match="names a column twice"):
        list(read_chunks(tmp_path / "twice.xlsx"))
