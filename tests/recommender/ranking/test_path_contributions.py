"""Contributions along the paths of trees: a hand-worked tree."""

import lightgbm as lgb
import numpy as np
import pytest

from recommender.ranking.path_contributions import PathContributions


@pytest.fixture(scope="module")
def booster() -> lgb.Booster:
    """Return one tree over two features, with leaves of 0 (four examples), 2 and 6 (two each)."""
    features = np.array([[0, 0], [0, 1]] * 2 + [[1, 0], [1, 1]] * 2, dtype=np.float32)
    values = np.where(features[:, 0] == 0, 0.0, 2.0 + 4.0 * features[:, 1])
    parameters = {
        "objective": "regression",
        "boost_from_average": False,
        "learning_rate": 1.0,
        "min_data_in_leaf": 1,
        "min_data_in_bin": 1,
        "num_threads": 1,
        "verbose": -1,
    }
    return lgb.train(parameters, lgb.Dataset(features, values), 1)


def test_each_split_adds_what_it_changes_of_the_mean(booster: lgb.Booster) -> None:
    # The mean of all is 2, of the right half 4: the first split adds -2 or 2, the second -2 or 2 there.
    rows = np.array([[0, 1], [1, 0], [1, 1]], dtype=np.float32)
    parts = PathContributions(booster).of(rows, np.eye(3))
    assert parts.round(6).tolist() == [[-2, 0, 2], [2, -2, 2], [2, 2, 2]]
    assert np.allclose(parts.sum(axis=1), booster.predict(rows))
    both_and_constant = np.array([[1, 0], [1, 0], [0, 1]], dtype=np.float64)
    assert PathContributions(booster).of(rows, both_and_constant).round(6).tolist() == [[-2, 2], [0, 2], [4, 2]]


def test_no_rows_have_no_contributions(booster: lgb.Booster) -> None:
    assert PathContributions(booster).of(np.zeros((0, 2), dtype=np.float32), np.eye(3)).shape == (0, 3)
