"""Opened files, chunks and rejects: what every reader of files starts from and yields."""

import gzip
import io
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final, cast

import pandas as pd

from content_catalog.errors import FileUnreadableError
from content_catalog.schema import REJECT_COLUMNS

GZIP_MAGIC = b"\x1f\x8b"
SHOWN_CHARACTERS = 200
NOT_UTF8 = "not UTF-8; save the file as UTF-8"


@dataclass(frozen=True, slots=True)
class Chunk:
    """A bounded piece of a file.

    Attributes
    ----------
    frame : DataFrame
        Rows as read, one column per field, the index is the 1-based line number (row number in Parquet).
    rejects : DataFrame
        Lines that could not be read at all: ``line, field, value, reason``.
    rows : int
        Lines of the file this chunk stands for, rejects and lines without content of interest included.
    done : float
        Share of the file's bytes (rows in Parquet) read so far, 0..1.
    """

    frame: pd.DataFrame
    rejects: pd.DataFrame
    rows: int
    done: float


@dataclass(frozen=True, slots=True)
class Source:
    """An open file: its bytes after decompression, and how far reading has come."""

    stream: BinaryIO
    raw: BinaryIO
    size_bytes: int

    @property
    def done(self) -> float:
        """Share of the file's bytes on disk that have been read, 0..1."""
        return min(self.raw.tell() / self.size_bytes, 1.0)


@contextmanager
def open_source(path: Path) -> Iterator[Source]:
    """Open a file for reading, through gzip where its first bytes say so.

    Raises
    ------
    FileUnreadableError
        The file is missing, a folder, empty, or its gzip stream is broken.
    """
    try:
        with path.open("rb") as raw:
            size_bytes = path.stat().st_size
            if size_bytes == 0:
                raise FileUnreadableError(f"{path} is empty; give a file with at least one line of content")
            magic = raw.read(2)
            raw.seek(0)
            unpacked = io.BufferedReader(gzip.GzipFile(fileobj=raw)) if magic == GZIP_MAGIC else raw
            yield Source(cast("BinaryIO", unpacked), raw, size_bytes)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise FileUnreadableError(f"{path}: its gzip stream is broken ({error}); transfer the file again") from error
    except OSError as error:
        raise FileUnreadableError(f"{path} cannot be read: {error.strerror or error}; check the path") from error


def rejects_frame(rows: Iterable[tuple[int, str, str, str]]) -> pd.DataFrame:
    """Return rejects as a frame of ``line, field, value, reason``, values shortened."""
    shortened = [(line, field, value[:SHOWN_CHARACTERS], reason) for line, field, value, reason in rows]
    # Mostly there are none, and a copy of nothing takes a fifth of the time.
    return pd.DataFrame(shortened, columns=REJECT_COLUMNS) if shortened else _NO_REJECTS.copy()


_NO_REJECTS: Final = pd.DataFrame([], columns=REJECT_COLUMNS)
