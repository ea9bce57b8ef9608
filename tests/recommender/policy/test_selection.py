"""Selection at request: within the budget, worth as much as any subset, and a reason where nothing fits."""

from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from recommender.policy.selection import ItemFacts, Selection, selected, value_of, why_empty, within_budget

lengths = st.lists(st.floats(0, 3_000, allow_subnormal=False), max_size=10)


def best_value(seconds: list[float], budget: float, most: int) -> float:
    """Return the value of the best subset, by trying them all."""
    subsets = (
        chosen for size in range(min(most, len(seconds)) + 1) for chosen in combinations(range(len(seconds)), size)
    )
    return max(sum(map(value_of, chosen)) for chosen in subsets if sum(seconds[rank] for rank in chosen) <= budget)


@given(lengths, st.integers(1, 120), st.integers(1, 10))
def test_a_budget_is_never_exceeded_and_no_subset_is_worth_more(seconds: list[float], minutes: int, most: int) -> None:
    ranks = within_budget(seconds, 60.0 * minutes, most)

    assert ranks == sorted(set(ranks))
    assert len(ranks) <= most
    assert sum(seconds[rank] for rank in ranks) <= 60.0 * minutes + 1e-6
    assert sum(map(value_of, ranks)) >= best_value(seconds, 60.0 * minutes, most) - 1e-9


@given(st.lists(st.integers(30, 900), min_size=16, max_size=60), st.integers(1, 120))
def test_later_entries_fill_the_time_that_is_left(seconds: list[int], minutes: int) -> None:
    ranks = within_budget(seconds, 60.0 * minutes, 100)
    left = 60.0 * minutes - sum(seconds[rank] for rank in ranks)

    assert left >= 0
    assert all(seconds[rank] > left for rank in range(15, len(seconds)) if rank not in ranks)


@given(lengths, st.integers(1, 120), st.integers(1, 10), st.integers(0, 10))
def test_urgent_entries_are_taken_first_each_that_fits(
    seconds: list[float], minutes: int, most: int, urgent: int
) -> None:
    items = [ItemFacts(length) for length in seconds]
    urgent = min(urgent, len(items))

    ranks = selected(items, Selection(minutes=minutes), most, urgent=urgent)

    assert ranks == sorted(set(ranks))
    assert len(ranks) <= most
    assert sum(seconds[rank] for rank in ranks) <= 60.0 * minutes + 1e-6
    taken = [rank for rank in ranks if rank < urgent]
    for rank in set(range(urgent)) - {*taken}:
        before = sum(seconds[other] for other in taken if other < rank)
        full = sum(other < rank for other in taken) >= most
        assert full or seconds[rank] > 60.0 * minutes - before - 1e-6, "it fitted after those before it"


def test_an_entry_is_of_one_of_the_topics_and_formats_and_short_enough() -> None:
    selection = Selection(max_minutes=10, topics=frozenset({"safety"}), formats=frozenset({"video", "quiz"}))
    fitting = ItemFacts(600.0, "quiz", frozenset({"safety", "history"}))

    assert selection.admits(fitting)
    assert not selection.admits(fitting._replace(seconds=600.5))
    assert not selection.admits(fitting._replace(seconds=None))
    assert not selection.admits(fitting._replace(format="article"))
    assert not selection.admits(fitting._replace(topics=frozenset()))


def test_an_empty_list_says_why() -> None:
    video = ItemFacts(900.0, "video")

    assert why_empty(Selection(minutes=5), [])["code"] == "nothing_to_offer"
    assert why_empty(Selection(minutes=5, formats=frozenset({"quiz"})), [video])["code"] == (
        "none_of_these_topics_and_formats"
    )
    assert why_empty(Selection(minutes=5, max_minutes=20), [video, ItemFacts(961.0)])["arguments"] == {
        "minutes": 5,
        "shortest_minutes": 15,
    }
    assert why_empty(Selection(max_minutes=5), [ItemFacts(None)])["code"] == "no_length_known"
