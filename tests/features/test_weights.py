"""The one formula of evidence: bounded, growing with every sign of study, fading with time."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.weights import COUNTED_DAYS, MAX_WEIGHT, VERB_STRENGTH, decay, interaction_weight

NAN = float("nan")
SHARES = st.one_of(st.just(NAN), st.floats(0, 1))
SIGNS = st.fixed_dictionaries(
    {
        "strength": st.sampled_from(sorted({*VERB_STRENGTH.values()})),
        "progress": SHARES,
        "time_share": st.one_of(st.just(NAN), st.floats(0, 1e9)),
        "score": SHARES,
        "days": st.integers(1, 5_000).map(float),
    }
)


def weight(**signs: float) -> float:
    """Return the weight of one interaction: viewed once, and what else is told."""
    all_signs = {"strength": 1.0, "progress": NAN, "time_share": NAN, "score": NAN, "days": 1.0} | signs
    (value,) = interaction_weight(**{name: np.array([sign]) for name, sign in all_signs.items()})
    return float(value)


@pytest.mark.parametrize(
    ("signs", "expected"),
    [
        ({}, 1.0),
        ({"strength": 2.0}, 2.0),
        ({"progress": 0.25}, 1.5),
        ({"time_share": 0.25}, 1.5),
        ({"progress": 0.25, "time_share": 0.75}, 2.5),
        ({"progress": 0.75, "time_share": 0.25}, 2.5),
        ({"time_share": 7.0}, 3.0),
        ({"score": 0.5}, 1.25),
        ({"days": 4.0}, 2.0),
        ({"days": 8.0}, 2.5),
        ({"days": 4_000.0}, 2.5),
        ({"strength": 2.0, "progress": 1.0, "score": 1.0, "days": 8.0}, 6.0),
        ({"strength": 0.0, "progress": 1.0, "score": 1.0, "days": 8.0}, 0.0),
    ],
)
def test_the_weight_is_what_the_formula_says_by_hand(signs: dict[str, float], expected: float) -> None:
    assert weight(**signs) == expected


@given(signs=SIGNS)
def test_a_weight_is_at_least_nothing_and_at_most_the_stated_maximum(signs: dict[str, float]) -> None:
    assert 0.0 <= weight(**signs) <= MAX_WEIGHT == 6.0


@given(signs=SIGNS, name=st.sampled_from(["strength", "progress", "time_share", "score", "days"]), more=st.floats(0, 9))
def test_no_sign_of_study_makes_a_weight_smaller(signs: dict[str, float], name: str, more: float) -> None:
    assert weight(**signs | {name: np.nan_to_num(signs[name]) + more}) >= weight(**signs)


@given(signs=SIGNS)
def test_what_is_not_told_counts_as_nothing(signs: dict[str, float]) -> None:
    assert weight(**signs) == weight(**{name: float(np.nan_to_num(sign)) for name, sign in signs.items()})


def test_opinions_against_an_item_are_worth_nothing_and_finishing_it_is_worth_more_than_opening_it() -> None:
    assert VERB_STRENGTH["disliked"] == VERB_STRENGTH["dismissed"] == 0.0
    assert VERB_STRENGTH["completed"] > VERB_STRENGTH["bookmarked"] > VERB_STRENGTH["viewed"] > 0.0
    assert COUNTED_DAYS == 8


@given(age=st.floats(0, 10_000), half_life=st.floats(0.5, 1_000))
def test_evidence_halves_with_every_half_life_and_never_grows(age: float, half_life: float) -> None:
    now, later = decay(np.array([age, age + half_life]), half_life)
    assert 0.0 <= later <= now <= 1.0
    assert later == pytest.approx(now / 2)


def test_the_future_has_not_faded() -> None:
    assert decay(np.array([-5.0, 0.0]), 30.0).tolist() == [1.0, 1.0]


def test_verbs_are_worth_what_the_explanation_of_weights_says() -> None:
    worth: dict[float, set[str]] = {}
    for verb, strength in VERB_STRENGTH.items():
        worth.setdefault(strength, set()).add(verb)
    assert worth == {
        0.0: {"disliked", "dismissed"},
        1.0: {"viewed", "started", "progressed", "answered", "failed", "rated"},
        1.5: {"bookmarked"},
        2.0: {"completed", "passed", "liked", "shared"},
    }


def test_what_fades_ends_at_a_hundred_and_twenty_half_lives() -> None:
    assert decay(np.array([120.0, 121.0, 1e6]), 1.0).tolist() == [0.5**120] * 3
