"""Changes that rules make to lists: what stays, what moves, and that nothing is lost or doubled."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from recommender.policy.ranked_lists import RankedLists

REASON = {"code": "continue", "arguments": {}}


def lists_of(*items: list[int]) -> RankedLists:
    """Return lists of items, with falling scores."""
    row = np.repeat(np.arange(len(items)), [len(each) for each in items])
    item = np.array([item for each in items for item in each], dtype=np.intp)
    score = np.array([0.9 - 0.01 * rank for each in items for rank in range(len(each))])
    return RankedLists.of(np.arange(len(items)) + 100, row, item, score, np.arange(len(item)))


def items_of(lists: RankedLists) -> list[list[int]]:
    """Return the items of each list."""
    return [row[row >= 0].tolist() for row in lists.item]


several = st.lists(st.lists(st.integers(0, 9), max_size=6, unique=True), min_size=1, max_size=4)


def test_entries_that_are_dropped_leave_no_gap() -> None:
    lists = lists_of([1, 2, 3], [4, 5])

    assert items_of(lists.without(np.isin(lists.item, [2, 4]))) == [[1, 3], [5]]


def test_a_rescored_list_is_in_order_of_its_scores_and_equal_ones_stay_in_order() -> None:
    lists = lists_of([1, 2, 3], [4, 5])

    rescored = lists.by_score(np.array([[0.1, 0.5, 0.5], [0.2, 0.1, 9.0]]))

    assert items_of(rescored) == [[2, 3, 1], [4, 5]]
    assert rescored.place[0].tolist() == [1, 2, 0]


def test_an_inserted_item_has_its_reason_and_no_place_among_the_candidates() -> None:
    lists = lists_of([1, 2, 3], [4]).with_items(np.array([0, 1]), np.array([7, 8]), np.array([1, 5]), [REASON, REASON])

    assert items_of(lists) == [[1, 7, 2, 3], [4, 8]]
    assert lists.place[0].tolist() == [0, -1, 1, 2]
    assert [[lists.reasons[number] for number in row if number >= 0] for row in lists.reason] == [[REASON], [REASON]]


def test_an_item_that_moves_keeps_its_score_and_its_place_among_the_candidates() -> None:
    before = lists_of([1, 2, 3])

    lists = before.with_items(np.array([0]), np.array([3]), np.array([0]), [REASON])

    assert items_of(lists) == [[3, 1, 2]]
    assert (lists.place[0, 0], lists.score[0, 0]) == (2, before.score[0, 2])


@given(several, st.data())
def test_inserting_loses_and_doubles_nothing(items: list[list[int]], data: st.DataObject) -> None:
    lists = lists_of(*items)
    wanted = [
        data.draw(
            st.lists(st.tuples(st.integers(0, 14), st.integers(0, 8)), max_size=4, unique_by=lambda pair: pair[0])
        )
        for _ in items
    ]
    rows = np.array([row for row, each in enumerate(wanted) for _ in each], dtype=np.intp)
    new = np.array([item for each in wanted for item, _ in each], dtype=np.intp)
    ranks = np.array([rank for each in wanted for _, rank in each], dtype=np.intp)

    changed = items_of(lists.with_items(rows, new, ranks, [REASON] * len(rows)))

    for before, pairs, after in zip(items, wanted, changed, strict=True):
        inserted = {item for item, _ in pairs}
        assert sorted(after) == sorted({*before, *inserted})
        assert [item for item in after if item not in inserted] == [item for item in before if item not in inserted]
        if pairs:
            item, rank = min(pairs, key=lambda pair: pair[1])
            others = len([item for item in before if item not in inserted])
            assert after.index(item) == min(rank, others)
