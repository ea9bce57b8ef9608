"""Variety: limits that hold wherever the candidates allow it, and a dial between relevance and likeness."""

from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from recommender.explanations.reasons import reason_of
from recommender.policy.ranked_lists import RankedLists
from recommender.policy.rules.variety import Variety, chosen
from tests.recommender.builders import Study, make_interactions
from tests.recommender.policy.test_ranked_lists import items_of
from tests.recommender.policy.test_ranked_lists import lists_of as ranked
from tests.recommender.policy.test_rules import anything

TOPICS = {"a1": "a", "a2": "a", "a3": "a;c", "b1": "b", "b2": "b;c", "none": ""}
INTERACTIONS = make_interactions(
    [Study("m", "a1")],
    items={item: {"topics": topics, "provider": "p;q"} for item, topics in TOPICS.items()}
    | {"other": {"provider": "q"}},
)


def lists_of(*rows: list[int]) -> RankedLists:
    """Return lists of the only member."""
    return replace(ranked(*rows), member=np.zeros(len(rows), dtype=np.intp))


def names(rows: list[list[int]]) -> list[list[str]]:
    """Return the ids of items by their positions."""
    return [[str(INTERACTIONS.items.index[item]) for item in row] for row in rows]


def positions(*items: str) -> list[int]:
    """Return the positions of items by their ids."""
    return list(INTERACTIONS.items.index.get_indexer(list(items)))


def test_at_most_so_many_of_a_topic_stand_in_a_window() -> None:
    lists = lists_of(positions("a1", "a2", "a3", "b1", "none"))

    arranged = Variety(window=3, max_per_topic=1).apply(lists, INTERACTIONS, k=5, may_be_offered=anything)

    assert names(items_of(arranged)) == [["a1", "b1", "none", "a2", "a3"]]


def test_a_list_within_the_limits_stays_as_it_is() -> None:
    lists = lists_of(positions("a1", "b1", "a2"), positions("a1", "a2", "b1"))

    arranged = Variety(window=2, max_per_topic=1).apply(lists, INTERACTIONS, k=3, may_be_offered=anything)

    assert names(items_of(arranged)) == [["a1", "b1", "a2"], ["a1", "b1", "a2"]]


def test_a_provider_with_a_semicolon_is_one_provider() -> None:
    rule = Variety(window=5, max_per_provider=1)

    assert rule.applies(INTERACTIONS)
    arranged = rule.apply(lists_of(positions("a1", "b1", "other")), INTERACTIONS, k=3, may_be_offered=anything)
    assert names(items_of(arranged)) == [["a1", "other", "b1"]]


def test_the_dial_trades_relevance_for_unlike_topics() -> None:
    # Relevance .9/.9, .89/.9, .88/.9: after a1 the gain of a2 is .5 · .989 - .5 · 1, that of b1 .5 · .978.
    lists = lists_of(positions("a1", "a2", "b1"))

    assert not Variety(diversity=0.0).applies(INTERACTIONS)
    assert names(items_of(Variety(diversity=0.5).apply(lists, INTERACTIONS, k=3, may_be_offered=anything))) == [
        ["a1", "b1", "a2"]
    ]


def test_what_a_rule_placed_stays_and_what_the_member_wants_less_of_stays_last() -> None:
    less = make_interactions(
        [Study("m", "a1")],
        members={"m": {"less_topics": "c"}},
        items={item: {"topics": topics} for item, topics in TOPICS.items()},
    )
    lists = lists_of(positions("a1", "a2", "b1", "a3"))
    placed = lists.with_items(np.array([0]), np.array(positions("a2")), np.array([1]), [reason_of("continue")])

    arranged = Variety(window=2, max_per_topic=1).apply(placed, less, k=4, may_be_offered=anything)

    assert names(items_of(arranged)) == [["a1", "a2", "b1", "a3"]]
    assert names(items_of(Variety(window=2, max_per_topic=1).apply(lists, less, k=4, may_be_offered=anything))) == [
        ["a1", "b1", "a2", "a3"]
    ]


@given(
    st.lists(st.tuples(st.integers(0, 3), st.booleans()), min_size=1, max_size=12),
    st.integers(2, 5),
    st.integers(1, 3),
    st.integers(1, 12),
)
def test_a_limit_is_broken_only_where_no_other_candidate_is_left(
    entries: list[tuple[int, bool]], window: int, limit: int, n: int
) -> None:
    values, fixed = [value for value, _ in entries], [stays for _, stays in entries]
    value = np.array(values)[None, :, None]
    score = np.linspace(1.0, 0.1, len(values))[None, :]

    order = chosen(
        score=score, values=[(value, limit)], window=window, diversity=0.0, n=n, fixed=np.array(fixed)[None, :]
    )[0].tolist()

    assert sorted(order) == list(range(len(values)))
    n = min(n, len(values))
    for step in range(n):
        before = [values[place] for place in order[max(0, step - window + 1) : step]]
        free = [place for place in sorted(order[step:]) if not (fixed[place] and place < n)]
        fitting = [place for place in free if values[place] == 0 or before.count(values[place]) < limit]
        assert order[step] == (step if fixed[step] else fitting[0] if fitting else free[0])
    assert order[n:] == sorted(order[n:])
