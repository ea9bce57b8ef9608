"""Parquet files as chunks of text: lists marked, times in ISO 8601, durations in seconds, whole numbers exact."""

import base64
import re
from collections.abc import Iterator
from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from content_catalog.errors import FileUnreadableError
from content_catalog.io.files import (
    MAX_CHUNK_BYTES,
    NOT_UTF8,
    Chunk,
    column_names,
    open_source,
    rejects_frame,
    with_header,
)
from content_catalog.io.values import as_text, float_text, list_of, without_marks

TEXT_TYPE: Final = re.compile("(large_|fixed_size_)?(string|binary)")
LIST_TYPE: Final = re.compile("(large_|fixed_size_)?list(_view)?<")
_PER_SECOND: Final = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}
_LAST_SECOND: Final = 253_402_300_799
"""The end of the year 9999, after which ISO 8601 has no four digits."""
_ARROW_DECIMAL: Final = 1e-4
"""Smaller numbers are written otherwise by Arrow than by Python."""

Faults = list[tuple[int, str, str, str]]


def read_parquet(path: Path, chunk_rows: int) -> Iterator[Chunk]:
    """Yield the rows of a Parquet file.

    Raises
    ------
    FileUnreadableError
        The file is broken, or names a column twice.
    """
    with open_source(path) as source:
        try:
            # INT96 in nanoseconds would wrap around beyond 2262.
            file = pq.ParquetFile(source.stream, coerce_int96_timestamp_unit="us")
            repeated = _texts_with_dictionary(file)
            if repeated:
                file = pq.ParquetFile(source.stream, coerce_int96_timestamp_unit="us", read_dictionary=repeated)
            names = column_names(path, file.schema_arrow.names)
            yield from with_header(_chunks(file, names, chunk_rows), names)
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            reason = " ".join(str(error).split())
            raise FileUnreadableError(f"{path} is not a readable Parquet file: {reason}; write it again") from error


def _chunks(file: pq.ParquetFile, names: list[str], chunk_rows: int) -> Iterator[Chunk]:
    durations = _repeated_durations(file.metadata)
    total, read = max(file.metadata.num_rows, 1), 0
    batches = file.iter_batches(batch_size=_batch_rows(file.metadata, chunk_rows))
    for batch in chain.from_iterable(map(_small_batches, batches)):
        frame, faults = _text_rows(_with_durations(batch, durations).rename_columns(names), read)
        read += batch.num_rows
        yield Chunk(frame, rejects_frame(faults), batch.num_rows, min(read / total, 1.0))


def _repeated_durations(metadata: pq.FileMetaData) -> dict[str, pa.DataType]:
    """Return the columns of durations that were written by their distinct values: Parquet gives bare counts of them."""
    encoded = (metadata.metadata or {}).get(b"ARROW:schema")
    fields = pa.ipc.read_schema(pa.py_buffer(base64.b64decode(encoded))) if encoded else ()
    kinds = {field.name: field.type for field in fields}
    return {
        name: kind.value_type
        for name, kind in kinds.items()
        if pa.types.is_dictionary(kind) and pa.types.is_duration(kind.value_type)
    }


def _with_durations(batch: pa.RecordBatch, durations: dict[str, pa.DataType]) -> pa.RecordBatch:
    for name, kind in durations.items():
        batch = batch.set_column(batch.schema.get_field_index(name), name, batch[name].cast(kind))
    return batch


