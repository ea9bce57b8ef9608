"""Request bodies as strict JSON: repeated keys, lone surrogates, NaN and deep nesting are refused with 400."""

from typing import Any

import orjson
from fastapi import Request

from api.errors import MalformedBodyError, UnsupportedBodyError
from api.protocol.media_types import media_type
from content_catalog.errors import StrictJsonError
from content_catalog.io.json_reader import parse_json


async def raw_body(request: Request) -> bytes:
    """Return the bytes of a request's body."""
    return await request.body()


async def strict_json(request: Request) -> None:
    """Refuse a body that is not strict JSON; for routes whose body FastAPI reads into a model.

    Raises
    ------
    MalformedBodyError, UnsupportedBodyError
    """
    if getattr(request.scope["route"], "body_field", None) is not None:
        await json_type_only(request)
        parsed(await request.body())


async def json_type_only(request: Request) -> None:
    """Refuse a body whose Content-Type is not JSON.

    Raises
    ------
    UnsupportedBodyError
    """
    content_type = request.headers.get("content-type", "")
    kind, _, subtype = media_type(content_type).partition("/")
    # As FastAPI decides whether it reads a body as JSON.
    if kind != "application" or not (subtype == "json" or subtype.endswith("+json")):
        raise UnsupportedBodyError(f"Content-Type {content_type[:100]!r} is not JSON; send application/json")


def parsed(body: bytes) -> Any:
    """Return the JSON value of some bytes.

    Raises
    ------
    MalformedBodyError
        The message says what is wrong and where.
    """
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
