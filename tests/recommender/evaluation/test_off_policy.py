"""Off-policy estimates: worked out by hand, and what holds for all of them."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recommender.errors import EstimateError
from recommender.evaluation.off_policy import (
    LoggedChoices,
    difference,
    doubly_robust,
    ips,
    predicted_rewards,
    snips,
)

ALWAYS_FIRST = np.array([[1.0, 0.0]] * 4)


@pytest.fixture
def logged() -> LoggedChoices:
    """Return four choices of three members, with weights 2, 0, 4 and 0."""
    return LoggedChoices(
        action=np.array([0, 1, 0, 1]),
        reward=np.array([1.0, 1.0, 0.0, 0.0]),
        propensity=np.array([0.5, 0.5, 0.25, 0.75]),
        target=ALWAYS_FIRST,
        member=np.array([7, 7, 8, 9]),
    )


def test_ips_is_the_mean_of_weighted_rewards_with_an_interval_over_members(logged: LoggedChoices) -> None:
    estimate = ips(logged)

    # Terms 2, 0, 0, 0; influences by member: 1.5 - 0.5, -0.5, -0.5.
    assert estimate.value == pytest.approx(0.5)
    # Student's t with two degrees of freedom, times the standard error.
    assert estimate.high - estimate.value == pytest.approx(4.302653 * np.sqrt((1 + 0.25 + 0.25) * 3 / 2) / 4, rel=1e-6)
    assert estimate.value - estimate.low == pytest.approx(estimate.high - estimate.value)
    assert estimate.effective_choices == pytest.approx((2 + 4) ** 2 / (4 + 16))


def test_snips_divides_by_the_weights(logged: LoggedChoices) -> None:
    estimate = snips(logged)

    assert estimate.value == pytest.approx(2 / 6)
    # Influences w (r - 1/3) / 1.5: 2 * 2/3 / 1.5, 0, 4 * -1/3 / 1.5, 0.
    assert estimate.high - estimate.value == pytest.approx(4.302653 * np.sqrt(2 * (8 / 9) ** 2 * 3 / 2) / 4, rel=1e-6)


def test_doubly_robust_corrects_what_was_predicted(logged: LoggedChoices) -> None:
    predicted = np.array([[0.5, 0.1]] * 4)

    # 0.5 each, and 2 * (1 - 0.5) and 4 * (0 - 0.5) for the two that the policy would have shown.
    assert doubly_robust(logged, predicted).value == pytest.approx((2.0 + 1.0 - 2.0) / 4)
    assert doubly_robust(logged, np.zeros((4, 2))).value == pytest.approx(ips(logged).value)


def test_rewards_are_predicted_from_other_members_alone(logged: LoggedChoices) -> None:
    predicted = predicted_rewards(logged, folds=3, shrinkage=1.0)

    # Others than member 7: item 0 and item 1 once each, nothing opened.
    assert predicted[0].tolist() == predicted[1].tolist() == [0.0, 0.0]
    # Others than member 8: item 0 opened once of once, item 1 once of twice; their mean is 2/3.
    assert predicted[2] == pytest.approx([(1 + 2 / 3) / 2, (1 + 2 / 3) / 3])
    changed = replace(logged, reward=np.array([0.0, 0.0, 0.0, 0.0]))
    assert predicted_rewards(changed, folds=3, shrinkage=1.0)[0].tolist() == predicted[0].tolist()


@given(
    st.lists(
        st.tuples(st.integers(0, 2), st.floats(0, 1), st.floats(0.05, 1), st.integers(0, 5)), min_size=2, max_size=30
    ).filter(lambda rows: len({row[3] for row in rows}) > 1),
    st.lists(st.floats(0.01, 1), min_size=3, max_size=3),
)
def test_estimates_agree_wherever_they_must(rows: list[tuple[int, float, float, int]], policy: list[float]) -> None:
    action, reward, propensity, member = (np.array(values) for values in zip(*rows, strict=True))
    target = np.tile(np.array(policy) / sum(policy), (len(rows), 1))
    logged = LoggedChoices(action, reward, propensity, target, member)
    own = replace(logged, target=np.eye(3)[action], propensity=np.ones(len(rows)))

    # The policy that was logged has the mean of the rewards, by each of the three.
    perfect = np.tile(reward[:, None], (1, 3))
    for estimate in (ips(own), snips(own), doubly_robust(own, perfect)):
        assert estimate.value == pytest.approx(reward.mean())
        assert estimate.effective_choices == pytest.approx(len(rows))
    # With rewards predicted without a fault no weight is left; the self-normalised estimate is within the rewards.
    assert doubly_robust(logged, perfect).value == pytest.approx(reward.mean())
    assert reward.min() - 1e-9 <= snips(logged).value <= reward.max() + 1e-9
    same = difference(ips(logged), ips(logged), member)
    assert same == (0.0, 0.0, 0.0)


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ({"propensity": np.array([0.5, 0.0, 0.25, 0.75])}, "propensity"),
        ({"reward": np.array([1.0, np.nan, 0.0, 0.0])}, "reward"),
        ({"target": np.full((4, 2), 0.4)}, "sum to 1"),
        ({"action": np.array([0, 2, 0, 1])}, "0 to 1"),
        ({"member": np.zeros(4, dtype=int)}, "2 members"),
        ({"reward": np.array([1.0])}, "lengths"),
    ],
)
def test_a_log_that_allows_no_estimate_is_refused(
    logged: LoggedChoices, fault: dict[str, object], message: str
) -> None:
    with pytest.raises(EstimateError, match=message):
        replace(logged, **fault)


def test_a_policy_that_shows_nothing_logged_and_predictions_of_another_shape_are_refused(logged: LoggedChoices) -> None:
    with pytest.raises(EstimateError, match="never shows"):
        snips(replace(logged, action=np.ones(4, dtype=int)))
    with pytest.raises(EstimateError, match="shape"):
        doubly_robust(logged, np.zeros((4, 3)))
