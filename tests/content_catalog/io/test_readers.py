"""The same rows from CSV, JSON Lines and Parquet, plain or gzipped, and no surprises from broken files."""

import csv
import datetime as dt
import gzip
import io
import json
import re
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from uuid import UUID

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from content_catalog.errors import FileUnreadableError, XueluError
from content_catalog.io.files import MAX_LINE_BYTES, NOT_UTF8, Chunk
from content_catalog.io.readers import read_chunks, read_lines
from content_catalog.io.values import WHITE_SPACE, without_marks

CELLS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
NAMES = st.lists(st.text("abcdefgh", min_size=1, max_size=3), min_size=1, max_size=4, unique=True)
EVENING = dt.datetime(2026, 3, 1, 20, 30, 15, 250_000, tzinfo=dt.timezone(dt.timedelta(hours=2)))


def as_csv(names: list[str], rows: list[tuple[str, ...]]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text).writerows([names, *rows])
    return text.getvalue().encode()


def as_json(names: list[str], rows: list[tuple[str, ...]]) -> bytes:
    return "".join(json.dumps(dict(zip(names, row, strict=True))) + "\n" for row in rows).encode()


def as_parquet(names: list[str], rows: list[tuple[str, ...]]) -> bytes:
    columns = {name: pa.array([row[place] for row in rows], pa.string()) for place, name in enumerate(names)}
    return parquet(pa.table(columns))


def parquet(table: pa.Table, **options: object) -> bytes:
    file = io.BytesIO()
    pq.write_table(table, file, **options)
    return file.getvalue()


WRITERS = {"log.csv": as_csv, "log.jsonl": as_json, "log.parquet": as_parquet}
LOG = pa.table({"member_id": ["m1", "m2"] * 40, "minutes": [1.5, None] * 40, "topics": [["a", "b"], []] * 40})
PARQUET = parquet(LOG, row_group_size=50)
GZIPPED = gzip.compress(as_csv(["a", "b"], [("1", "2")] * 50), mtime=0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return where a test, and each example of it, may write its files."""
    return tmp_path_factory.mktemp("readers")


def chunks(folder: Path, name: str, content: bytes, *, chunk_rows: int = 1_000) -> list[Chunk]:
    """Return a file's chunks, whose counts have been checked."""
    path = folder / name
    path.write_bytes(content)
    file_chunks = list(read_chunks(path, chunk_rows=chunk_rows))
    assert all(chunk.rows == len(chunk.frame) + chunk.rejects["line"].nunique() for chunk in file_chunks)
    return file_chunks


def text_of(folder: Path, values: pa.Array) -> list[str]:
    """Return what a Parquet column reads as."""
    (chunk,) = chunks(folder, "column.parquet", parquet(pa.table({"value": values})))
    assert chunk.rejects.empty
    return list(chunk.frame["value"])


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzipped"])
@given(names=NAMES, data=st.data(), chunk_rows=st.integers(1, 6))
@settings(max_examples=40)
def test_any_table_reads_back_equal(
    folder: Path, name: str, *, packed: bool, names: list[str], data: st.DataObject, chunk_rows: int
) -> None:
    rows = data.draw(st.lists(st.tuples(*[CELLS] * len(names)), min_size=1, max_size=10))
    assume(names not in [[cell.strip(WHITE_SPACE) for cell in row] for row in rows])
    content = WRITERS[name](names, rows)
    file_chunks = chunks(
        folder, name + ".gz" * packed, gzip.compress(content, 1) if packed else content, chunk_rows=chunk_rows
    )
    assert all(chunk.rejects.empty for chunk in file_chunks)
    assert [row for chunk in file_chunks for row in chunk.frame[names].itertuples(index=False, name=None)] == rows
    assert file_chunks[-1].done == 1.0
    if name != "log.csv":  # its line numbers are told of in test_csv_reader.py
        assert [line for chunk in file_chunks for line in chunk.frame.index] == list(range(1, len(rows) + 1))
        assert max(chunk.rows for chunk in file_chunks) <= chunk_rows


@pytest.mark.parametrize("name", ["log", "log.txt", "log.csv"])
@pytest.mark.parametrize("writer", WRITERS.values(), ids=["csv", "jsonl", "parquet"])
def test_the_format_is_told_by_the_content_whatever_the_name(
    folder: Path, name: str, writer: Callable[[list[str], list[tuple[str, ...]]], bytes]
) -> None:
    content = writer(["a", "b"], [("1", "2")])
    for packed in (content, gzip.compress(content)):
        (chunk,) = chunks(folder, name, packed)
        assert chunk.frame.to_numpy().tolist() == [["1", "2"]]


def test_json_lines_know_their_numbers_and_bad_ones_are_rejected_as_they_stand(folder: Path) -> None:
    content = b'\xef\xbb\xbf{"a": "x"}\r\n\n  \n{"a": }\n[1]\n17\n{"b": "caf\xe9"}\n{"b": "y"}'
    (chunk,) = chunks(folder, "log.jsonl", content)
    assert chunk.frame.index.tolist() == [1, 8]
    assert chunk.frame.fillna("absent").to_numpy().tolist() == [["x", "absent"], ["absent", "y"]]
    assert not chunk.has_header
    assert chunk.rejects["line"].tolist() == [4, 5, 6, 7]
    assert chunk.rejects["value"].tolist() == ['{"a": }', "[1]", "17", '{"b": "caf\\xe9"}']
    assert chunk.rejects["reason"][1] == "not a JSON object; write one on each line"
    assert chunk.rejects["reason"][2] == "not a JSON object; write one on each line"
    assert chunk.rejects["reason"][0].startswith("not JSON: ")
    assert chunk.rejects["reason"][3] == NOT_UTF8


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("null", ""),
        ("true", "true"),
        ("false", "false"),
        ("-7", "-7"),
        ("0.1", "0.1"),
        ('["theory", "history"]', "theory;history"),
        ('["theory", null, 3]', "theory;3"),
        ("[]", ""),
        ('[["a"], {}]', '[["a"],{}]'),
        ('{"b": [true, null]}', '{"b":[true,null]}'),
        ("17.0", "17"),
        ("1e3", "1000"),
        ("NaN", ""),
        ("12345678901234567890123", "12345678901234567890123"),
        ("12345678901234567890124", "12345678901234567890124"),
        ("12345678901234567890123.0", "1.2345678901234568e+22"),
    ],
)
def test_a_json_value_arrives_as_the_text_a_csv_field_would_hold(folder: Path, value: str, text: str) -> None:
    (chunk,) = chunks(folder, "log.jsonl", f'{{"a": {value}}}\n'.encode())
    assert [without_marks(value) for value in chunk.frame["a"]] == [text]


