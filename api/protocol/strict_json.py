"""Request bodies as strict JSON: repeated keys, lone surrogates, NaN and deep nesting are refused with 400."""

from typing import Any

import orjson
from fastapi import Request
from starlette.concurrency import run_in_threadpool

from api.errors import BodyTooLargeError, MalformedBodyError, UnsupportedBodyError
from api.protocol.media_types import JSON, media_type
from content_catalog.errors import StrictJsonError
from content_catalog.io.json_reader import MAX_VALUES, parse_json


async def raw_body(request: Request) -> bytes:
    """Return the bytes of a request's body."""
    return await request.body()


async def strict_json(request: Request) -> None:
    """Refuse a body that is not strict JSON; for routes whose body FastAPI reads into a model.

    Raises
    ------
    BodyTooLargeError, MalformedBodyError, UnsupportedBodyError
    """
    if getattr(request.scope["route"], "body_field", None) is not None:
        await json_type_only(request)
        await run_in_threadpool(parsed, await request.body())


async def json_type_only(request: Request) -> None:
    """Refuse a body whose Content-Type is neither JSON nor the kind of JSON that the route announces.

    Raises
    ------
    UnsupportedBodyError
    """
    body_field = getattr(request.scope["route"], "body_field", None)
    kind = body_field.field_info.media_type if body_field else JSON
    content_type = request.headers.get("content-type", "")
    if media_type(content_type) not in {JSON, kind}:
        raise UnsupportedBodyError(f"Content-Type {content_type[:100]!r} is not supported; send {kind}")


def parsed(body: bytes) -> Any:
    """Return the JSON value of some bytes.

    Raises
    ------
    BodyTooLargeError
        It has more values than are parsed.
    MalformedBodyError
        The message says what is wrong and where.
    """
    if body.count(b",") >= MAX_VALUES:
        raise BodyTooLargeError(f"the body has more than {MAX_VALUES:,} values; send it in parts")
    if not body.strip():
        raise MalformedBodyError("the body is empty; send JSON")
    try:
        # Not the value of parse_json: its integers are unbounded, and orjson cannot write those.
        value = orjson.loads(body)
        parse_json(body.decode(), parse_int=str, parse_float=str)
    except orjson.JSONDecodeError as error:
        raise MalformedBodyError(f"the body is not JSON: {error}; send JSON in UTF-8") from error
    except StrictJsonError as error:
        raise MalformedBodyError(f"the body is refused: {error}") from error
    return value
