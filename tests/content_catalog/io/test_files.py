"""Opened files: unpacked where they say so, refused with the path and what to do where they cannot be read."""

import gzip
from pathlib import Path

import pytest

from content_catalog.errors import FileUnreadableError
from content_catalog.io.files import SHOWN_CHARACTERS, open_source, rejects_frame
from content_catalog.io.readers import MAX_CHUNK_CELLS, MAX_KEYS, read_lines
from content_catalog.schema import REJECT_COLUMNS

TEXT = b"member_id,item_id\n" + b"m1,i1\n" * 3_000


def read(path: Path) -> bytes:
    with open_source(path) as source:
        return source.stream.read()


def test_a_file_is_unpacked_where_its_first_bytes_say_gzip_whatever_its_name(tmp_path: Path) -> None:
    for name, content in (("plain.gz", TEXT), ("packed", gzip.compress(TEXT)), ("two", gzip.compress(TEXT[:9]) * 2)):
        (tmp_path / name).write_bytes(content)
    assert read(tmp_path / "plain.gz") == TEXT
    assert read(tmp_path / "packed") == TEXT
    assert read(tmp_path / "two") == TEXT[:9] * 2


def test_how_far_reading_has_come_goes_from_nothing_to_all_of_the_bytes_on_disk(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_bytes(TEXT)
    with open_source(path) as source:
        assert source.done == 0.0
        source.stream.read(len(TEXT) // 2)
        assert 0.4 < source.done < 0.6
        source.stream.read()
        assert source.done == 1.0


def test_a_file_that_grows_while_it_is_read_is_never_more_than_done(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_bytes(TEXT)
    with open_source(path) as source:
        with path.open("ab") as longer:
            longer.write(TEXT)
        source.stream.read()
        assert source.done == 1.0


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("missing.csv", "cannot be read: No such file or directory; check the path"),
        ("folder", "cannot be read: Is a directory; check the path"),
        ("empty.csv", "is empty; give a file with at least one line of content"),
        ("/dev/null", "is no regular file, and files are read more than once; write its content to one first"),
    ],
)
def test_what_is_no_file_with_content_is_refused(tmp_path: Path, name: str, said: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "empty.csv").touch()
    with pytest.raises(FileUnreadableError) as refusal:
        read(tmp_path / name)
    assert str(refusal.value) == f"{tmp_path / name} {said}"


@pytest.mark.parametrize(
    "content",
    [
        gzip.compress(TEXT)[:-9],
        gzip.compress(TEXT)[:5],
        gzip.compress(TEXT)[:-8] + b"\x00" * 8,
        gzip.compress(TEXT)[:10] + b"\xff" * 20,
        gzip.compress(TEXT) + b"trailing",
    ],
    ids=["cut off", "cut off in its header", "wrong checksum", "damaged inside", "followed by something else"],
)
def test_a_broken_gzip_stream_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "log.csv.gz"
    path.write_bytes(content)
    with pytest.raises(FileUnreadableError) as refusal:
        read(path)
    assert str(refusal.value).startswith(f"{path}: its gzip stream is broken (")
    assert str(refusal.value).endswith("); transfer the file again")


def test_a_fault_of_whoever_reads_is_not_taken_for_one_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_bytes(TEXT)
    with pytest.raises(KeyError), open_source(path):
        raise KeyError("m1")


def test_rejects_keep_their_order_and_show_the_start_of_long_values() -> None:
    long = "y" * (SHOWN_CHARACTERS - 9) + ",li@example.org,z"
    rejects = rejects_frame(
        iter([(9, "title", "x" * (SHOWN_CHARACTERS + 1), "too long"), (2, "", "y", "no record"), (1, "", long, "?")])
    )
    assert list(rejects.columns) == REJECT_COLUMNS
    assert rejects.to_numpy().tolist() == [
        [9, "title", "x" * SHOWN_CHARACTERS, "too long"],
        [2, "", "y", "no record"],
        [1, "", "y" * (SHOWN_CHARACTERS - 9) + ",", "?"],
    ]
    assert list(rejects_frame(()).columns) == REJECT_COLUMNS


def test_lines_of_json_with_columns_of_their_own_make_no_table_of_all_columns_by_all_lines(tmp_path: Path) -> None:
    """Each line is some 30 bytes, and all lines of a chunk get the columns of each: 0.2 MB took 0.7 GB."""
    path = tmp_path / "members.jsonl"
    n_lines = MAX_CHUNK_CELLS // MAX_KEYS + 200
    lines = [f'{{"member_id": "m{line}", "c{line % (MAX_KEYS - 1)}": 1}}' for line in range(n_lines)]
    path.write_text("\n".join([*lines, '{"member_id": "x", "other": 1}', '{"member_id": "y"}']), encoding="utf-8")
    first, second = read_lines(path, "jsonl")
    assert first.frame.shape == (MAX_CHUNK_CELLS // MAX_KEYS, MAX_KEYS)
    assert second.frame["member_id"].iloc[-1] == "y"
    assert second.rejects["reason"].tolist() == [
        f"names columns beyond the first {MAX_KEYS:,} of this file; leave out what is no column"
    ]
