"""Always-valid intervals: their formulas by hand, and what they do with small groups and equal outcomes."""

import numpy as np
import pytest

from recommender.errors import EstimateError
from recommender.evaluation.always_valid import effect, half_width, split_p_value, squared_error


def test_effect_is_the_difference_of_members_with_an_interval_wider_than_for_one_look() -> None:
    control, variant = np.tile([0.0, 0.2], 200), np.tile([0.0, 0.6], 200)

    result = effect(control, variant)

    square = squared_error(control) + squared_error(variant)
    assert (result.control, result.variant, result.difference) == pytest.approx((0.1, 0.3, 0.2))
    width = np.sqrt(2 * square * (square + 0.0025) / 0.0025 * np.log(np.sqrt((square + 0.0025) / square) / 0.05))
    assert result.high - result.low == pytest.approx(2 * width)
    assert width > 1.96 * np.sqrt(square)
    assert result.decided


def test_p_value_is_alpha_where_the_interval_just_touches_no_difference() -> None:
    control = np.tile([0.0, 0.2], 200)
    shift = 0.0
    while effect(control, control + shift).low < 0:
        shift += 1e-5

    result = effect(control, control + shift)

    assert result.low == pytest.approx(0.0, abs=1e-5)
    assert result.p_value == pytest.approx(0.05, rel=1e-2)


def test_squared_error_is_that_of_the_outcomes_with_a_failure_and_a_success() -> None:
    # 0.5, 0.5, 0 and 1: squares of 0, 0, 0.25 and 0.25 over 3, and over 4.
    assert squared_error(np.array([0.5, 0.5])) == pytest.approx(0.5 / 3 / 4)
    many = np.tile([0.0, 0.2], 20_000)
    assert squared_error(many) == pytest.approx(0.01 / 40_000, rel=0.01)


def test_few_members_decide_nothing() -> None:
    result = effect(np.zeros(29), np.ones(500))

    assert (result.low, result.high, result.p_value) == (-np.inf, np.inf, 1.0)
    assert not result.decided
    assert not effect(np.array([]), np.ones(500)).decided


def test_outcomes_that_are_all_equal_leave_a_doubt() -> None:
    nothing = effect(np.zeros(50), np.zeros(50))
    assert (nothing.p_value, nothing.decided) == (1.0, False)
    assert nothing.high == -nothing.low == half_width(2 * squared_error(np.zeros(50)))
    assert effect(np.zeros(50), np.ones(50)).decided


def test_split_is_tested_by_the_mixture_over_the_shares() -> None:
    # One of two members each, prior of 50 each: (50 * 50) / (100 * 101) over 1/4 is below 1.
    assert split_p_value([1, 1], [0.5, 0.5]) == 1.0
    # Both in the first: (50 * 51) / (100 * 101) over 1/4.
    assert split_p_value([2, 0], [0.5, 0.5]) == pytest.approx(1 / (4 * 50 * 51 / (100 * 101)))
    assert split_p_value([900, 100], [0.9, 0.1]) == 1.0
    assert split_p_value([800, 200], [0.9, 0.1]) < 1e-9
    with pytest.raises(EstimateError, match="shares"):
        split_p_value([1, 1], [0.5, 0.4])
