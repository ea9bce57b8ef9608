"""Reader of files of xAPI statements, 1.0 and 2.0: JSON Lines, or one JSON statement or array; plain or gzipped."""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any, Final, cast

import orjson
import pandas as pd

from content_catalog.errors import FileUnreadableError
from content_catalog.io.files import Chunk, Source, open_source, rejects_frame
from features.schema import EVENTS
from features.xapi.study_events import study_event
from features.xapi.validation.json_validation import Fault, shown
from features.xapi.validation.statements import first_fault

MAX_TEXT_BYTES: Final = 32 * 2**20
"""Longest text that is parsed at once, a line or a whole document; parsing takes about ten times its size."""

_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"

Line = tuple[int, bytes]
"""Number of a line, from 1, and its bytes."""

Parsed = tuple[int, object]
"""Line of a statement, or its number in an array; and the statement, or the fault of its text."""


def read_statements(path: Path, *, chunk_rows: int = 50_000, home_page: str | None = None) -> Iterator[Chunk]:
    """Yield the study events of a file of statements, and the statements refused, in chunks of bounded size.

    Valid statements that are no study event (``features.xapi.study_events``) are in ``Chunk.rows`` only. Blank
    lines are skipped and not counted. A repeated statement is read twice: duplicates are found where events are stored.

    Parameters
    ----------
    path : Path
        JSON Lines, one statement a line, read as a stream; or one JSON document, a statement or an array of them,
        possibly over many lines, of at most 32 MiB. Gzip is known by its first bytes, not by the name.
    chunk_rows : int
        Statements per chunk, refused ones included; the last chunk may have fewer.
    home_page : str, optional
        ``homePage`` of the platform whose account names are the ids of members, see ``study_event``.

    Yields
    ------
    Chunk
        Its frame has the columns of ``features.schema.EVENTS`` as text, None where there is no value, for the
        check of the canonical columns. Its index is the line, or the number of the element in an array.

    Raises
    ------
    FileUnreadableError
        The file is missing, empty, not gzip although its name says so, or a document too large; or, perhaps after
        some chunks, its gzip stream is broken.
    """
    with open_source(path) as source:
        if path.suffix == ".gz" and source.stream is source.raw:
            raise FileUnreadableError(f"{path} is named .gz but is not gzip; compress it or name it otherwise")
        part = _ChunkBuilder(home_page)
        yielded = False
        for place, statement in _statements(source, path):
            part.add(place, statement)
            if part.rows == chunk_rows:
                yield part.chunk(source.done)
                yielded = True
                part = _ChunkBuilder(home_page)
        if part.rows or not yielded:
            yield part.chunk(1.0)


@dataclass(slots=True)
class _ChunkBuilder:
    """Collects the events and rejects of a chunk."""

    home_page: str | None
    rows: int = 0
    events: list[dict[str, object]] = field(default_factory=list)
    places: list[int] = field(default_factory=list)
    rejects: list[tuple[int, str, str, str]] = field(default_factory=list)

    def add(self, place: int, statement: object) -> None:
        """Add a statement, or the fault of a text that is none."""
        self.rows += 1
        if isinstance(statement, Fault):
            fault: Fault | None = statement
        else:
            fault = first_fault(statement, version_2=True) or self._add_event(place, cast("dict[str, Any]", statement))
        if fault is not None:
            self.rejects.append((place, fault.field, fault.value, fault.reason))

    def _add_event(self, place: int, statement: dict[str, Any]) -> Fault | None:
        """Add the study event of a valid statement, if it is one; return the fault of one without a time."""
        event = study_event(statement, home_page=self.home_page)
        if event is not None and event["occurred_at"] is None:
            return Fault("timestamp", "", "no timestamp")
        if event is not None:
            self.events.append(event)
            self.places.append(place)
        return None

    def chunk(self, done: float) -> Chunk:
        """Return the chunk."""
        return Chunk(event_rows(self.events, self.places), rejects_frame(self.rejects), self.rows, done)


