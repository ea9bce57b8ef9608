"""Prerequisites: a cycle is found wherever there is one, and named in the order of its needs."""

import re
from itertools import pairwise

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from content_catalog.errors import PrerequisiteCycleError
from content_catalog.prerequisites import check_acyclic, prerequisites_of

ITEMS = "abcdefg"
GRAPHS = st.dictionaries(
    st.sampled_from(ITEMS), st.lists(st.sampled_from(ITEMS), max_size=3, unique=True).map(tuple), max_size=len(ITEMS)
)


def named_cycle(prerequisites: dict[str, tuple[str, ...]]) -> list[str]:
    """Return the items on the cycle that a refusal names."""
    with pytest.raises(PrerequisiteCycleError) as refusal:
        check_acyclic(prerequisites)
    match = re.fullmatch(
        r"prerequisites form a cycle: (.+); remove one of them from `prerequisites`", str(refusal.value)
    )
    assert match
    return match[1].split(" needs ")


def reachable(prerequisites: dict[str, tuple[str, ...]], start: str) -> set[str]:
    """Return what has to be finished before an item, by walking every way."""
    reached: set[str] = set()
    waiting = [*prerequisites.get(start, ())]
    while waiting:
        item = waiting.pop()
        if item not in reached:
            reached.add(item)
            waiting += prerequisites.get(item, ())
    return reached


def test_items_without_prerequisites_are_left_out_and_lists_are_split() -> None:
    items = pd.DataFrame({"prerequisites": ["b;c", None, ""]}, index=["a", "b", "c"], dtype="str")
    assert prerequisites_of(items) == {"a": ("b", "c"), "c": ()}


@pytest.mark.parametrize(
    "prerequisites",
    [{}, {"a": ()}, {"a": ("b", "c"), "b": ("c",)}, {"a": ("unknown",)}, {"a": ("b", "b"), "b": ()}],
    ids=["none", "empty", "a diamond", "an unknown item", "the same twice"],
)
def test_prerequisites_that_can_be_met_pass(prerequisites: dict[str, tuple[str, ...]]) -> None:
    check_acyclic(prerequisites)


def test_an_item_that_needs_itself_is_refused() -> None:
    assert named_cycle({"a": ("a",)}) == ["a", "a"]


def test_a_cycle_is_named_in_the_order_of_its_needs() -> None:
    assert named_cycle({"a": ("b",), "b": ("a",)}) in (["a", "b", "a"], ["b", "a", "b"])
    assert "".join(named_cycle({"a": ("b",), "b": ("c",), "c": ("a",)})) in {"abca", "bcab", "cabc"}


def test_items_beside_the_cycle_are_not_named() -> None:
    assert set(named_cycle({"x": ("a",), "a": ("b", "y"), "b": ("a",), "z": ("x",)})) == {"a", "b"}


@pytest.mark.parametrize(("length", "shown"), [(9, 10), (10, 11), (1_000, 11)])
def test_a_long_cycle_is_shortened_in_its_middle(length: int, shown: int) -> None:
    cycle = named_cycle({f"i{place}": (f"i{(place + 1) % length}",) for place in range(length)})
    assert len(cycle) == shown
    assert cycle[0] == cycle[-1]
    assert cycle.count("…") == (length > 9)
    numbers = [int(item[1:]) for item in cycle if item != "…"][:-1]
    assert all((after - before) % length == 1 for before, after in pairwise(numbers))


def test_a_long_chain_is_no_cycle() -> None:
    check_acyclic({f"i{place}": (f"i{place + 1}",) for place in range(5_000)})


@given(prerequisites=GRAPHS)
def test_a_cycle_is_refused_exactly_where_an_item_needs_itself_by_any_way(
    prerequisites: dict[str, tuple[str, ...]],
) -> None:
    if any(item in reachable(prerequisites, item) for item in prerequisites):
        cycle = named_cycle(prerequisites)
        assert cycle[0] == cycle[-1]
        assert all(needed in prerequisites[item] for item, needed in pairwise(cycle))
    else:
        check_acyclic(prerequisites)