def test_json_objects_without_any_field_are_rows_all_the_same(folder: Path) -> None:
    (chunk,) = chunks(folder, "log.jsonl", b"{}\n{}\n")
    assert chunk.frame.shape == (2, 0)


def test_json_lines_with_nothing_but_blank_lines_have_no_rows(folder: Path) -> None:
    assert chunks(folder, "log.jsonl", b"\n \n\n") == []


def test_json_nested_deeper_than_can_be_read_is_a_reject(folder: Path) -> None:
    (chunk,) = chunks(folder, "log.jsonl", b'{"a": ' + b"[" * 100_000 + b'\n{"a": 1}\n')
    assert chunk.rejects["line"].tolist() == [1]
    assert chunk.frame["a"].tolist() == ["1"]


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        (pa.array([True, None]), ["true", ""]),
        (pa.array([7, None], pa.int8()), ["7", ""]),
        (pa.array([0.1, None], pa.float32()), ["0.1", ""]),
        (pa.array([Decimal("1.50")]), ["1.5"]),
        (pa.array([dt.date(2026, 3, 1), None]), ["2026-03-01", ""]),
        (pa.array([EVENING]), ["2026-03-01T20:30:15.250000+0200"]),
        (pa.array([EVENING.replace(tzinfo=None), None]), ["2026-03-01T20:30:15.250000", ""]),
        (pa.array([1_999], pa.timestamp("ns", "UTC")), ["1970-01-01T00:00:00.000001Z"]),
        (pa.array([57_600_000, None], pa.timestamp("ms", "Asia/Shanghai")), ["1970-01-02T00:00:00.000000+0800", ""]),
        (pa.array([0], pa.timestamp("s", "Mars/Olympus")), ["1970-01-01T00:00:00.000000Z"]),
        (pa.array(["a", None]).dictionary_encode(), ["a", ""]),
        (pa.array([EVENING]).dictionary_encode(), ["2026-03-01T18:30:15.250000Z"]),
        (pa.array(["课", None], pa.large_string()), ["课", ""]),
        (pa.array(["课".encode(), None], pa.binary()), ["课", ""]),
        (pa.array([b"m1"], pa.binary(2)), ["m1"]),
        (pa.array([["a", "b"], ["a", None], [], None]), ["a;b", "a", "", ""]),
        (pa.array([[1, 2]]), ["1;2"]),
        (pa.array([[17, 0.1, 2**24], None], pa.list_(pa.float32())), ["17;0.1;1.6777216e+07", ""]),
        (
            pa.array([[300_000, 2**61]], pa.list_(pa.int64())).cast(pa.list_(pa.duration("ms"))),
            ["300;2305843009213694"],
        ),
        (pa.array([{"a": 2**60}]).cast(pa.struct({"a": pa.timestamp("us")})), ['{"type":"struct<a: timestamp[us]>"}']),
        (pa.array([[b"a", b"b"]]), ["a;b"]),
        (pa.array([{"a": 1, "b": Decimal("1.5")}]), ['{"a":1,"b":"1.5"}']),
        (pa.array([UUID(int=1).bytes], pa.binary(16)).cast(pa.uuid()), [str(UUID(int=1))]),
        (pa.nulls(2), ["", ""]),
        (pa.array([17.0, 1.5, float("nan"), 2.0**53]), ["17", "1.5", "", "9.007199254740992e+15"]),
        (pa.array([17, 2**24], pa.float32()), ["17", "1.6777216e+07"]),
        (pa.array([17, 2**11], pa.float16()), ["17", "2.048e+03"]),
        (pa.array([float("inf"), -float("inf"), 1e-7, -0.0]), ["1e999", "-1e999", "1e-07", "0"]),
        (pa.array([dt.time(0, 5), None]), ["300", ""]),
        (pa.array([300_000, None], pa.duration("ms")).dictionary_encode(), ["300", ""]),
        (pa.array([[Decimal("17.00")], [Decimal(0)]]), ["17", "0"]),
        (pa.array([[dt.date(2026, 3, 1)]]), ["2026-03-01"]),
        (pa.array([Decimal("17.00"), Decimal("100.50")]), ["17", "100.5"]),
        (pa.array([300_000, 250], pa.duration("ms")), ["300", "0.25"]),
        (pa.array([2**53, 0], pa.timestamp("ms")), [f"{2**53} ms since 1970", "1970-01-01T00:00:00.000000"]),
    ],
    ids=lambda value: str(value.type) if isinstance(value, pa.Array) else "",
)
def test_a_parquet_value_arrives_as_the_text_a_csv_field_would_hold(
    folder: Path, values: pa.Array, texts: list[str]
) -> None:
    assert [without_marks(text) for text in text_of(folder, values)] == texts


