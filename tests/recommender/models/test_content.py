"""Content: items like those that a member, and others of its role and industry, study more than everybody."""

import numpy as np
import pytest

from features.interactions import Interactions
from recommender.models.content import Content
from tests.recommender.builders import INDUSTRIES, ROLES, items_of, make_interactions

DRIVER = {"role": "83", "industry": "54"}
CLERK = {"role": "41", "industry": "54"}
ITEMS = {
    **{f"road{number}": {"topics": "road", "published_at": "2026-01-10"} for number in range(4)},
    **{f"office{number}": {"topics": "office", "published_at": "2026-01-10"} for number in range(4)},
    "road new": {"topics": "road", "published_at": "2026-02-28"},
    "office new": {"topics": "office", "published_at": "2026-02-28"},
    "untold": {"published_at": "2026-02-28"},
}


def organisation(days_ago: float = 20.0, **others: dict[str, str]) -> Interactions:
    """Return drivers who study the road and clerks who study the office, and others who have not studied."""
    members = {f"d{number}": DRIVER for number in range(6)} | {f"c{number}": CLERK for number in range(6)}
    studied = [
        (
            member,
            f"{'road' if member[0] == 'd' else 'office'}{(int(member[1:]) + step) % 4}",
            "completed",
            days_ago - step,
        )
        for member in members
        for step in range(3)
    ]
    return make_interactions(studied, members=members | others, items=ITEMS)


def model(*, with_start_rate: bool = True) -> Content:
    """Return the model, unfitted."""
    return Content(ROLES, INDUSTRIES, with_start_rate=with_start_rate)


@pytest.mark.parametrize("with_start_rate", [True, False])
def test_in_a_log_that_ended_long_ago_nothing_is_scored_rather_than_everything_alike(with_start_rate: bool) -> None:
    lists = model(with_start_rate=with_start_rate).fit(organisation(12 * 365.25)).recommend(["d0"], k=10)
    assert lists.empty


def test_a_new_item_comes_before_others_for_whom_its_topic_is_and_after_them_for_whom_it_is_not() -> None:
    interactions = organisation(driver=DRIVER, clerk=CLERK)

    lists = model(with_start_rate=False).fit(interactions).recommend(["driver", "clerk"], k=10)

    assert items_of(lists, "driver")[:5] == ["road new", "road0", "road1", "road2", "road3"]
    assert items_of(lists, "clerk")[:5] == ["office new", "office0", "office1", "office2", "office3"]


def test_what_the_member_itself_studies_outweighs_its_role() -> None:
    interactions = organisation()
    clerk = make_interactions([("m", f"road{number}") for number in range(3)], members={"m": CLERK}, items=ITEMS)
    fitted = Content(ROLES, INDUSTRIES, shrinkage=2.0, with_start_rate=False).fit(interactions)

    assert items_of(fitted.recommend(["m"], k=1, interactions=clerk), "m") == ["road new"]


def test_an_item_of_which_nothing_is_told_is_not_spoken_of() -> None:
    interactions = organisation(driver=DRIVER)

    lists = model().fit(interactions).recommend(interactions.members.index, k=100, exclude_seen=False)

    assert set(lists["item_id"]) == set(ITEMS) - {"untold"}


def test_nothing_is_proposed_where_no_item_was_started_for_months() -> None:
    """All start rates are 0 then, and equal scores would propose items in the order of their ids."""
    interactions = make_interactions([("a", "road1", "completed", 100.0)], members={"a": DRIVER}, items=ITEMS)

    assert model().fit(interactions).recommend(["a"], k=10).empty
    assert len(model(with_start_rate=False).fit(interactions).recommend(["a"], k=10)) > 0


def test_there_is_no_opinion_for_a_member_of_whom_nothing_is_known() -> None:
    interactions = organisation(stranger={}, clerk={"role": "41"})

    lists = model().fit(interactions).recommend(["stranger", "clerk"], k=3)

    assert lists["member_id"].unique().tolist() == ["clerk"]


def test_the_taste_of_a_group_is_its_share_over_everybodys_share_shrunk() -> None:
    interactions = organisation(driver=DRIVER)
    shrinkage = 7.0
    fitted = Content(ROLES, INDUSTRIES, half_life_days=np.inf, shrinkage=shrinkage, with_start_rate=False).fit(
        interactions
    )

    lists = fitted.recommend(["driver"], k=100).set_index("item_id")["score"]

    # All 18 studies of the drivers are of the road, as half of everybody's are. Of the groups around a driver the first
    # is the section, which holds everybody; the three finer ones hold the drivers alone.
    taste = 1.0
    for _ in range(3):
        taste = (18 * 2 + shrinkage * taste) / (18 + shrinkage)
    assert lists["road new"] == pytest.approx(taste, rel=1e-5)


def test_who_switched_personalisation_off_does_not_count() -> None:
    off = {f"o{number}": DRIVER | {"personalised": "false"} for number in range(9)}
    members = {f"d{number}": DRIVER for number in range(3)} | {"driver": DRIVER}
    studied = [(member, f"road{number}") for member in list(members)[:3] for number in range(2)]
    farmed = [(member, f"office{number}") for member in off for number in range(4)]
    honest, other = (
        model().fit(make_interactions(rows, members=members | off, items=ITEMS)).recommend(["driver"], k=20)
        for rows in (studied, studied + farmed)
    )

    assert honest.equals(other)
