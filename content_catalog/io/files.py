"""Opened files, chunks and rejects: the common ground of all readers."""

import codecs
import gzip
import io
import re
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final, cast

import pandas as pd

from content_catalog.errors import FileUnreadableError, why_unreadable
from content_catalog.io.values import WHITE_SPACE
from content_catalog.schema import REJECT_COLUMNS

GZIP_MAGIC: Final = b"\x1f\x8b"
MAX_LINE_BYTES: Final = 16_000_000
"""Longest line that is read; the longest item, with every character escaped in JSON, is shorter."""
MAX_CHUNK_BYTES: Final = 16_000_000
"""Text of one chunk; frames and their checks take some ten times as much memory."""
SHOWN_CHARACTERS: Final = 200
_LARGER: Final = {"gbk": "gb18030", "gb2312": "gb18030"}
PIPE: Final = "no regular file, and files are read more than once; write its content to one first"
NOT_UTF8: Final = "not UTF-8; save the file as UTF-8, or name its --encoding"
_UNSUPPORTED: Final = {
    b"PK\x03\x04": "a ZIP archive or another kind of workbook; unpack it, or save it as .xlsx",
    b"BZh": "compressed with bzip2; unpack it, or compress it with gzip",
    b"\xfd7zXZ\x00": "compressed with xz; unpack it, or compress it with gzip",
    b"\x28\xb5\x2f\xfd": "compressed with zstd; unpack it, or compress it with gzip",
    b"7z\xbc\xaf\x27\x1c": "a 7z archive; unpack it first",
    b"\xd0\xcf\x11\xe0": "an old or protected Excel workbook; save it as .xlsx without a password, or as CSV",
}


@dataclass(frozen=True, slots=True)
class Chunk:
    """A bounded piece of a file.

    Attributes
    ----------
    frame : DataFrame
        Rows as read, one column per field, the index is the 1-based line number (row number in Parquet). An empty text
        is an empty value; a missing one (NaN) is a field that the line does not name at all.
    rejects : DataFrame
        Lines that could not be read at all: ``line, field, value, reason``.
    rows : int
        Lines of the file in this chunk, rejects included.
    done : float
        Share of the file's bytes (rows in Parquet) read so far, 0..1.
    has_header : bool
        Whether the file names its columns once for all lines; lines of JSON each name their own.
    """

    frame: pd.DataFrame
    rejects: pd.DataFrame
    rows: int
    done: float
    has_header: bool = True


@dataclass(frozen=True, slots=True)
class Source:
    """An open file: its bytes after decompression, and the position of the reader."""

    stream: BinaryIO
    raw: BinaryIO
    size_bytes: int

    @property
    def done(self) -> float:
        """Share of the file's bytes on disk that have been read, 0..1."""
        return min(self.raw.tell() / self.size_bytes, 1.0)

    def read_line(self) -> bytes:
        """Return the next line; of one that is longer than :data:`MAX_LINE_BYTES` its beginning, one byte too long."""
        line = self.stream.readline(MAX_LINE_BYTES + 1)
        if len(line) > MAX_LINE_BYTES and not line.endswith(b"\n"):
            while (rest := self.stream.readline(MAX_LINE_BYTES)) and not rest.endswith(b"\n"):
                pass
        return line

    def lines(self) -> Iterator[bytes]:
        """Yield the lines that are left."""
        while line := self.read_line():
            yield line