def event_rows(events: list[dict[str, object]], places: list[int]) -> pd.DataFrame:
    """Return study events as rows of text, indexed by their positions, for the check of the canonical columns."""
    rows = [[_as_text(event[name]) for name in EVENTS.names] for event in events]
    # Objects rather than inferred types: a column without values stays one of texts.
    return pd.DataFrame(rows, index=pd.Index(places, dtype="int64", name="line"), columns=EVENTS.names, dtype=object)


def _as_text(value: object) -> str | None:
    return value if value is None or isinstance(value, str) else repr(value)


def _statements(source: Source, path: Path) -> Iterator[Parsed]:
    """Yield the statements of a file in either format."""
    try:
        lines = _lines(source)
        head = [line for line in (next(lines, None), next(lines, None)) if line is not None]
        if not head:
            raise FileUnreadableError(f"{path} is empty; give a file with at least one statement")
        if _is_document(*(text for _, text in head)):
            yield from _of_document(head, source, path)
        else:
            yield from (_parsed(*line) for line in chain(head, lines))
    except zlib.error as error:
        raise FileUnreadableError(f"{path}: its gzip stream is broken ({error}); transfer the file again") from error


def _lines(source: Source) -> Iterator[Line]:
    """Yield the lines that are not blank; of a line too long to be parsed, only the beginning."""
    number = 0
    while line := source.stream.readline(MAX_TEXT_BYTES + 1):
        number += 1
        rest = line
        while len(rest) > MAX_TEXT_BYTES and not rest.endswith(b"\n"):
            rest = source.stream.readline(MAX_TEXT_BYTES + 1)
        text = line.removeprefix(_BYTE_ORDER_MARK) if number == 1 else line
        if text.strip():
            yield number, text


def _is_document(first: bytes, second: bytes | None = None) -> bool:
    """Tell whether a file is one JSON document, by its first two lines that are not blank.

    JSON Lines begin with a statement that ends on its line. Where the first line does not, it is either broken, or the
    beginning of a document over many lines: then the next one begins with a property. An array is a document unless it
    is complete and yet followed by something.
    """
    opening = first.lstrip()[:1]
    if second is None:
        return opening in (b"[", b"{")
    goes_on = opening == b"[" or (opening == b"{" and second.lstrip()[:1] in (b'"', b"}"))
    return goes_on and isinstance(_parsed(1, first)[1], Fault)


def _of_document(head: list[Line], source: Source, path: Path) -> Iterator[Parsed]:
    """Yield the statements of a document: the only one with its line, those of an array with their numbers."""
    start, text = head[0]
    for number, line in head[1:]:
        text += b"\n" * (number - start - 1) + line
    text += source.stream.read(MAX_TEXT_BYTES)
    if len(text) > MAX_TEXT_BYTES:
        raise FileUnreadableError(
            f"{path} is one JSON document of more than {MAX_TEXT_BYTES // 2**20} MiB; "
            "give it as JSON Lines, one statement a line"
        )
    place, document = _parsed(start, text)
    if isinstance(document, dict) and isinstance(document.get("statements"), list) and "actor" not in document:
        document = document["statements"]  # a page that a record store answered
    if isinstance(document, list):
        yield from enumerate(document, start=1)
    else:
        yield place, document


def _parsed(start: int, text: bytes) -> Parsed:
    """Return the JSON value of a text that begins on line ``start``, or the fault for which there is none."""
    if len(text) > MAX_TEXT_BYTES:
        return start, Fault("", _beginning(text), f"longer than {MAX_TEXT_BYTES // 2**20} MiB")
    text = text.rstrip()  # an end that comes too early is then on the last line, not after it
    try:
        return start, orjson.loads(text)
    except orjson.JSONDecodeError as error:
        reason, before, column = error.msg, error.lineno - 1, error.colno
    try:
        text.decode()
        reason = f"not valid JSON: {reason}, at column {column}"
    except UnicodeDecodeError as error:
        before = text.count(b"\n", 0, error.start)
        column = error.start - text.rfind(b"\n", 0, error.start)
        reason = f"not valid UTF-8: byte {column} of the line is {text[error.start]:#04x}"
    return start + before, Fault("", _beginning(text.split(b"\n", before + 1)[before]), reason)


def _beginning(text: bytes) -> str:
    return shown(text.lstrip()[:800].decode("utf-8", "backslashreplace"))
