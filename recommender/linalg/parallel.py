"""Ordered parallel map in threads, for numerical routines that release the interpreter."""

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Result = TypeVar("Result")


def parallel_map(function: Callable[[int], Result], tasks: Sequence[int]) -> Iterator[Result]:
    """Yield the function's result for each task in order: in as many threads as cores, and only few tasks ahead."""
    threads = min(os.cpu_count() or 1, len(tasks))
    if threads < 2:
        yield from map(function, tasks)
        return
    with ThreadPoolExecutor(threads) as pool:
        ahead = deque(pool.submit(function, task) for task in tasks[:threads])
        for task in tasks[threads:]:
            result = ahead.popleft().result()
            ahead.append(pool.submit(function, task))
            yield result
        for last in ahead:
            yield last.result()
