"""Bodies of requests as JSON, read strictly: what different readers would take differently is refused.

RFC 8259 leaves open what a key that comes twice means, and RFC 7493 (I-JSON) forbids it, as it does half surrogate
pairs; NaN and the infinities are no JSON at all.
"""

import json
import re
from itertools import chain
from typing import Annotated, Any, Final

import orjson
from fastapi import Depends, Request

from api.errors import MalformedBodyError

DEEPEST: Final = 100
"""Levels of nesting that a body may have."""


async def raw_body(request: Request) -> bytes:
    """Return the bytes of a request's body."""
    return await request.body()


def json_body(body: Annotated[bytes, Depends(raw_body)]) -> Any:
    """Return the JSON value that a body holds.

    Raises
    ------
    MalformedBodyError
    """
    return parsed(body)


JsonBody = Annotated[Any, Depends(json_body)]


async def strict_json(request: Request) -> None:
    """Refuse a body of JSON that readers would take differently; for routes whose body FastAPI reads into a model.

    Raises
    ------
    MalformedBodyError
    """
    if "json" in request.headers.get("content-type", "").partition(";")[0].partition("/")[2].split("+"):
        parsed(await request.body())


def parsed(body: bytes) -> Any:
    """Return the JSON value that some bytes hold.

    Raises
    ------
    MalformedBodyError
        Says what is wrong and where.
    """
    if not body.strip():
        raise MalformedBodyError("the body is empty; send JSON")
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise MalformedBodyError(f"the body is not JSON: {error}; send JSON in UTF-8") from error
    # A key that came twice is there once. Texts may hold what looks like a key, so more than there are prove nothing.
    keys = _count_keys(value)
    if keys < sum(map(body.count, _NEAR_KEYS)) and keys < len(_KEY.findall(body)):
        json.loads(body, object_pairs_hook=_once, parse_int=str, parse_float=str)
    return value


def _count_keys(value: Any) -> int:
    """Return how many keys a value has in all its objects.

    Raises
    ------
    MalformedBodyError
        It is nested too deep.
    """
    count, level = 0, [value]
    for _ in range(DEEPEST):
        objects = [one for one in level if type(one) is dict]
        count += sum(map(len, objects))
        parts = chain(chain.from_iterable(map(dict.values, objects)), *(one for one in level if type(one) is list))
        level = [part for part in parts if type(part) is dict or type(part) is list]
        if not level:
            return count
    raise MalformedBodyError(f"the body is nested deeper than {DEEPEST} levels; send it flatter")


_KEY: Final = re.compile(rb'"\s*:')
_NEAR_KEYS: Final = tuple(b'"' + after for after in (b":", b" ", b"\t", b"\n", b"\r"))
"""At least one in each key, and quicker to count."""


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise MalformedBodyError(f"the key {twice[:100]!r} comes twice in one object; send it once")
    return found
