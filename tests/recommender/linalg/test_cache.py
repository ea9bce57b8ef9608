"""Bounded cache."""

import pickle

from recommender.linalg.cache import BoundedCache


def test_the_least_recently_used_value_is_dropped_first() -> None:
    cache = BoundedCache[str](2)
    for key in "abac":  # b was used longest ago
        cache.get(key, key.upper)

    assert cache.get("a", lambda: "computed again") == "A"
    assert cache.get("b", lambda: "computed again") == "computed again"


def test_values_that_count_as_false_are_cached_too() -> None:
    cache = BoundedCache[int](2)

    assert (cache.get("a", lambda: 0), cache.get("a", lambda: 1)) == (0, 0)


def test_a_pickled_cache_is_empty_and_of_the_same_size() -> None:
    cache = BoundedCache[int](1)
    cache.get("a", lambda: 1)

    copy: BoundedCache[int] = pickle.loads(pickle.dumps(cache))  # noqa: S301 - made above

    assert copy.get("a", lambda: 2) == 2
    assert copy.get("b", lambda: 3) == 3
    assert copy.get("a", lambda: 4) == 4
