"""Bounded cache of computed values, empty after pickling."""

from collections.abc import Callable, Hashable
from threading import Lock
from typing import Any, Final, Generic, TypeVar

from cachetools import LRUCache

from features.interactions import Interactions

Value = TypeVar("Value")
CACHED_BLOCKS: Final = 4
"""Results of an object that are cached: two models ask for the same block of members, in up to two threads."""


class BoundedCache(Generic[Value]):
    """Thread-safe cache that drops the least recently used value.

    Parameters
    ----------
    maxsize : int
        Number of values.

    Examples
    --------
    >>> cache = BoundedCache[int](2)
    >>> [cache.get(key, lambda: value) for key, value in ((1, 10), (1, 11), (2, 20), (1, 12), (3, 30))]
    [10, 10, 20, 10, 30]
    >>> cache.get(1, lambda: 13), cache.get(2, lambda: 21)
    (10, 21)
    """

    def __init__(self, maxsize: int) -> None:
        self._maxsize = maxsize
        self._values: LRUCache[Hashable, Value] = LRUCache(maxsize)
        self._lock = Lock()

    def get(self, key: Hashable, compute: Callable[[], Value]) -> Value:
        """Return the value of a key, computed where it is not cached."""
        with self._lock:
            if key in self._values:
                return self._values[key]
        value = compute()  # outside the lock: another thread may compute the same
        with self._lock:
            self._values[key] = value
        return value

    def __reduce__(self) -> tuple[type["BoundedCache[Value]"], tuple[int]]:
        """Return an empty cache of the same size."""
        return type(self), (self._maxsize,)


def cache_of(owner: object, interactions: Interactions) -> BoundedCache[Any]:
    """Return the cache for what an object computes from interactions.

    The interactions hold the cache together with its owner, so that no other object gets the owner's id. If the owner
    held results that refer to the interactions, both would be a reference cycle, and their memory would be freed late.
    """
    cached: tuple[object, BoundedCache[Any]] = interactions.memo(
        ("cache", id(owner)), lambda: (owner, BoundedCache[Any](CACHED_BLOCKS))
    )
    return cached[1]
