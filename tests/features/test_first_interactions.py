"""First interactions: order, ties and days."""

import numpy as np
import pytest

from features.histories import first_interactions, last_day, latest, mean_of_ties
from tests.recommender.builders import make_interactions


def test_weights_of_one_moment_are_their_mean_and_of_others_what_they_were() -> None:
    studied = [
        ("m", "a", "viewed", 3.0),
        ("m", "b", "viewed", 3.0),
        ("m", "c", "viewed", 1.0),
        ("n", "a", "viewed", 3.0),
    ]
    firsts = first_interactions(make_interactions(studied))

    assert mean_of_ties(firsts, np.array([1.0, 3.0, 5.0, 7.0])).tolist() == [2.0, 2.0, 5.0, 7.0]


def test_the_latest_items_of_one_moment_weigh_the_same() -> None:
    # x first, then a, b, c at once: places from the end 3, 2, 1, 0; the latest two of decay ½ weigh 1 and ½.
    interactions = make_interactions([("m", "x", "viewed", 5.0), *(("m", item, "viewed", 1.0) for item in "abc")])

    weights = dict(zip(interactions.items.index, latest(interactions, 2, 0.5).toarray()[0], strict=True))

    assert weights == {"a": 0.5, "b": 0.5, "c": 0.5, "x": 0.0}
    assert last_day(interactions, 2, 0.5).toarray()[0].tolist() == list(weights.values())


def test_the_last_day_is_the_last_one_with_a_first_interaction() -> None:
    interactions = make_interactions([("m", "x", "viewed", 5.1), ("m", "a", "viewed", 1.5), ("m", "b", "viewed", 1.2)])

    weights = dict(zip(interactions.items.index, last_day(interactions, 9, 0.5).toarray()[0], strict=True))

    assert weights == {"a": pytest.approx(0.5), "b": pytest.approx(1.0), "x": 0.0}
