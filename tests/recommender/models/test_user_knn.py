"""Alike: what the nearest members study."""

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.interactions import Interactions
from recommender.models import user_knn
from recommender.models.user_knn import UserKNN, _largest
from tests.recommender.builders import random_organisation


def written_out(interactions: Interactions, half_life_days: float) -> np.ndarray:
    """Return the scores by the formula, all members who were active of late being near enough."""
    cells = interactions.cells[
        (interactions.cells["weight"] > 0) & interactions.personalised[interactions.cells["member"]]
    ]
    age = (interactions.as_of.value // 1_000 - cells["first_at"].to_numpy()) / 86_400e6
    fresh, ones = np.zeros(interactions.shape), np.zeros(interactions.shape)
    fresh[cells["member"], cells["item"]] = 0.5 ** (age / half_life_days)
    ones[cells["member"], cells["item"]] = 1.0
    studied = np.maximum(ones.sum(axis=1), 1)[:, None]
    youngest = np.full(interactions.shape[0], np.inf)
    np.minimum.at(youngest, cells["member"].to_numpy(), age)
    alike = (ones / np.sqrt(studied)) @ (ones / np.sqrt(studied)).T * (youngest < 60.0)
    return alike @ (fresh * np.minimum(1.0, interactions.rules.member_cap / studied))


def test_scores_are_the_sums_over_those_active_of_late_by_how_alike_they_are() -> None:
    interactions = random_organisation(5, members=60, items=40, studies=700).interactions

    scores = UserKNN(20.0).fit(interactions).scores(interactions, np.arange(interactions.shape[0]))

    np.testing.assert_allclose(np.where(scores > 0, scores, 0.0), written_out(interactions, 20.0), atol=1e-5)


@given(seed=st.integers(0, 10_000), rows=st.integers(1, 6), columns=st.integers(2, 30))
def test_of_equally_near_members_the_first_count(seed: int, rows: int, columns: int) -> None:
    values = np.random.default_rng(seed).integers(0, 4, (rows, columns)).astype(np.float32)
    n = columns // 2

    best = _largest(values, n)

    expected = np.zeros_like(best)
    np.put_along_axis(expected, np.argsort(-values, axis=1, kind="stable")[:, :n], values=True, axis=1)
    np.testing.assert_array_equal(best, expected & (values > 0))


def test_models_fitted_on_the_same_share_who_is_alike_and_a_member_alone_has_the_scores_it_has_among_others() -> None:
    interactions = random_organisation(6, members=60, items=40, studies=700).interactions
    slow, fast = UserKNN(30.0, neighbours=7).fit(interactions), UserKNN(3.0, neighbours=7).fit(interactions)
    rows = np.arange(interactions.shape[0])

    together = slow.scores(interactions, rows), fast.scores(interactions, rows)

    assert slow._similarity is fast._similarity
    for row in (0, 17, 59):
        np.testing.assert_array_equal(slow.scores(interactions, rows[[row]])[0], together[0][row])
        np.testing.assert_array_equal(fast.scores(interactions, rows[[row]])[0], together[1][row])


def test_what_was_asked_for_last_is_not_stored_with_a_model() -> None:
    interactions = random_organisation(7, members=30, items=20, studies=200).interactions
    model = UserKNN(30.0).fit(interactions)
    before = len(pickle.dumps(model))

    scores = model.scores(interactions, np.arange(30))

    again = pickle.loads(pickle.dumps(model))  # noqa: S301 - our own
    assert len(pickle.dumps(model)) == before
    np.testing.assert_array_equal(again.scores(interactions, np.arange(30)), scores)


@pytest.mark.parametrize("cells", [1, 100])
def test_scores_do_not_depend_on_the_size_of_blocks(cells: int, monkeypatch: pytest.MonkeyPatch) -> None:
    interactions = random_organisation(8, members=60, items=40, studies=700).interactions
    model, rows = UserKNN(30.0, neighbours=7).fit(interactions), np.arange(60)
    whole = model.scores(interactions, rows)
    for name in ("BLOCK_CELLS", "BLOCK_MEMBERS"):
        monkeypatch.setattr(user_knn, name, cells)
    again = UserKNN(30.0, neighbours=7).fit(random_organisation(8, members=60, items=40, studies=700).interactions)
    np.testing.assert_array_equal(again.scores(again._interactions, rows), whole)


def test_where_nobody_is_active_nothing_has_a_score() -> None:
    interactions = random_organisation(9, members=20, items=10, studies=100).interactions
    assert np.isneginf(UserKNN(active_days=0.0).fit(interactions).scores(interactions, np.arange(20))).all()
