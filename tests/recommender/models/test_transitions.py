"""First-order Markov chain with skips."""

import pytest

from features.interactions import Interactions
from features.weights import WeightingRules
from recommender.models.transitions import Transitions
from tests.recommender.builders import items_of, make_interactions


def matrix_of(model: Transitions, interactions: Interactions) -> dict[tuple[str, str], float]:
    """Return the fitted shares above 0, by source and target."""
    coo = model.fit(interactions).shares.tocoo()
    names = interactions.items.index
    return {
        (names[row], names[column]): value
        for row, column, value in zip(*coo.coords, coo.data, strict=True)
        if value > 1e-9
    }


def test_each_lag_counts_apart_and_less_the_further_it_is() -> None:
    # Two members study a, b, c and one a, c. Lag 1: a → b twice, a → c once, b → c twice; lag 2: a → c twice.
    studied = [(f"m{n}", item, "viewed", 9.0 - day) for n in range(2) for day, item in enumerate("abc")]
    interactions = make_interactions([*studied, ("m2", "a", "viewed", 5.0), ("m2", "c", "viewed", 2.0)])

    shares = matrix_of(Transitions(lags=2, step_decay=0.5, shrinkage=1.0), interactions)

    assert shares == {
        ("a", "b"): pytest.approx(0.5 * 2 / (3 + 1)),
        ("a", "c"): pytest.approx(0.5 * 1 / (3 + 1) + 0.25 * 2 / (2 + 1)),
        ("b", "c"): pytest.approx(0.5 * 2 / (2 + 1)),
    }


def test_a_member_who_studied_much_counts_no_more_than_its_influence() -> None:
    interactions = make_interactions(
        [("m", item, "viewed", 9.0 - day) for day, item in enumerate("abcd")], rules=WeightingRules(member_cap=2.0)
    )

    shares = matrix_of(Transitions(lags=1, step_decay=1.0, shrinkage=0.5), interactions)

    assert shares["a", "b"] == pytest.approx(0.5 / (0.5 + 0.5))


def test_scores_sum_over_the_latest_items_the_last_of_which_counts_most() -> None:
    studied = [
        (f"{item}{n}", target, "viewed", 3.0 - later)
        for item in "ab"
        for n in range(4)
        for later, target in enumerate((item, f"after {item}"))
    ]
    interactions = make_interactions([*studied, ("new", "b", "viewed", 5.0), ("new", "a", "viewed", 2.0)])
    model = Transitions(items=2, lags=1, step_decay=0.5, shrinkage=0.0)

    lists = model.fit(interactions).recommend(["new"], k=9)

    # a was the last: its share of 4 / 4 counts once; b → a is studied already, and b → "after b" has 4 of 5.
    assert items_of(lists, "new") == ["after a", "after b"]
    assert lists["score"].tolist() == pytest.approx([0.5 * 1.0, 0.5 * 0.5 * 4 / 5])
    only_last = Transitions(items=1, lags=1, step_decay=0.5, shrinkage=0.0).fit(interactions).recommend(["new"], k=9)
    assert items_of(only_last, "new") == ["after a"]


def test_items_of_one_moment_have_no_order_and_count_as_the_mean_of_all_orders() -> None:
    # A log of days alone: x on the first day, and a, b on the second. Both orders x a b and x b a count half. Lag 1:
    # x → a ½, x → b ½, a → b ½, b → a ½; lag 2: x → b ½, x → a ½.
    interactions = make_interactions([("m", "x", "viewed", 4.0), ("m", "a", "viewed", 2.0), ("m", "b", "viewed", 2.0)])

    shares = matrix_of(Transitions(lags=2, step_decay=0.5, shrinkage=0.0), interactions)

    assert shares == {
        ("x", "a"): pytest.approx(0.5 * 0.5 + 0.25 * 0.5),
        ("x", "b"): pytest.approx(0.5 * 0.5 + 0.25 * 0.5),
        ("a", "b"): pytest.approx(0.5),
        ("b", "a"): pytest.approx(0.5),
    }


@pytest.mark.parametrize("names", [("a", "b", "c"), ("c", "b", "a")])
def test_on_days_alone_no_list_depends_on_the_order_of_ids(names: tuple[str, str, str]) -> None:
    first, second, third = names
    studied = [(f"m{n}", item, "viewed", 3.0) for n in range(5) for item in (first, second, third)]
    interactions = make_interactions([*studied, ("new", first, "viewed", 1.0)])

    lists = Transitions().fit(interactions).recommend(["new"], k=2)

    assert sorted(items_of(lists, "new")) == sorted([second, third])
    assert len(set(lists["score"])) == 1
