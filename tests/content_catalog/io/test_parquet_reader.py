"""Parquet files whose rows take much more room than the file, and times that their types hardly hold."""

import datetime as dt
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from content_catalog.io.files import MAX_CHUNK_BYTES
from content_catalog.io.readers import read_chunks


@pytest.mark.parametrize("kind", [pa.string(), pa.binary(), pa.dictionary(pa.int32(), pa.string())], ids=str)
def test_a_long_text_that_every_row_repeats_is_read_in_chunks_of_bounded_size(
    tmp_path: Path, kind: pa.DataType
) -> None:
    text, path = "x" * (MAX_CHUNK_BYTES // 8), tmp_path / "items.parquet"
    texts = pa.DictionaryArray.from_arrays(pa.array([0] * 20, pa.int32()), [text]).cast(kind)
    pq.write_table(pa.table({"item_id": [f"i{number}" for number in range(20)], "text": texts}), path)
    assert path.stat().st_size < MAX_CHUNK_BYTES // 8, "the file holds the text once"

    chunks = list(read_chunks(path))

    assert max(len(chunk.frame) for chunk in chunks) <= 8
    assert [line for chunk in chunks for line in chunk.frame.index] == list(range(1, 21))
    assert {value for chunk in chunks for value in chunk.frame["text"]} == {text}


def test_int96_times_beyond_2262_are_read_as_they_are(tmp_path: Path) -> None:
    microseconds = (dt.date(2599, 1, 1) - dt.date(1970, 1, 1)).days * 86_400_000_000
    far = pa.table({"a": pa.array([microseconds], pa.timestamp("us"))})
    pq.write_table(far, tmp_path / "log.parquet", use_deprecated_int96_timestamps=True)
    (chunk,) = read_chunks(tmp_path / "log.parquet")
    assert chunk.frame["a"].tolist() == ["2599-01-01T00:00:00.000000"]
