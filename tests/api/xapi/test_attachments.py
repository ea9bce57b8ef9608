"""Statements of xAPI with their attachments: sent and given back in several parts (Communication, 1.5.2)."""

import hashlib
import random
from collections.abc import Sequence
from typing import Any
from uuid import uuid4

import orjson
import pytest
from starlette.testclient import TestClient

from api.protocol.multipart import Part, read_parts
from features.xapi.attachments import SIGNATURE
from infra.lrs import attachments
from tests.conftest import ON_SQLITE
from tests.together import together

STATEMENTS = "/xAPI/statements"
TEXT = b"a note of two lines\r\n--and dashes"
BYTES = bytes(range(256))


def sha2(content: bytes) -> str:
    """Return the hash by which a content is found."""
    return hashlib.sha256(content).hexdigest()


def described(content: bytes, **changes: Any) -> dict[str, Any]:
    """Return what a statement tells of an attachment."""
    return {
        "usageType": "https://lms.example/usages/note",
        "display": {"en": "Note", "zh": "笔记"},
        "contentType": "text/plain",
        "length": len(content),
        "sha2": sha2(content),
    } | changes


def statement(*contents: bytes, **changes: Any) -> dict[str, Any]:
    """Return a valid statement with attachments."""
    return {
        "id": str(uuid4()),
        "actor": {"mbox": "mailto:li@example.org"},
        "verb": {"id": "http://adlnet.gov/expapi/verbs/experienced"},
        "object": {"id": "https://lms.example/items/7"},
        "attachments": [described(content) for content in contents],
    } | changes


def part(content: bytes, **changes: str | None) -> bytes:
    """Return a part that holds an attachment, with some of its headers changed or left out."""
    headers = {
        "Content-Type": "text/plain",
        "Content-Transfer-Encoding": "binary",
        "X-Experience-API-Hash": sha2(content),
    } | {name.replace("_", "-"): value for name, value in changes.items()}
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items() if value is not None)
    return head.encode() + b"\r\n" + content


def first(statements: Any, kind: str = "application/json") -> bytes:
    """Return the part that holds the statements."""
    return f"Content-Type: {kind}\r\n\r\n".encode() + orjson.dumps(statements)


def send(lrs: TestClient, parts: Sequence[bytes], kind: str = "multipart/mixed; boundary=edge") -> Any:
    """Post some parts."""
    body = b"".join(b"--edge\r\n" + raw_part + b"\r\n" for raw_part in parts) + b"--edge--"
    return lrs.post(STATEMENTS, content=body, headers={"Content-Type": kind})


def queried_parts(lrs: TestClient, **query: str) -> list[Part]:
    """Return the parts of what a query finds."""
    answer = lrs.get(STATEMENTS, params=query | {"attachments": "true"})
    assert answer.status_code == 200, answer.text
    return read_parts(answer.content, answer.headers["content-type"])


def refused(answer: Any) -> str:
    """Return why a body was refused."""
    assert (answer.status_code, answer.headers["content-type"]) == (400, "application/problem+json"), answer.text
    return str(answer.json()["detail"])


def test_attachments_come_back_with_those_who_ask_for_them(lrs: TestClient) -> None:
    sent = [statement(TEXT, BYTES), statement(TEXT)]
    assert send(lrs, [first(sent), part(TEXT), part(BYTES)]).json() == [record["id"] for record in sent]
    alone, text, raw = queried_parts(lrs, statementId=sent[0]["id"])
    assert orjson.loads(alone.content)["attachments"] == sent[0]["attachments"]
    assert (text.content, raw.content) == (TEXT, BYTES)
    assert dict(text.headers) == {
        "content-type": "text/plain",
        "content-transfer-encoding": "binary",
        "x-experience-api-hash": sha2(TEXT),
    }
    page, *contents = queried_parts(lrs, format="canonical")
    assert [record["attachments"][0]["display"] for record in orjson.loads(page.content)["statements"]] == [
        {"en": "Note"}
    ] * 2
    assert [attachment.content for attachment in contents] == [TEXT, BYTES], "each once"
    for query in ({}, {"attachments": "false"}):
        answer = lrs.get(STATEMENTS, params={"statementId": sent[0]["id"], **query})
        assert (answer.headers["content-type"], answer.json()["id"]) == ("application/json", sent[0]["id"])


def test_a_put_statement_may_have_attachments_and_so_may_a_statement_within_it(lrs: TestClient) -> None:
    inner = statement(TEXT, objectType="SubStatement")
    del inner["id"]
    sent = statement(object=inner, attachments=[described(BYTES, fileUrl="https://lms.example/raw")])
    body = b"--edge\r\n" + first(sent) + b"\r\n--edge\r\n" + part(TEXT) + b"\r\n--edge--\r\n"
    kind = {"Content-Type": 'multipart/mixed; boundary="edge"'}
    for _ in range(2):
        answer = lrs.put(STATEMENTS, params={"statementId": sent["id"]}, content=body, headers=kind)
        assert answer.status_code == 204, answer.text
    assert [attachment.content for attachment in queried_parts(lrs, statementId=sent["id"])[1:]] == [TEXT]


