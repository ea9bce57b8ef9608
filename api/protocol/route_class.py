"""Routes that run in a thread, and distinguish encoded slashes of ids from the slashes of their own paths.

FastAPI checks what a plain function returns in a thread too, before the transaction of its session ends. Were all
threads waiting for a lock that this transaction holds, it would never end. Of a coroutine it checks the answer at once.
"""

import re
from collections.abc import Awaitable, Callable
from functools import wraps
from inspect import iscoroutinefunction
from typing import Any, Final
from urllib.parse import unquote_to_bytes

from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool
from starlette.routing import BaseRoute, Match
from starlette.types import Scope

ENCODED_SLASH: Final = re.compile(rb"%2[Ff]")
MARK: Final = "\udc2f"
"""Stands for an encoded slash while a path is matched; no UTF-8 is decoded to it."""


class EncodedSlashes(BaseRoute):
    """Route to which an encoded slash is part of an id: `/v1/items/a%2Fsimilar` is an item."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Return whether the route takes a request, and its parameters."""
        raw_path = scope.get("raw_path") or b""
        if not ENCODED_SLASH.search(raw_path):
            return super().matches(scope)
        match, child_scope = super().matches({**scope, "path": marked_path(raw_path)})
        for name, value in child_scope.get("path_params", {}).items():
            child_scope["path_params"][name] = value.replace(MARK, "/")
        return match, child_scope


def marked_path(raw_path: bytes) -> str:
    """Return a path with a mark for each encoded slash.

    >>> marked_path(b"/v1/items/a%2Fb%20c").replace(MARK, "|")
    '/v1/items/a|b c'
    """
    return MARK.join(unquote_to_bytes(part).decode() for part in ENCODED_SLASH.split(raw_path))


class Route(EncodedSlashes, APIRoute):
    """A route of the service."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        super().__init__(path, endpoint if iscoroutinefunction(endpoint) else in_a_thread(endpoint), **options)


def in_a_thread(function: Callable[..., Any]) -> Callable[..., Awaitable[Any]]:
    """Return a coroutine that does in a thread what a function does."""

    @wraps(function)
    async def working(*arguments: Any, **named: Any) -> Any:
        return await run_in_threadpool(function, *arguments, **named)

    return working
