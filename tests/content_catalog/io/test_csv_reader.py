"""CSV files: every line in a row or in a reject, under its true number, whatever the file holds."""

import csv
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from content_catalog.errors import FileUnreadableError, XueluError
from content_catalog.io.csv_reader import MAX_FIELD_CHARACTERS, MAX_RECORD_LINES
from content_catalog.io.files import NOT_UTF8
from content_catalog.io.readers import read_lines
from content_catalog.io.values import WHITE_SPACE

Read = Callable[..., tuple[pd.DataFrame, pd.DataFrame]]
BOM = b"\xef\xbb\xbf"
PIECES = (b'"', b'""', b",", b";", b"\t", b"\n", b"\r", b"\r\n", b"a", b"17", b" ", b"\x00", b"\xff", b"\xc3\xa9", BOM)
BODIES = st.one_of(st.lists(st.sampled_from(PIECES), max_size=40).map(b"".join), st.binary(max_size=80))
# Everything UTF-8 can hold.
CELLS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
NAMES = st.lists(st.text("abcdefgh", min_size=1, max_size=3), min_size=1, max_size=4, unique=True)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return where a test, and each example of it, may write its file."""
    return tmp_path_factory.mktemp("csv") / "log.csv"


@pytest.fixture(scope="module")
def read(path: Path) -> Read:
    """Return what reads bytes as a CSV file: all its rows and all its rejects."""

    def read_bytes(content: bytes, *, chunk_rows: int = 1_000) -> tuple[pd.DataFrame, pd.DataFrame]:
        path.write_bytes(content)
        chunks = list(read_lines(path, "csv", chunk_rows=chunk_rows))
        assert all(chunk.rows == len(chunk.frame) + len(chunk.rejects) for chunk in chunks)
        parts = ([chunk.frame for chunk in chunks], [chunk.rejects for chunk in chunks])
        frames, rejects = ([part for part in some if len(part)] for some in parts)
        empty = pd.DataFrame(columns=["line", "field", "value", "reason"])
        return (
            pd.concat(frames) if frames else pd.DataFrame(),
            pd.concat(rejects, ignore_index=True) if rejects else empty,
        )

    return read_bytes


def numbered(frame: pd.DataFrame) -> list[tuple[Any, ...]]:
    """Return each row with its line number before it."""
    return [tuple(row) for row in frame.itertuples(name=None)]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("start", [b"", BOM, b"\n\r\n"])
def test_each_delimiter_line_end_and_start_of_a_file_gives_the_same_rows(
    read: Read, delimiter: str, end: str, start: bytes
) -> None:
    text = end.join(delimiter.join(row) for row in (("member_id", " item_id "), ("m1", "i1"), ("", "课程"))) + end
    frame, rejects = read(start + text.encode())
    before = start.count(b"\n")
    assert list(frame.columns) == ["member_id", "item_id"]
    assert numbered(frame) == [(before + 2, "m1", "i1"), (before + 3, "", "课程")]
    assert rejects.empty


def test_a_file_without_a_last_line_feed_keeps_its_last_row(read: Read) -> None:
    assert numbered(read(b"a,b\n1,2\n3,4")[0]) == [(2, "1", "2"), (3, "3", "4")]
    assert numbered(read(b'a,b\n1,2\n"3",4')[0]) == [(2, "1", "2"), (3, "3", "4")]


@pytest.mark.parametrize("content", [b"a,b", b"a,b\n", b"a,b\r\n", b"a,b\n\n\r\n\n"])
def test_a_file_with_only_a_header_has_neither_rows_nor_rejects(read: Read, content: bytes) -> None:
    frame, rejects = read(content)
    assert frame.empty
    assert rejects.empty


def test_columns_without_a_name_are_called_by_their_place(read: Read) -> None:
    rows, _ = read(b",a, ,\n1,2,3,\n")
    assert rows.to_dict("index") == {2: {"(column 1)": "1", "a": "2", "(column 3)": "3", "(column 4)": ""}}


def test_a_byte_order_mark_and_spaces_without_width_are_no_part_of_a_name(read: Read) -> None:
    assert list(read(BOM + BOM + "a\u200b,\u3000b\n1,2\n".encode())[0].columns) == ["a", "b"]


def test_the_delimiter_is_one_outside_of_quotes(read: Read) -> None:
    assert list(read(b'a;b;"c,d,e,f"\n1;2;3\n')[0].columns) == ["a", "b", "c,d,e,f"]


@pytest.mark.parametrize("again", [b"a,b\n", BOM + b"a, b\n", b'"a","b"\n', BOM + b'"a","b"\n'])
def test_the_header_of_a_file_that_was_appended_is_a_reject(read: Read, again: bytes) -> None:
    rows, rejects = read(b"a,b\n1,2\n" + again + b"a,3\n")
    assert numbered(rows) == [(2, "1", "2"), (4, "a", "3")]
    assert rejects.to_numpy().tolist() == [[3, "", "a,b", "the header again; remove it"]]


@pytest.mark.parametrize("header", ['"a\nb";"c"\n', '\ufeff"a\nb";c\n', 'sep=;\n"a\nb";c\n'])
def test_a_line_break_in_quotes_is_part_of_the_name_of_a_column(read: Read, header: str) -> None:
    rows, rejects = read(f"{header}1;2\n".encode())
    assert rows.to_dict("index") == {header.count("\n") + 1: {"a\nb": "1", "c": "2"}}
    assert rejects.empty


@pytest.mark.parametrize("first", [b"sep=;\r\n", BOM + b"SEP=;\n", b'"sep=;"\n'])
def test_the_line_of_spreadsheets_that_names_the_delimiter_is_no_header(read: Read, first: bytes) -> None:
    rows, rejects = read(first + b"a,b;c\n1;2\n")
    assert rows.to_dict("index") == {3: {"a,b": "1", "c": "2"}}
    assert rejects.empty


def test_a_quoted_field_may_hold_delimiters_quotes_and_lines_and_the_next_row_knows_its_line(read: Read) -> None:
    frame, rejects = read(b'a,b\n1,"one, ""two""\nand\r\n\nfour"\n2,\n')
    assert numbered(frame) == [(2, "1", 'one, "two"\nand\r\n\nfour'), (6, "2", "")]
    assert rejects.empty


def test_blank_lines_are_passed_over_and_counted(read: Read) -> None:
    frame, rejects = read(b"a,b\n\n1,2\n\r\n\n3,4\n\n")
    assert numbered(frame) == [(3, "1", "2"), (6, "3", "4")]
    assert rejects.empty


def test_lines_with_too_few_or_too_many_fields_are_rejected_as_they_stand(read: Read) -> None:
    frame, rejects = read(b"a,b\n1,2\nx\n3,4,5\n6,7\n")
    assert numbered(frame) == [(2, "1", "2"), (5, "6", "7")]
    assert numbered(rejects.set_index("line")) == [
        (3, "", "x", "2 fields expected, 1 found"),
        (4, "", "3,4,5", "2 fields expected, 3 found"),
    ]


@pytest.mark.parametrize(
    ("lines", "lost"),
    [
        ([b'1,"open', b"2,x", b"3,y"], [2]),
        ([b"1,x", b'2,"open', b"3,y"], [3]),
        ([b'1,"a"b', b"2,x"], [2]),
        ([b'"1,x', b"2,y", b'"3",z', b"4,w"], [2]),
        ([b'1,"open', b"2,x", b'3",y', b"4,z"], [2]),
        ([b'1,"open', b'2,"open too', b"3,x"], [2, 3]),
        ([b"1,x", b'"'], [3]),
    ],
    ids=["first", "middle", "after a quote", "key", "closed by another stray one", "two", "nothing else"],
)
def test_a_stray_quote_loses_its_own_line_only(read: Read, lines: list[bytes], lost: list[int]) -> None:
    frame, rejects = read(b"a,b\n" + b"\n".join(lines) + b"\n")
    assert rejects["line"].tolist() == lost
    assert frame.index.tolist() == [line for line in range(2, len(lines) + 2) if line not in lost]
    assert rejects["value"].tolist() == [lines[line - 2].decode() for line in lost]
    assert rejects["reason"].str.contains("close or double its quotes").all()


def test_a_quote_inside_of_a_field_that_began_without_one_is_text(read: Read) -> None:
    assert numbered(read(b'a,b\n1,2" pipe\n')[0]) == [(2, "1", '2" pipe')]


def test_a_quote_that_stays_open_for_very_many_lines_loses_its_own_line_only(read: Read) -> None:
    lines = 2 * MAX_RECORD_LINES
    frame, rejects = read(b'a,b\n1,"open\n' + b"x,y\n" * lines)
    assert rejects["line"].tolist() == [2]
    assert f"open for {MAX_RECORD_LINES} lines" in rejects["reason"][0]
    assert frame.index.tolist() == list(range(3, lines + 3))


def test_a_field_longer_than_any_field_may_be_loses_its_own_line_only(read: Read) -> None:
    frame, rejects = read(b'a,b\n1,"x"\n2,' + b"y" * (MAX_FIELD_CHARACTERS + 1) + b"\n3,z\n")
    assert rejects["line"].tolist() == [3]
    assert "field larger than" in rejects["reason"][0]
    assert len(rejects["value"][0]) == 200
    assert frame.index.tolist() == [2, 4]


def test_bytes_that_are_no_utf8_reject_their_own_line_and_are_shown(read: Read) -> None:
    frame, rejects = read(b"a,b\n1,caf\xe9\n2,caf\xc3\xa9\n")
    assert numbered(rejects.set_index("line")) == [(2, "", "1,caf\\xe9", NOT_UTF8)]
    assert numbered(frame) == [(3, "2", "café")]


def test_a_nul_is_part_of_its_field(read: Read) -> None:
    assert numbered(read(b"a,b\n1,\x002\n")[0]) == [(2, "1", "\x002")]
    assert numbered(read(b'a,b\n1,"\x002"\n')[0]) == [(2, "1", "\x002")]


def test_a_return_inside_of_a_line_rejects_it_and_says_how_lines_end(read: Read) -> None:
    # One row more here, one line less there: counting rows alone would not see it.
    frame, rejects = read(b"a,b\n1,2\r3,4\n\n5,6\n")
    assert numbered(frame) == [(4, "5", "6")]
    assert rejects["line"].tolist() == [2]
    assert "end lines with line feeds" in rejects["reason"][0]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\n\n\n", "the header is empty; the first line must name each column once"),
        (b",,\n1,2,3\n", "the header is empty"),
        (b"\xef\xbb\xbf\n", "the header is empty"),
        (b"a,b,a\n1,2,3\n", "names the column 'a' twice; the first line must name each column once"),
        (b"a, a\n", "names the column 'a' twice"),
        (b"caf\xe9,b\n1,2\n", "the header is not UTF-8"),
        (b"a,b\r1,2\r3,4\r", "ends with a carriage return alone, and must end with a line feed"),
        (b"x" * (MAX_FIELD_CHARACTERS + 1), "the header is longer than 1,000,000 bytes"),
        ("学号,岗位".encode("gbk"), "as GBK it reads '学号,岗位': save the file as UTF-8, or give --encoding gbk"),
        ("学号".encode("utf-16"), "it seems to be UTF-16: save the file as UTF-8, or give --encoding utf-16"),
        ("学号".encode("utf-32"), "it seems to be UTF-32"),
        ("id,name".encode("utf-16-le"), "give --encoding utf-16-le"),
        ("id,name".encode("utf-16-be"), "give --encoding utf-16-be"),
        (b"ARROW1\0\0", "seems to be no text"),
        (b'"a,b\n' + b"1,2\n" * 40, "a quote in the header stays open; close or double its quotes"),
        (b'"a', "a quote in the header stays open"),
    ],
    ids=[
        "blank",
        "nameless",
        "BOM only",
        "twice",
        "twice but for a blank",
        "not UTF-8",
        "old Mac lines",
        "no text",
        "GBK",
        "UTF-16",
        "UTF-32",
        "little-endian",
        "big-endian",
        "binary",
        "open quote",
        "open quote at the end",
    ],
)
def test_a_header_that_is_none_is_refused_with_the_file_and_what_to_do(
    read: Read, path: Path, content: bytes, said: str
) -> None:
    with pytest.raises(FileUnreadableError) as refusal:
        read(content)
    assert said in str(refusal.value)
    assert str(refusal.value).startswith(f"{path}: ")
    assert ";" in str(refusal.value)


@given(names=NAMES, data=st.data(), delimiter=st.sampled_from(",;\t"), chunk_rows=st.integers(1, 6), bom=st.booleans())
def test_any_table_written_as_csv_reads_back_equal_with_true_line_numbers(
    read: Read, names: list[str], data: st.DataObject, *, delimiter: str, chunk_rows: int, bom: bool
) -> None:
    if len(names) == 1:
        delimiter = ","  # a header of one column cannot tell another
    rows = data.draw(st.lists(st.tuples(*[CELLS] * len(names)), max_size=12))
    assume(names not in [[cell.strip(WHITE_SPACE) for cell in row] for row in rows])
    text = io.StringIO(newline="")
    writer = csv.writer(
        text, delimiter=delimiter, quoting=data.draw(st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]))
    )
    writer.writerow(names)
    expected = []
    for row in rows:
        expected.append((text.getvalue().count("\n") + 1, *row))
        writer.writerow(row)
    frame, rejects = read(BOM * bom + text.getvalue().encode(), chunk_rows=chunk_rows)
    assert rejects.empty
    assert numbered(frame) == expected


@given(body=BODIES, chunk_rows=st.integers(1, 5))
@example(body=BOM + b"1,2\n3,4\n", chunk_rows=5)
@example(body=b"1,2\r3,4\n\n5,6\n", chunk_rows=5)
def test_the_fast_way_and_the_exact_one_give_the_same_rows(read: Read, body: bytes, *, chunk_rows: int) -> None:
    as_they_come, faults = read(b"a,b\n" + body, chunk_rows=chunk_rows)
    # A quote in the first block sends the whole file the exact way.
    exact, exact_faults = read(b'a,b\n"q","q"\n' + body, chunk_rows=chunk_rows)
    assert numbered(exact)[1:] == [(line + 1, *cells) for line, *cells in numbered(as_they_come)]
    assert exact_faults.to_numpy().tolist() == faults.assign(line=faults["line"] + 1).to_numpy().tolist()


@given(body=BODIES, chunk_rows=st.integers(1, 5), header=st.sampled_from([b"a,b\n", b"a\n", b"\n\ta;b;c\r\n"]))
def test_every_line_is_in_a_row_or_in_a_reject_or_blank_whatever_the_bytes(
    read: Read, body: bytes, *, chunk_rows: int, header: bytes
) -> None:
    frame, rejects = read(header + body, chunk_rows=chunk_rows)
    covered: list[int] = list(range(1, header.count(b"\n") + 1))
    for line, *cells in numbered(frame):
        covered += range(line, line + 1 + sum(cell.count("\n") for cell in cells))
    for line, value in zip(rejects["line"], rejects["value"], strict=True):
        covered += range(line, line + 1 + value.count("\n"))
    assert len(covered) == len(set(covered))
    lines = (header + body).split(b"\n")
    assert all(not lines[line - 1].strip(b"\r") for line in set(range(1, len(lines) + 1)) - set(covered))


@given(content=BODIES)
def test_no_bytes_raise_anything_but_an_error_of_our_own(read: Read, content: bytes) -> None:
    try:
        said = "".join(read(content)[1]["reason"])
    except XueluError as error:
        said = str(error)
    assert "\n" not in said


@pytest.mark.parametrize("first", [b"", b'"q","q"\n'], ids=["fast", "exact"])
def test_chunks_are_bounded_and_tell_how_far_reading_has_come(path: Path, first: bytes) -> None:
    path.write_bytes(b"a,b\n" + first + b"12345678,12345678\n" * 5_000)
    chunks = list(read_lines(path, "csv", chunk_rows=100))
    assert sum(chunk.rows for chunk in chunks) == 5_000 + first.count(b"\n")
    assert max(chunk.rows for chunk in chunks) <= 1_000
    assert chunks[0].done < 0.5
    assert [chunk.done for chunk in chunks] == sorted(chunk.done for chunk in chunks)
    assert chunks[-1].done == 1.0
    lines = pd.concat([chunk.frame for chunk in chunks]).index
    assert lines.tolist() == list(range(2, 5_002 + first.count(b"\n")))
