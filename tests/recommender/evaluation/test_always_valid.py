"""Always-valid intervals: their formulas by hand, and what they do with small groups and equal outcomes."""

import numpy as np
import pytest

from recommender.errors import EstimateError
from recommender.evaluation.always_valid import effect, half_width, split_p_value


def test_effect_is_the_difference_of_members_with_an_interval_wider_than_for_one_look() -> None:
    control, variant = np.tile([0.0, 0.2], 200), np.tile([0.0, 0.6], 200)

    result = effect(control, variant)

    square = (0.01 + 0.09) / 399
    assert (result.control, result.variant, result.difference) == pytest.approx((0.1, 0.3, 0.2))
    width = np.sqrt(2 * square * (square + 0.0025) / 0.0025 * np.log(np.sqrt((square + 0.0025) / square) / 0.05))
    assert result.high - result.low == pytest.approx(2 * width)
    assert width > 1.96 * np.sqrt(square)
    assert result.decided


def test_p_value_is_alpha_where_the_interval_just_touches_no_difference() -> None:
    control = np.tile([0.0, 0.2], 200)
    square = 2 * 0.01 / 399
    shift = half_width(square)

    result = effect(control, control + shift)

    assert result.low == pytest.approx(0.0, abs=1e-12)
    assert result.p_value == pytest.approx(0.05)


def test_few_members_decide_nothing() -> None:
    result = effect(np.zeros(29), np.ones(500))

    assert (result.low, result.high, result.p_value) == (-np.inf, np.inf, 1.0)
    assert not result.decided
    assert not effect(np.array([]), np.ones(500)).decided


def test_outcomes_without_spread_are_certain() -> None:
    assert effect(np.zeros(50), np.zeros(50)).p_value == 1.0
    assert effect(np.zeros(50), np.ones(50)).p_value == 0.0


def test_split_is_tested_by_the_mixture_over_the_shares() -> None:
    # One of two members each, prior of 50 each: (50 * 50) / (100 * 101) over 1/4 is below 1.
    assert split_p_value([1, 1], [0.5, 0.5]) == 1.0
    # Both in the first: (50 * 51) / (100 * 101) over 1/4.
    assert split_p_value([2, 0], [0.5, 0.5]) == pytest.approx(1 / (4 * 50 * 51 / (100 * 101)))
    assert split_p_value([900, 100], [0.9, 0.1]) == 1.0
    assert split_p_value([800, 200], [0.9, 0.1]) < 1e-9
    with pytest.raises(EstimateError, match="shares"):
        split_p_value([1, 1], [0.5, 0.4])