@pytest.mark.parametrize("kind", [pa.string(), pa.binary(), pa.list_(pa.string())], ids=str)
def test_parquet_rows_with_bytes_that_are_no_utf8_are_rejected_and_shown(folder: Path, kind: pa.DataType) -> None:
    raw = pa.array([b"caf\xc3\xa9", b"caf\xe9", None, b"\\xe9"])
    values = pa.Array.from_buffers(pa.string(), 4, raw.buffers())  # Arrow does not look whether a text is one
    values = pa.ListArray.from_arrays(range(5), values) if pa.types.is_list(kind) else values.cast(kind)
    file_chunks = chunks(folder, "log.parquet", parquet(pa.table({"a": values, "b": values})), chunk_rows=3)
    texts = pd.concat(chunk.frame for chunk in file_chunks)["a"].map(without_marks)
    assert texts.to_dict() == {1: "café", 3: "", 4: "\\xe9"}
    assert file_chunks[0].rejects.to_numpy().tolist() == [[2, name, "caf\\xe9", NOT_UTF8] for name in ("a", "b")]
    assert file_chunks[1].rejects.empty


@pytest.mark.parametrize(("name", "content"), [("log.parquet", parquet(LOG[:0])), ("log.csv", b"a,b\n\n")])
def test_a_file_without_rows_names_its_columns(folder: Path, name: str, content: bytes) -> None:
    (chunk,) = chunks(folder, name, content)
    assert (chunk.rows, list(chunk.frame.columns)) == (0, LOG.column_names if name == "log.parquet" else ["a", "b"])


def test_a_parquet_file_with_two_columns_of_one_name_is_refused(folder: Path) -> None:
    table = pa.table([pa.array([1]), pa.array([2])], names=["a", "a"])
    with pytest.raises(FileUnreadableError, match="the header names the column 'a' twice"):
        chunks(folder, "log.parquet", parquet(table))


