"""Isolation of faults: what fails for one member costs that member's result alone."""

from collections.abc import Callable, Iterator
from typing import TypeVar

import pandas as pd

Result = TypeVar("Result")


def isolated(
    members: pd.Index, compute: Callable[[pd.Index], Result], failed: dict[str, str], *, block_members: int
) -> Iterator[Result]:
    """Yield the results of blocks of members in order; members that ``compute`` fails for are added to ``failed``.

    Where a block fails its halves are computed, down to single members, so that all others get their results.

    Examples
    --------
    >>> failed: dict[str, str] = {}
    >>> halves = isolated(
    ...     pd.Index(["a", "b", "3"]), lambda block: [name.index("3") for name in block], failed, block_members=2
    ... )
    >>> list(halves), failed
    ([[0]], {'a': 'ValueError: substring not found', 'b': 'ValueError: substring not found'})
    """
    blocks = [members[start : start + block_members] for start in range(0, len(members), block_members)][::-1]
    while blocks:
        block = blocks.pop()
        try:
            result = compute(block)
        except Exception as error:  # noqa: BLE001 - whatever it is, all others get their results
            if len(block) > 1:
                blocks += [block[len(block) // 2 :], block[: len(block) // 2]]
                continue
            failed[block[0]] = f"{type(error).__name__}: {error}"
        else:
            yield result
