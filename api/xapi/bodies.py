"""Request and response bodies of xAPI: JSON, or multipart with attachments (Communication, 1.5)."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final

from fastapi import Depends, Header, Response

from api.errors import MalformedBodyError
from api.protocol.media_types import JSON, media_type
from api.protocol.multipart import MIXED, Part, read_parts, write_parts
from api.protocol.strict_json import parsed, raw_body
from features.xapi.attachments import attachments_of

HASH_HEADER: Final = "X-Experience-API-Hash"
SHA2: Final = re.compile(r"[0-9a-f]{56,128}")
"""SHA-224 to SHA-512, in hexadecimal."""


@dataclass(frozen=True, slots=True)
class StatementBody:
    """Content of a body: its statements, unchecked, and the contents of attachments by their SHA-2 in lower case."""

    statements: Any
    contents: Mapping[str, bytes]


def statement_body(
    body: Annotated[bytes, Depends(raw_body)], content_type: Annotated[str, Header(include_in_schema=False)] = ""
) -> StatementBody:
    """Return the content of a body.

    Raises
    ------
    MalformedBodyError
    """
    match media_type(content_type):
        case "application/json":
            return StatementBody(parsed(body), {})
        case "multipart/mixed":
            return _of_parts(read_parts(body, content_type))
    raise MalformedBodyError(
        f"the content type is {content_type[:100]!r}; send {JSON}, or {MIXED} where attachments come with statements"
    )


StatementBodyDep = Annotated[StatementBody, Depends(statement_body)]


def _of_parts(parts: Sequence[Part]) -> StatementBody:
    if not parts or media_type(parts[0].headers.get("content-type", "")) != JSON:
        raise MalformedBodyError(f"the first part is not of type {JSON}; send all statements in it")
    contents: dict[str, bytes] = {}
    for number, part in enumerate(parts[1:], start=2):
        encoding = part.headers.get("content-transfer-encoding", "binary")
        if encoding.lower() != "binary":
            raise MalformedBodyError(f"part {number} has the transfer encoding {encoding[:100]!r}; send it as binary")
        sha2 = part.headers.get(HASH_HEADER.lower(), "").lower()
        if not SHA2.fullmatch(sha2):
            raise MalformedBodyError(f"part {number} has no {HASH_HEADER} with the SHA-2 of its attachment; send it")
        contents.setdefault(sha2, part.content)
    return StatementBody(parsed(parts[0].content), contents)


def with_attachments(
    content: bytes, statements: Sequence[Mapping[str, Any]], contents: Mapping[str, bytes], headers: Mapping[str, str]
) -> Response:
    """Return a multipart response: the JSON, then each stored attachment once."""
    parts = [Part({"Content-Type": JSON}, content)]
    written = set()
    for statement in statements:
        for _, attachment in attachments_of(statement):
            sha2 = attachment["sha2"].lower()
            if sha2 in contents and sha2 not in written:
                written.add(sha2)
                # A quoted parameter of a media type may hold a line break, and so a header of its own.
                kind = "".join(letter for letter in attachment["contentType"] if letter.isprintable())
                part_headers = {
                    "Content-Type": kind,
                    "Content-Transfer-Encoding": "binary",
                    HASH_HEADER: attachment["sha2"],
                }
                parts.append(Part(part_headers, contents[sha2]))
    body, kind = write_parts(parts)
    return Response(body, headers=dict(headers), media_type=kind)
