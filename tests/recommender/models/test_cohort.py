"""Popularity among members who joined at about the same time."""

import numpy as np
import pytest

from recommender.models.cohort import MAX_BINS, MEMBERS_PER_BIN, Cohort, bin_size
from tests.recommender.builders import items_of, make_interactions


def test_scores_fall_with_the_members_between_as_worked_by_hand() -> None:
    # 300 members in the order of ids: three bins of 100. One of the first studied "far", one of the second "near", both
    # halved by age; "far" with another item on the same day. The last member is 0 or 1, 1 or 2 bins away.
    members = {f"m{number:03d}": {} for number in range(300)}
    studied = [("m000", "far", "viewed", 7.0), ("m000", "other", "viewed", 7.0), ("m150", "near", "viewed", 7.0)]
    interactions = make_interactions(studied, members=members)

    lists = Cohort(half_life_days=7.0, bandwidth=100).fit(interactions).recommend(["m299", "m099", "m000"], k=9)

    scores = {(row.member_id, row.item_id): row.score for row in lists.itertuples()}
    assert scores["m299", "near"] == pytest.approx(0.5 / (1 + 100 / 100))
    assert scores["m299", "far"] == pytest.approx(0.5 / 2 / (1 + 200 / 100))
    assert scores["m099", "far"] == pytest.approx(0.5 / 2)
    assert items_of(lists, "m299") == ["near", "far", "other"]
    assert items_of(lists, "m000") == []  # it has a history


def test_bins_hold_a_hundred_members_or_more_where_there_would_be_too_many_bins() -> None:
    assert bin_size(np.arange(50.0)) == MEMBERS_PER_BIN
    assert bin_size(np.arange(MEMBERS_PER_BIN * MAX_BINS * 2.0)) == 2 * MEMBERS_PER_BIN