@pytest.mark.parametrize("content", [PARQUET[:-20], PARQUET[:4], b"PAR1" + PARQUET[60:]])
def test_a_broken_parquet_file_is_refused_in_one_line_that_says_what_to_do(folder: Path, content: bytes) -> None:
    with pytest.raises(FileUnreadableError) as refusal:
        chunks(folder, "log.parquet", content)
    said = str(refusal.value)
    assert said.startswith(f"{folder / 'log.parquet'} is not a readable Parquet file: ")
    assert said.endswith("; write it again")
    assert "\n" not in said


@pytest.mark.parametrize(
    ("name", "content"), [("log.parquet", PARQUET), ("log.csv.gz", GZIPPED)], ids=["parquet", "gz"]
)
@given(data=st.data())
@settings(max_examples=150)
def test_damaged_files_raise_nothing_but_errors_of_our_own(
    folder: Path, name: str, content: bytes, *, data: st.DataObject
) -> None:
    damaged = bytearray(content)
    for place in data.draw(st.lists(st.integers(2, len(content) - 1), min_size=1, max_size=3)):
        damaged[place] ^= data.draw(st.integers(1, 255))
    end = data.draw(st.one_of(st.none(), st.integers(2, len(content))))
    (folder / name).write_bytes(bytes(damaged[:end]))
    try:
        said = "".join(reason for chunk in read_chunks(folder / name) for reason in chunk.rejects["reason"])
    except XueluError as error:
        said = str(error)
    assert "\n" not in said


@given(
    content=st.one_of(
        st.binary(max_size=60),
        st.lists(st.sampled_from([b"{", b"}", b'"a":', b'"', b"1", b"\n", b"[", b"]", b",", b"\xff", b"\\ud800"])).map(
            b"".join
        ),
    )
)
def test_no_bytes_in_json_lines_raise_anything_but_an_error_of_our_own(folder: Path, content: bytes) -> None:
    (folder / "log.jsonl").write_bytes(content)
    written = {line for line, text in enumerate(content.split(b"\n"), 1) if text.strip()}
    try:
        file_chunks = list(read_chunks(folder / "log.jsonl", chunk_rows=3))
    except FileUnreadableError:  # empty, or it says of itself that it is gzip or Parquet
        return
    lines = [line for chunk in file_chunks for line in (*chunk.frame.index, *chunk.rejects["line"])]
    assert sorted(lines) == sorted(written)


@pytest.mark.parametrize("name", ["log.jsonl", "log.parquet", "log.parquet.gz"])
def test_chunks_are_bounded_and_come_one_by_one(folder: Path, name: str) -> None:
    rows: list[tuple[str, ...]] = [(f"{place:09d}", "x" * 50) for place in range(5_000)]
    content = WRITERS[name.removesuffix(".gz")](["a", "b"], rows)
    (folder / name).write_bytes(gzip.compress(content, 1) if name.endswith(".gz") else content)
    reading = read_chunks(folder / name, chunk_rows=100)
    first = next(reading)
    assert (first.rows, len(first.frame)) == (100, 100)
    assert first.done < 0.5
    shares = [chunk.done for chunk in reading]
    assert len(shares) == 49
    assert shares == sorted(shares)
    assert shares[-1] == 1.0


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"a": 1, "a": 2}', "the key 'a' comes twice in one object; send it once"),
        ('{"a": "\\ud800"}', "not JSON: a lone surrogate is not a character"),
        ('{"a": ' + "[" * 1_023 + "]" * 1_023 + "}", "nested deeper than 100 levels; send it flatter"),
        ('{"a": ' + "[" * 100_000 + "]" * 100_000 + "}", "nested deeper than 100 levels; send it flatter"),
        ('{"a": [' + "{}," * 1_000_000 + "{}]}", "more than 1,000,000 values; send fewer at once"),
        ('{"a": Infinity}', "not JSON: Infinity is not a JSON number"),
        ('{"a": "' + "x" * MAX_LINE_BYTES + '"}', f"longer than {MAX_LINE_BYTES:,} bytes"),
    ],
    ids=["twice", "surrogate", "deep", "deeper", "many", "infinite", "long"],
)
def test_a_bad_line_of_json_is_one_reject(folder: Path, line: str, reason: str) -> None:
    file_chunks = chunks(folder, "log.jsonl", f'{{"a": "x"}}\n{line}\n{{"a": "y"}}\n'.encode())
    assert [row for chunk in file_chunks for row in chunk.frame["a"]] == ["x", "y"]
    assert [(row.line, row.reason) for chunk in file_chunks for row in chunk.rejects.itertuples()] == [(2, reason)]