@ON_SQLITE
def test_parts_without_attachments_are_taken_too(lrs: TestClient) -> None:
    sent = statement(attachments=[described(TEXT, fileUrl="https://lms.example/note")])
    assert send(lrs, [first([sent])]).json() == [sent["id"]]
    assert len(queried_parts(lrs)) == 1


@together(
    ("parts", "why"),
    [
        ([], "first part"),
        ([first(statement(TEXT), "text/plain"), part(TEXT)], "first part"),
        ([first(statement(TEXT))], "no part of the request has this sha2"),
        ([first(statement(TEXT)), first(statement())], "X-Experience-API-Hash"),
        ([first(statement(TEXT)), part(TEXT, X_Experience_API_Hash=None)], "X-Experience-API-Hash"),
        ([first(statement(TEXT)), part(TEXT, X_Experience_API_Hash="f" * 64)], "no part of the request"),
        ([first(statement(TEXT)), part(TEXT), part(BYTES)], "of no attachment"),
        ([first(statement(TEXT)), part(TEXT, Content_Transfer_Encoding="base64")], "binary"),
        ([b"\r\n{", part(TEXT)], "first part"),
        ([b"Content-Type: application/json\r\n\r\n{", part(TEXT)], "not JSON"),
        ([first([]), *[part(TEXT)] * 1_000], "more than 1000 parts"),
    ],
)
@ON_SQLITE
def test_parts_that_do_not_belong_together_are_refused(lrs: TestClient, parts: list[bytes], why: str) -> None:
    assert why in refused(send(lrs, parts))
    assert len(queried_parts(lrs)) == 1, "nothing was taken"


@pytest.mark.parametrize("kind", ["multipart/mixed", "multipart/mixed;", "multipart/mixed; boundary=other"])
@ON_SQLITE
def test_a_body_keeps_to_the_boundary_that_its_header_tells(lrs: TestClient, kind: str) -> None:
    assert refused(send(lrs, [first(statement(TEXT)), part(TEXT)], kind))


@ON_SQLITE
def test_parts_of_which_a_byte_is_another_are_taken_or_refused_and_nothing_else(lrs: TestClient) -> None:
    sent = statement(attachments=[described(TEXT, usageType=SIGNATURE, contentType="application/octet-stream")])
    whole = b"--edge\r\n" + first(sent) + b"\r\n--edge\r\n" + part(TEXT) + b"\r\n--edge--\r\n"
    rng = random.Random(20260301)  # noqa: S311 - the same bytes every time
    for _ in range(300):
        at = rng.randrange(len(whole))
        body = whole[:at] + rng.choice((b"", b"\x00", b"\xff", b"\r\n", b'"', b"-")) + whole[at + 1 :]
        answer = lrs.post(STATEMENTS, content=body, headers={"Content-Type": "multipart/mixed; boundary=edge"})
        assert answer.status_code in {200, 204, 400, 409}, body


@ON_SQLITE
def test_a_transfer_encoding_that_is_not_told_is_binary(lrs: TestClient) -> None:
    sent = statement(BYTES)
    assert send(lrs, [first(sent), part(BYTES, Content_Transfer_Encoding=None)]).status_code == 200
    assert queried_parts(lrs)[1].content == BYTES


@ON_SQLITE
def test_a_media_type_cannot_bring_headers_of_its_own(lrs: TestClient) -> None:
    sent = statement(attachments=[described(TEXT, contentType='text/plain; a="b\r\nX-Other: c"')])
    assert send(lrs, [first(sent), part(TEXT)]).status_code == 200
    assert "x-other" not in queried_parts(lrs)[1].headers


@ON_SQLITE
def test_a_page_ends_where_its_attachments_become_too_many(lrs: TestClient) -> None:
    half = attachments.MAX_BYTES // 2 - 1_000_000
    contents = [bytes([number]) * half for number in range(3)]
    ids = [send(lrs, [first(statement(content)), part(content)]).json()[0] for content in contents]
    page, *newer = queried_parts(lrs)
    body = orjson.loads(page.content)
    assert [record["id"] for record in body["statements"]] == ids[:0:-1]
    assert len(newer) == 2
    answer = lrs.get(body["more"])
    page, *older = read_parts(answer.content, answer.headers["content-type"])
    body = orjson.loads(page.content)
    assert ([record["id"] for record in body["statements"]], body["more"]) == (ids[:1], "")
    assert [attachment.content for attachment in older] == contents[:1]