@contextmanager
def open_source(path: Path, *, encoding: str = "utf-8", decompress: bool = True) -> Iterator[Source]:
    """Open a file as UTF-8, decompressing gzip.

    Parameters
    ----------
    encoding : str
        Encoding of the file, as Python names it.
    decompress : bool
        False: gzip is not recognised, so that no more is read than the file has.

    Raises
    ------
    FileUnreadableError
        The file is missing, a folder, empty, of another format, or its gzip stream is broken.
    """
    codec = codec_of(encoding)
    try:
        with path.open("rb") as raw:
            size_bytes = path.stat().st_size
            if size_bytes == 0:
                fault = "empty; give a file with at least one line of content"
                raise FileUnreadableError(f"{path} is {fault if path.is_file() else PIPE}")
            magic = raw.read(8)
            raw.seek(0)
            for start, reason in _UNSUPPORTED.items():
                if magic.startswith(start):
                    raise FileUnreadableError(f"{path} is {reason}")
            unpacked = io.BufferedReader(gzip.GzipFile(fileobj=raw)) if decompress and magic[:2] == GZIP_MAGIC else raw
            stream = cast("BinaryIO", unpacked)
            # What begins with the mark of UTF-8 is UTF-8, whatever encoding is named.
            if codec != "utf-8" and unpacked.peek(3)[:3] != codecs.BOM_UTF8:
                stream = io.BufferedReader(_Recoded(stream, codec))
            yield Source(stream, raw, size_bytes)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise FileUnreadableError(f"{path}: its gzip stream is broken ({error}); transfer the file again") from error
    except UnicodeError as error:
        raise FileUnreadableError(f"{path} is not of the encoding {encoding}: {error}; name another one") from error
    except OSError as error:
        raise FileUnreadableError(f"{path} cannot be read: {why_unreadable(error)}; check the path") from error


def codec_of(encoding: str) -> str:
    """Return the name of an encoding of text; of the Chinese ones that of the largest, as browsers do."""
    try:
        "a".encode(encoding).decode(encoding, "surrogateescape")
        name = codecs.lookup(encoding).name
    except (LookupError, ValueError) as error:
        raise FileUnreadableError(f"no encoding {encoding!r}; use a name such as gbk, gb18030 or utf-16") from error
    return _LARGER.get(name, name)


def column_names(path: Path, cells: list[str]) -> list[str]:
    """Return the names of the columns of a header; one without a name is called by its place.

    Raises
    ------
    FileUnreadableError
        The header is empty or names a column twice.
    """
    names = [cell.strip(WHITE_SPACE) for cell in cells]
    twice = sorted(name for name, times in Counter(names).items() if name and times > 1)
    if not any(names) or twice:
        fault = f"names the column {twice[0]!r} twice" if twice else "is empty"
        raise FileUnreadableError(f"{path}: the header {fault}; the first line must name each column once")
    return [name or f"(column {place})" for place, name in enumerate(names, 1)]


def with_header(chunks: Iterator[Chunk], names: list[str]) -> Iterator[Chunk]:
    """Yield chunks, or one without rows where there are none, so that the columns of an empty file are checked."""
    first = next(chunks, None)
    yield first or Chunk(pd.DataFrame(columns=names, dtype="str"), rejects_frame(()), 0, 1.0)
    yield from chunks


class _Recoded(io.RawIOBase):
    """Bytes of another encoding as UTF-8; bytes that the encoding does not have stay, and are not UTF-8 either."""

    def __init__(self, stream: BinaryIO, encoding: str) -> None:
        self._text = io.TextIOWrapper(stream, encoding, errors="surrogateescape", newline="")
        self._left = b""

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer with UTF-8; return the number of bytes."""
        view = memoryview(buffer)
        if not self._left:
            self._left = self._text.read(len(view)).encode("utf-8", "surrogateescape")
        part, self._left = self._left[: len(view)], self._left[len(view) :]
        view[: len(part)] = part
        return len(part)


def rejects_frame(rows: Iterable[tuple[int, str, str, str]]) -> pd.DataFrame:
    """Return rejects as a frame of ``line, field, value, reason``, values shortened, but not within an id."""
    short = [(line, field, shortened(value), reason) for line, field, value, reason in rows]
    # Mostly there are none, and a copy of nothing takes a fifth of the time.
    return pd.DataFrame(short, columns=REJECT_COLUMNS) if short else _NO_REJECTS.copy()


def shortened(value: str) -> str:
    """Return the beginning of a text, cut before an id and not within it, so that an erasure can find the id."""
    last = _LAST_WORD.search(value[: SHOWN_CHARACTERS + 1])
    if len(value) > SHOWN_CHARACTERS and last and last.start() and _ID.match(value, last.start()):
        return value[: last.start()]
    return value[:SHOWN_CHARACTERS]


_WORD: Final = r"[^,;\t|\"'{}\[\]\s]"
_LAST_WORD: Final = re.compile(rf"{_WORD}+$")
_ID: Final = re.compile(rf"{_WORD}{{1,255}}(?!{_WORD})")
_NO_REJECTS: Final = pd.DataFrame([], columns=REJECT_COLUMNS)