@pytest.mark.parametrize(
    ("magic", "said"),
    [
        (b"PK\x03\x04", "a ZIP archive or another kind of workbook"),
        (b"BZh9", "compressed with bzip2"),
        (b"\xfd7zXZ\x00", "compressed with xz"),
        (b"\xd0\xcf\x11\xe0", "an old or protected Excel workbook; save it as .xlsx"),
    ],
)
def test_a_format_that_is_not_read_is_named(folder: Path, magic: bytes, said: str) -> None:
    (folder / "log.csv").write_bytes(magic + b"rest")
    with pytest.raises(FileUnreadableError, match=re.escape(said)):
        list(read_chunks(folder / "log.csv"))


def test_gzip_in_gzip_is_named(folder: Path) -> None:
    (folder / "log.csv").write_bytes(gzip.compress(GZIPPED, mtime=0))
    with pytest.raises(FileUnreadableError, match="compressed with gzip twice; unpack it once"):
        list(read_chunks(folder / "log.csv"))


def test_a_json_array_is_refused_with_what_to_do(folder: Path) -> None:
    (folder / "log.json").write_text('[{"a": 1}]', encoding="utf-8")
    with pytest.raises(FileUnreadableError, match=r"is a JSON array; write one JSON object per line"):
        list(read_chunks(folder / "log.json"))


@pytest.mark.parametrize("encoding", ["gbk", "gb18030", "utf-16"])
def test_text_of_another_encoding_is_read_by_its_name(folder: Path, encoding: str) -> None:
    (folder / "log.csv").write_bytes("编号,名称\n1,安全\n2,卫生\n".encode(encoding))
    (chunk,) = read_chunks(folder / "log.csv", encoding=encoding)
    assert chunk.frame.to_dict("list") == {"编号": ["1", "2"], "名称": ["安全", "卫生"]}


def test_bytes_that_are_not_of_the_encoding_reject_their_line(folder: Path) -> None:
    (folder / "log.csv").write_bytes("a\n安\n".encode("gbk") + b"\xff\xff\n")
    (chunk,) = read_chunks(folder / "log.csv", encoding="gbk")
    assert (chunk.frame["a"].tolist(), chunk.rejects["reason"].tolist()) == (["安"], [NOT_UTF8])


@pytest.mark.parametrize("encoding", ["gbkk", "base64", "rot13", "idna", "undefined", "a\0b"])
def test_an_unknown_encoding_is_refused(folder: Path, encoding: str) -> None:
    (folder / "log.csv").write_text("a\n", encoding="utf-8")
    with pytest.raises(FileUnreadableError, match=re.escape(f"no encoding {encoding!r}; use a name such as gbk")):
        list(read_chunks(folder / "log.csv", encoding=encoding))


def test_a_file_that_breaks_off_inside_a_character_is_refused(folder: Path) -> None:
    (folder / "log.csv").write_bytes("a\n1\n".encode("utf-16")[:-1])
    with pytest.raises(FileUnreadableError, match=r"is not of the encoding utf-16: .*truncated"):
        list(read_chunks(folder / "log.csv", encoding="utf-16"))


def test_a_mark_of_utf8_says_more_than_an_option(folder: Path) -> None:
    (folder / "log.csv").write_text("名称\n北京\n", encoding="utf-8-sig")
    (chunk,) = read_chunks(folder / "log.csv", encoding="gbk")
    assert chunk.frame.to_dict("list") == {"名称": ["北京"]}


def test_gbk_has_the_characters_that_were_added_to_it(folder: Path) -> None:
    (folder / "log.csv").write_bytes("名称\n𠮷\n".encode("gb18030"))
    (chunk,) = read_chunks(folder / "log.csv", encoding="gbk")
    assert chunk.frame.to_dict("list") == {"名称": ["𠮷"]}


def test_a_body_that_is_gzip_is_not_decompressed(folder: Path) -> None:
    (folder / "body").write_bytes(gzip.compress(b"a\n1\n"))
    with pytest.raises(FileUnreadableError, match="the header is not UTF-8"):
        list(read_lines(folder / "body", "csv", decompress=False))


def test_a_chunk_ends_where_its_text_is_large(folder: Path) -> None:
    line = b'{"a": "' + b"x" * 1_000_000 + b'"}\n'
    file_chunks = chunks(folder, "log.jsonl", line * 40)
    assert [len(chunk.frame) for chunk in file_chunks] == [16, 16, 8]
    quoted = b"a\n" + (b'"' + b"x" * 1_000_000 + b'"\n') * 40
    assert [len(chunk.frame) for chunk in chunks(folder, "log.csv", quoted)] == [16, 16, 8]
