"""Threads: what can be made of tasks beside each other, each by itself."""

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Made = TypeVar("Made")


def in_threads(make: Callable[[int], Made], tasks: Sequence[int]) -> Iterator[Made]:
    """Yield what is made of each task, in their order: by as many threads as there are cores, few tasks ahead."""
    threads = min(os.cpu_count() or 1, len(tasks))
    if threads < 2:
        yield from map(make, tasks)
        return
    with ThreadPoolExecutor(threads) as pool:
        ahead = deque(pool.submit(make, task) for task in tasks[:threads])
        for task in tasks[threads:]:
            made = ahead.popleft().result()
            ahead.append(pool.submit(make, task))
            yield made
        for last in ahead:
            yield last.result()