def _batch_rows(metadata: pq.FileMetaData, chunk_rows: int) -> int:
    """Return how many rows one chunk may have."""
    groups = (metadata.row_group(number) for number in range(metadata.num_row_groups))
    row_bytes = max((group.total_byte_size // max(group.num_rows, 1) for group in groups), default=0)
    return max(min(chunk_rows, MAX_CHUNK_BYTES // max(row_bytes, 1)), 1)


def _texts_with_dictionary(file: pq.ParquetFile) -> list[str]:
    """Return the columns of texts that are stored by their distinct values: each row may be a long one."""
    groups = [file.metadata.row_group(number) for number in range(file.metadata.num_row_groups)]
    columns = [file.schema.column(number) for number in range(file.metadata.num_columns)]
    return [
        column.path
        for number, column in enumerate(columns)
        if column.physical_type == "BYTE_ARRAY"
        and column.logical_type.type in {"STRING", "NONE"}
        and column.max_repetition_level == 0
        and any(group.column(number).has_dictionary_page for group in groups)
    ]


def _small_batches(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """Yield a batch in parts that are no larger than a chunk once repeated texts are written out."""
    size = batch.nbytes
    for values in batch.columns:
        if pa.types.is_dictionary(values.type) and TEXT_TYPE.match(str(values.type.value_type)):
            lengths = pc.binary_length(values.dictionary)
            size += pc.sum(lengths.take(values.indices)).as_py() or 0
    n_rows = max(1, batch.num_rows * MAX_CHUNK_BYTES // max(size, 1))
    for start in range(0, batch.num_rows, n_rows):
        yield batch.slice(start, n_rows)


def _text_rows(batch: pa.RecordBatch, read: int) -> tuple[pd.DataFrame, Faults]:
    """Return a batch's rows as text, and the faults of rows with bytes that are not UTF-8."""
    columns: dict[str, pa.Array] = {}
    faults: Faults = []
    for name, values in zip(batch.schema.names, batch.columns, strict=True):
        columns[name], broken = _arrow_text(values)
        faults += [(read + 1 + position, name, without_marks(text), NOT_UTF8) for position, text in broken.items()]
    frame = pa.table(columns).to_pandas()
    frame.index = pd.RangeIndex(read + 1, read + 1 + len(frame), name="line")
    return frame.drop(index=[*{fault[0] for fault in faults}]), sorted(faults)


def _arrow_text(values: pa.Array) -> tuple[pa.Array, dict[int, str]]:
    """Return a column as text, and by position the bytes that are not UTF-8."""
    kind = values.type
    if pa.types.is_dictionary(kind):
        return _arrow_text(values.dictionary_decode())
    if TEXT_TYPE.match(str(kind)):
        return _decoded(values.cast(pa.binary()))
    if LIST_TYPE.match(str(kind)) and not pa.types.is_nested(kind.value_type):
        return _lists(values)
    if pa.types.is_nested(kind) or isinstance(values, pa.ExtensionArray):
        return pa.array([as_text(_python_value(value)) for value in values], pa.string()), {}
    return _scalar_text(values), {}


def _scalar_text(values: pa.Array) -> pa.Array:
    kind = values.type
    if pa.types.is_timestamp(kind):
        return _timestamps(values)
    if pa.types.is_duration(kind):
        return _seconds(values, kind.unit)
    if pa.types.is_time(kind):
        return _seconds(values.cast(pa.time64("ns"), safe=False), "ns")
    if pa.types.is_decimal(kind):
        return pa.array([as_text(value) for value in values.to_pylist()], pa.string())
    if pa.types.is_floating(kind):
        return _floats(values.to_numpy(zero_copy_only=False))
    return _cast(values)


def _cast(values: pa.Array) -> pa.Array:
    try:
        return pc.fill_null(values.cast(pa.string()), "")
    except pa.ArrowNotImplementedError:
        return pa.array([as_text(value) for value in values.to_pylist()], pa.string())


def _seconds(values: pa.Array, unit: str) -> pa.Array:
    counts = values.cast(pa.int64()).to_pandas().astype("float64")
    return _floats((counts / _PER_SECOND[unit]).to_numpy())


def _floats(values: np.ndarray) -> pa.Array:
    """Return floats as :func:`float_text` writes them."""
    exact = 2 ** (np.finfo(values.dtype).nmant + 1)
    wide = values.astype(np.float64)
    size = np.abs(wide)
    whole = (size < exact) & (wide == np.trunc(wide))
    texts = pa.array(values).cast(pa.string()).to_numpy(zero_copy_only=False)
    texts[whole] = wide[whole].astype(np.int64).astype(str)
    odd = ~whole & ~((size >= _ARROW_DECIMAL) & (size < exact))
    texts[odd] = [float_text(float(value), exact=exact) for value in wide[odd]]
    return pa.array(texts, pa.string())


def _timestamps(values: pa.Array) -> pa.Array:
    """Return times in ISO 8601 to the microsecond, with the offset of their zone, by which days are counted.

    A time beyond the year 9999 is a text that every check refuses.
    """
    zone, unit = values.type.tz, values.type.unit
    counts = values.cast(pa.int64())
    limit = min(_LAST_SECOND * _PER_SECOND[unit], 2**63 - 1)  # nanoseconds end in 2262
    beyond = pc.fill_null(pc.or_(pc.greater(counts, limit), pc.less(counts, -limit)), fill_value=False)
    near = pc.if_else(beyond, pa.scalar(None, values.type), values)
    instants = near.cast(pa.timestamp("us", zone and "UTC"), safe=unit != "ns")
    form = "%Y-%m-%dT%H:%M:%S"
    texts = pc.strftime(instants, format=form + ("Z" if zone else ""))
    if zone not in {None, "UTC"}:
        with suppress(pa.ArrowInvalid):  # no zone of the database
            texts = pc.strftime(instants.cast(pa.timestamp("us", zone)), format=f"{form}%z")
    late = pc.binary_join_element_wise(counts.cast(pa.string()), f"{unit} since 1970", " ")
    return pc.if_else(beyond, late, pc.fill_null(texts, ""))


def _lists(values: pa.Array) -> tuple[pa.Array, dict[int, str]]:
    """Return lists in their marked form, each part as a column of its type has it."""
    parts, broken = _arrow_text(values.flatten())
    texts = parts.to_pylist()
    lengths = pc.list_value_length(values)
    ends = np.cumsum(pc.fill_null(lengths, 0).to_numpy())
    rows = zip(lengths.to_pylist(), ends.tolist(), strict=True)
    joined = [list_of([text for text in texts[end - size : end] if text]) if size else "" for size, end in rows]
    return pa.array(joined, pa.string()), {
        int(np.searchsorted(ends, place, "right")): text for place, text in broken.items()
    }


def _python_value(scalar: pa.Scalar) -> object:
    """Return a value; of a structure with a time that Python has not, or bytes that are not UTF-8, its type."""
    try:
        return scalar.as_py()
    except (OverflowError, ValueError):
        return {"type": str(scalar.type)}


def _is_utf8(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True


def _decoded(values: pa.Array) -> tuple[pa.Array, dict[int, str]]:
    """Return bytes as text, and by position those that are not UTF-8, which neither Parquet nor Arrow checks."""
    try:
        return pc.fill_null(values.cast(pa.string()), ""), {}
    except pa.ArrowInvalid:
        raw = pc.fill_null(values, b"").to_pylist()
        broken = {position: as_text(value) for position, value in enumerate(raw) if not _is_utf8(value)}
        return pa.array([as_text(value) for value in raw], pa.string()), broken
