"""Training examples: the sample that rankers learn from."""

import numpy as np

from recommender.ranking.examples import MAX_SAMPLED, TrainingExamples

LIMIT = 10_000
"""Candidates of a list above which LightGBM refuses to learn from it."""


def test_a_sample_of_all_keeps_short_lists_and_draws_from_those_that_are_too_long() -> None:
    sizes = np.array([LIMIT + 2_000, 40, 30])
    row = np.repeat(np.arange(3), sizes)
    studied = np.zeros(len(row), dtype=bool)
    studied[[7, LIMIT + 2_003]] = True  # in the first and the second list
    features = np.zeros((len(row), 1), dtype=np.float32)
    members = np.array(["a", "b", "c"], dtype=object)

    sampled = TrainingExamples.of(features, row, studied, np.ones(3, dtype=np.int64), members).sampled(1.0, seed=0)

    long, short, without_positive = np.bincount(sampled.row, minlength=3).tolist()
    assert 0.9 * MAX_SAMPLED < long < 1.1 * MAX_SAMPLED < LIMIT
    assert (short, without_positive) == (40, 0)
    assert sampled.studied.sum() == 2
