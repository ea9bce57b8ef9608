"""The split of members: shares that hold, also small ones, and experiments that do not follow each other."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recommender.errors import EstimateError
from recommender.evaluation.always_valid import split_p_value
from recommender.evaluation.split import CONTROL, Split

MEMBERS = [f"m{number:07d}" for number in range(20_000)]


@pytest.mark.parametrize("shares", [(("b", 0.5),), (("b", 0.02),), (("b", 0.1), ("c", 0.3))])
def test_shares_hold_also_where_they_are_small(shares: tuple[tuple[str, float], ...]) -> None:
    split = Split("spring", shares)

    variants = split.variants_of(MEMBERS)

    names = [CONTROL, *(name for name, _ in shares)]
    counts = [variants.count(name) for name in names]
    assert sum(counts) == len(MEMBERS)
    assert split_p_value(counts, [split.control_share, *(share for _, share in shares)]) > 0.001


def test_another_experiment_splits_the_members_of_a_variant_evenly() -> None:
    first, second = (Split(name, (("b", 0.5),)) for name in ("spring", "summer"))
    of_variant = [name for name in MEMBERS if first.variant_of(name) == "b"]

    again = second.variants_of(of_variant)

    assert split_p_value([again.count(CONTROL), again.count("b")], [0.5, 0.5]) > 0.001


@given(st.text(max_size=30), st.floats(0.01, 0.5), st.floats(0.5, 0.99))
def test_a_larger_share_keeps_its_members(member_id: str, small: float, large: float) -> None:
    if Split("spring", (("b", small),)).variant_of(member_id) == "b":
        assert Split("spring", (("b", large),)).variant_of(member_id) == "b"


@pytest.mark.parametrize("shares", [(), (("b", 0.0),), (("b", 0.5), ("c", 0.5)), (("b", 1.2),)])
def test_shares_that_leave_no_control_are_refused(shares: tuple[tuple[str, float], ...]) -> None:
    with pytest.raises(EstimateError, match="what is left of 1"):
        Split("spring", shares)
