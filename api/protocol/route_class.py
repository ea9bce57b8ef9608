"""Routes whose work is done in a thread, and nothing else after it.

FastAPI checks what a plain function returns in a thread too, before the transaction of its session ends. Were all
threads waiting for a lock that this transaction holds, it would never end. Of a coroutine it checks the answer at once.
"""

from collections.abc import Awaitable, Callable
from functools import wraps
from inspect import iscoroutinefunction
from typing import Any

from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool


class Route(APIRoute):
    """A route of the service."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        super().__init__(path, endpoint if iscoroutinefunction(endpoint) else in_a_thread(endpoint), **options)


def in_a_thread(function: Callable[..., Any]) -> Callable[..., Awaitable[Any]]:
    """Return a coroutine that does in a thread what a function does."""

    @wraps(function)
    async def working(*arguments: Any, **named: Any) -> Any:
        return await run_in_threadpool(function, *arguments, **named)

    return working
