"""Bodies of several parts, ``multipart/mixed`` (RFC 2046, 5.1), read strictly and written."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final
from uuid import uuid4

from api.errors import MalformedBodyError

MIXED: Final = "multipart/mixed"
MAX_PARTS: Final = 1_000
_BOUNDARY: Final = re.compile(r";[ \t]*boundary=(?:\"([^\"]{1,70})\"|([^\s;\"]{1,70}))", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a body: its headers, their names in lower case, and its bytes."""

    headers: Mapping[str, str]
    content: bytes


def read_parts(body: bytes, content_type: str) -> list[Part]:
    r"""Return the parts of a body.

    Examples
    --------
    >>> read_parts(b"--x\r\nContent-Type: text/plain\r\n\r\nhello\r\n--x--\r\n", "multipart/mixed; boundary=x")
    [Part(headers={'content-type': 'text/plain'}, content=b'hello')]

    Raises
    ------
    MalformedBodyError
        There is no boundary, or the body does not keep to it.
    """
    boundary_match = _BOUNDARY.search(content_type)
    if boundary_match is None:
        raise MalformedBodyError(f"the content type {content_type[:100]!r} has no boundary; name it there")
    boundary = boundary_match[1] or boundary_match[2]
    # The line break before a delimiter is part of it; the one after it begins the part.
    delimiter = re.compile(
        rb"(?:\A|\r\n)--" + re.escape(boundary.encode("latin-1", "replace")) + rb"(--)?[ \t]*(?=\r\n|\Z)"
    )
    parts: list[Part] = []
    start = None
    for delimiter_match in delimiter.finditer(body):
        if start is not None:
            parts.append(_part(body[start : delimiter_match.start()]))
        if delimiter_match[1]:
            return parts
        if len(parts) >= MAX_PARTS:
            raise MalformedBodyError(f"the body has more than {MAX_PARTS} parts; send them in several requests")
        start = delimiter_match.end()
    raise MalformedBodyError(f"the body does not end with the line --{boundary[:100]}--; was it cut off?")


def _part(text: bytes) -> Part:
    head, _, content = text.partition(b"\r\n\r\n")
    headers = {}
    for line in head.decode("utf-8", "replace").split("\r\n"):
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    headers.pop("", None)
    return Part(headers, content)


def write_parts(parts: Iterable[Part]) -> tuple[bytes, str]:
    """Return a body of some parts, and its content type."""
    boundary = uuid4().hex
    written = []
    for part in parts:
        head = "".join(f"{name}: {value}\r\n" for name, value in part.headers.items())
        written += [f"--{boundary}\r\n{head}\r\n".encode(), part.content, b"\r\n"]
    written.append(f"--{boundary}--\r\n".encode())
    return b"".join(written), f"{MIXED}; boundary={boundary}"
