"""One ranking out of several."""

from collections import defaultdict
from fractions import Fraction
from itertools import pairwise
from random import Random

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recommender.blend import reciprocal_rank

WEIGHTS = {"als": 0.5, "neighbours": 1.0, "newest": 1e-6, "popularity": 1.0}
NEGLIGIBLE = Fraction(1, 10**11)

# For each member and source the items it proposes, best first.
PROPOSALS = st.dictionaries(
    st.tuples(st.sampled_from(["m", "n"]), st.sampled_from(sorted(WEIGHTS))),
    st.lists(st.sampled_from("abcdefgh"), unique=True, max_size=8),
    min_size=1,
)


def candidates(proposals: dict[tuple[str, str], list[str]]) -> pd.DataFrame:
    """Return proposals as the models make them."""
    rows = [
        (member, item, rank, source)
        for (member, source), items in proposals.items()
        for rank, item in enumerate(items, 1)
    ]
    return pd.DataFrame(rows, columns=["member_id", "item_id", "rank", "source"])


def by_hand(proposals: dict[tuple[str, str], list[str]]) -> dict[tuple[str, str], dict[str, Fraction]]:
    """Return what each source gives to each member's item, exactly."""
    parts: dict[tuple[str, str], dict[str, Fraction]] = defaultdict(dict)
    for (member, source), items in proposals.items():
        for rank, item in enumerate(items, 1):
            parts[member, item][source] = Fraction(WEIGHTS[source]) / (60 + rank)
    return parts


@settings(deadline=None, max_examples=50)
@given(proposals=PROPOSALS)
def test_the_blend_is_the_one_made_by_hand(proposals: dict[tuple[str, str], list[str]]) -> None:
    expected = by_hand(proposals)

    blended = reciprocal_rank(candidates(proposals), WEIGHTS)

    found = {(row.member_id, row.item_id): row for row in blended.itertuples()}
    assert len(found) == len(blended)
    assert set(found) == set(expected)
    for pair, parts in expected.items():
        assert abs(Fraction(found[pair].score) - sum(parts.values())) < NEGLIGIBLE
        assert found[pair].source == min((-part, source) for source, part in parts.items())[1]


@settings(deadline=None, max_examples=50)
@given(proposals=PROPOSALS)
def test_members_come_by_id_and_their_items_best_first_and_by_id_where_equal(
    proposals: dict[tuple[str, str], list[str]],
) -> None:
    exact = by_hand(proposals)

    blended = reciprocal_rank(candidates(proposals), WEIGHTS)

    keys = [(member, -score, item) for member, item, score, _ in blended.itertuples(index=False)]
    assert keys == sorted(keys)
    rows = list(blended.itertuples(index=False))
    for before, after in pairwise(rows):
        if before.member_id == after.member_id:
            first, second = (sum(exact[row.member_id, row.item_id].values()) for row in (before, after))
            assert first > second - NEGLIGIBLE


@settings(deadline=None, max_examples=50)
@given(proposals=PROPOSALS, order=st.randoms(use_true_random=False))
def test_the_order_of_the_candidates_makes_no_difference(
    proposals: dict[tuple[str, str], list[str]], order: Random
) -> None:
    given_rows = candidates(proposals)
    places = list(range(len(given_rows)))
    order.shuffle(places)

    shuffled = reciprocal_rank(given_rows.iloc[places].reset_index(drop=True), WEIGHTS)

    pd.testing.assert_frame_equal(shuffled, reciprocal_rank(given_rows, WEIGHTS))


def test_a_tiny_weight_only_fills_what_others_leave_open() -> None:
    proposals = {("m", "newest"): ["z", "y", "a"], ("m", "popularity"): ["a", "b"]}

    blended = reciprocal_rank(candidates(proposals), WEIGHTS)

    assert blended["item_id"].tolist() == ["a", "b", "z", "y"]
    assert blended["source"].tolist() == ["popularity", "popularity", "newest", "newest"]


def test_found_by_two_beats_found_first_by_one() -> None:
    proposals = {("m", "neighbours"): ["a", "b"], ("m", "popularity"): ["c", "b"]}

    blended = reciprocal_rank(candidates(proposals), WEIGHTS)

    assert blended["item_id"].tolist() == ["b", "a", "c"]
    assert blended["score"].tolist() == pytest.approx([2 / 62, 1 / 61, 1 / 61])


def test_no_candidates_give_an_empty_ranking() -> None:
    blended = reciprocal_rank(candidates({("m", "als"): []}), WEIGHTS)

    assert blended.empty
    assert list(blended.columns) == ["member_id", "item_id", "score", "source"]
