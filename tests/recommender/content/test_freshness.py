"""Expected starts of items per day."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_matrix

from features.interactions import Interactions
from features.study_time import DAY_MICROSECONDS
from recommender.content.freshness import OBSERVED_DAYS, PRIOR_STUDIES, Floats, start_rate
from tests.recommender.builders import NOW, make_interactions

DAY = "%Y-%m-%dT%H:%M:%SZ"


def published(days_ago: float) -> dict[str, str]:
    """Return the description of an item published some days ago."""
    return {"published_at": f"{(NOW - np.timedelta64(round(days_ago * 86_400), 's')).strftime(DAY)}"}


def start_rates(interactions: Interactions) -> Floats:
    """Return the start rates of items without any description."""
    return start_rate(interactions, csr_matrix((interactions.shape[1], interactions.shape[1])))


def test_a_new_item_is_expected_to_be_begun_as_others_of_its_age_were() -> None:
    items = {f"old{number}": published(40 + number) for number in range(20)} | {
        f"past{number}": published(9 + number % 10) for number in range(20)
    }
    # Everybody begins what came out on the day.
    studied = [
        (f"m{member:03d}", f"past{number}", "viewed", 9 + number % 10 - 0.5)
        for number in range(20)
        for member in range(9)
    ]
    interactions = make_interactions(studied, items=items | {"new": published(0.25), "ageing": published(5)})

    expected = dict(zip(interactions.items.index, start_rates(interactions), strict=True))

    assert expected["new"] > 10 * expected["old0"]
    assert expected["new"] > 3 * expected["ageing"]


def test_of_items_of_one_age_the_one_begun_more_often_has_the_higher_rate() -> None:
    items = {name: published(10) for name in "abc"}
    interactions = make_interactions([(f"m{number}", "a", "viewed", 8.0) for number in range(6)], items=items)

    a, b, c = start_rates(interactions)

    assert b == c > 0
    assert a / b == pytest.approx((6 + PRIOR_STUDIES) / PRIOR_STUDIES)


def test_of_new_items_the_one_like_items_begun_more_often_has_the_higher_rate() -> None:
    items = {"a": published(40), "b": published(40), "c": published(1), "d": published(1)}
    interactions = make_interactions([(f"m{number}", "a", "viewed", 30.0) for number in range(9)], items=items)
    alike = np.eye(4)
    alike[0, 2] = alike[1, 3] = 0.8

    a, b, c, d = start_rate(interactions, csr_matrix(alike))

    assert a > b
    assert c > d


def test_an_item_without_a_day_of_publication_counts_among_the_oldest() -> None:
    interactions = make_interactions(
        [("m", "x", "viewed", 2.0)], items={"x": published(300), "a": published(300), "b": {}}
    )

    a, b, _ = start_rates(interactions)

    assert a == b


@settings(deadline=None, max_examples=20)
@given(
    ages=st.lists(st.floats(0.0, 500.0), min_size=1, max_size=6),
    studies=st.lists(st.tuples(st.integers(0, 5), st.integers(0, 3), st.floats(0.0, 60.0)), max_size=20),
)
def test_every_item_is_expected_to_be_begun_by_somebody(
    ages: list[float], studies: list[tuple[int, int, float]]
) -> None:
    items = {f"i{number}": published(age) for number, age in enumerate(ages)}
    interactions = make_interactions(
        [(f"m{member}", f"i{item % len(ages)}", "viewed", ago) for item, member, ago in studies],
        members={"m0": {}},
        items=items,
    )

    expected = start_rates(interactions)

    assert np.isfinite(expected).all()
    lately = (NOW.value // 1_000 - interactions.cells["last_at"]) < OBSERVED_DAYS * DAY_MICROSECONDS
    assert (expected > 0).all() if lately.any() else (expected == 0).all()


def test_rates_are_those_worked_by_hand() -> None:
    # Three items of ten days, one of which six members started eight days ago, at an age of two days. In these days
    # each item was two days in the group of 2 to 4 days, three in 4 to 7 and three in 7 to 14. The overall rate is 6
    # starts in 24 item days, so the groups have (6 + 10 · ¼) / (6 + 10), and (0 + 10 · ¼) / (9 + 10) twice.
    items = {name: published(10) for name in "abc"}
    interactions = make_interactions([(f"m{number}", "a", "viewed", 8.0) for number in range(6)], items=items)
    young, older = (6 + 2.5) / 16, 2.5 / 19
    expected = 2 * young + 6 * older

    assert start_rates(interactions).tolist() == pytest.approx(
        [older * (6 + 3) / (expected + 3), *[older * 3 / (expected + 3)] * 2]
    )
