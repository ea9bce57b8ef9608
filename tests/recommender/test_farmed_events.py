"""Farmed events do not pay: what one member, or a few, can do to the lists of others is bounded."""

from functools import cache

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from content_catalog.schema import ITEMS
from features.interactions import Interactions, build_interactions
from features.schema import MEMBERS
from features.weights import WeightingRules
from recommender.models.item_knn import ItemKNN
from recommender.models.popularity import Popularity
from recommender.models.segment import SegmentPopularity
from recommender.registry import ModelParameters
from tests.recommender.builders import (
    INDUSTRIES,
    NOW,
    ROLES,
    Study,
    event_frame,
    fitted_pipeline,
    make_interactions,
    table,
)

N_MEMBERS, N_ITEMS, N_TOPICS = 2_000, 300, 15
STUDIES_PER_MEMBER = 20
FAKE_READS = 1_000
TOP = 10
KINDS = (("22", "Q"), ("25", "I"), ("52", "F"), ("83", "60"), ("93", "E"))
TARGETS = {"all items": np.arange(N_ITEMS), "one item": np.array([17])}
FARMERS: NDArray[np.intp] = np.random.default_rng(3).choice(N_MEMBERS, N_MEMBERS // 100, replace=False)


@cache
def honest_events() -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Return events, members and items of an organisation whose tastes depend on role, industry and person."""
    rng = np.random.default_rng(2)
    role = rng.integers(0, len(KINDS), N_MEMBERS)
    industry = np.where(rng.random(N_MEMBERS) < 0.7, role, rng.integers(0, len(KINDS), N_MEMBERS))
    members = table(
        MEMBERS,
        {f"m{n:04d}": {"role": KINDS[role[n]][0], "industry": KINDS[industry[n]][1]} for n in range(N_MEMBERS)},
    )
    items = table(ITEMS, {f"i{n:03d}": {"duration_seconds": "600"} for n in range(N_ITEMS)})
    by_role, by_industry, by_person = (
        rng.gamma(0.3, 1.0, (size, N_TOPICS))[who]
        for size, who in ((len(KINDS), role), (len(KINDS), industry), (N_MEMBERS, np.arange(N_MEMBERS)))
    )
    topic, quality = rng.integers(0, N_TOPICS, N_ITEMS), rng.gamma(1.0, 1.0, N_ITEMS)
    taste = (by_role + by_industry + by_person)[:, topic] * quality + 0.02
    counts = 1 + rng.poisson(STUDIES_PER_MEMBER - 1, N_MEMBERS)
    studied = np.concatenate([rng.choice(N_ITEMS, counts[n], p=taste[n] / taste[n].sum()) for n in range(N_MEMBERS)])
    verb = rng.choice(np.array(["viewed", "completed", "progressed"], dtype=object), len(studied), p=[0.3, 0.5, 0.2])
    opened = verb == "viewed"
    events = event_frame(
        np.repeat(np.arange(N_MEMBERS), counts),
        studied,
        verb=verb,
        days_ago=rng.exponential(30.0, len(studied)).clip(0.01, 180.0),
        seconds=np.where(opened, rng.exponential(120.0, len(studied)), rng.uniform(300.0, 600.0, len(studied))),
        progress=np.where(opened, np.nan, rng.uniform(0.3, 1.0, len(studied))),
    )
    return events, members, items


def farmed_events(targets: NDArray[np.intp], days: float) -> pd.DataFrame:
    """Return 1,000 fake reads of a minute by each of the farmers, of items at random, over some days."""
    rng = np.random.default_rng(7)
    n_reads = FAKE_READS * len(FARMERS)
    return event_frame(
        np.repeat(FARMERS, FAKE_READS),
        rng.choice(targets, n_reads),
        verb=np.full(n_reads, "viewed", dtype=object),
        days_ago=rng.uniform(0.1, days, n_reads),
        seconds=np.full(n_reads, 60.0),
        progress=np.full(n_reads, np.nan),
    )


@cache
def top_lists(targets: str | None = None, days: float = 0.0) -> dict[str, set[str]]:
    """Return the items of everybody's list in the honest run, or where farmers read some targets over some days."""
    events, members, items = honest_events()
    if targets is not None:
        events = pd.concat([events, farmed_events(TARGETS[targets], days)], ignore_index=True)
    interactions = build_interactions(events, members=members, items=items, as_of=NOW)
    lists = fitted_pipeline(interactions, ModelParameters()).recommend(interactions, interactions.members.index, k=TOP)
    return lists.groupby("member_id")["item_id"].agg(set).to_dict()


@pytest.mark.parametrize(
    ("targets", "days"),
    [("all items", 0.35), ("all items", 30.0), ("one item", 30.0)],
    ids=["all items in one night", "all items over thirty days", "one item over thirty days"],
)
def test_a_thousand_fake_reads_by_one_account_in_a_hundred_leave_the_lists_of_others_as_they_were(
    targets: str, days: float
) -> None:
    honest, farmed = top_lists(), top_lists(targets, days)
    farmers = {f"m{number:04d}" for number in FARMERS}

    others = [member for member in honest if member not in farmers]
    overlap = np.mean([len(honest[member] & farmed[member]) / TOP for member in others])

    assert len(others) == N_MEMBERS - len(FARMERS)
    # At worst 0.944: by ALS's confidences of 1 + alpha r, farmers weigh more than in the 0.95 of before.
    assert overlap >= 0.94


def test_the_lists_that_farming_was_tried_on_differ_from_member_to_member() -> None:
    honest = top_lists()
    first = next(iter(honest.values()))

    shared = [len(first & other) / TOP for other in honest.values()]

    assert np.mean(shared) < 0.5


def with_farmer(reads: int, items: list[str], rules: WeightingRules | None = None) -> Interactions:
    """Return a few honest members and one who read some items again and again, once an hour."""
    honest = [("a", "x"), ("a", "y"), ("b", "x"), ("b", "z"), ("c", "y")]
    farmed = [
        Study("farmer", items[read % len(items)], "completed", (read + 1) / 24, 900.0, 1.0) for read in range(reads)
    ]
    named: dict[str, dict[str, str]] = {item: {"duration_seconds": "60"} for item in items}
    who = {name: {"role": "83", "industry": "54"} for name in ("a", "b", "c", "farmer", "new")}
    return make_interactions([*honest, *farmed], members=who, items=named, rules=rules)


def scores(model: Popularity | SegmentPopularity, interactions: Interactions) -> pd.Series:
    """Return what a new member is told of each item; nothing is zero."""
    lists = model.fit(interactions).recommend(["new"], k=1_000)
    return lists.set_index("item_id")["score"].reindex(interactions.items.index, fill_value=0.0)


EVENTS = st.lists(
    st.tuples(
        st.sampled_from("abc"),
        st.sampled_from([f"i{number}" for number in range(9)]),
        st.sampled_from(["viewed", "completed", "liked", "shared", "dismissed"]),
        st.floats(0, 400),
        st.floats(0, 90_000),
        st.floats(0, 1),
    ),
    max_size=60,
)


@settings(max_examples=20)
@given(
    events=EVENTS,
    influence=st.sampled_from([0.5, 3.0, 20.0]),
    half_life_days=st.sampled_from([1.0, 7.0, 90.0, np.inf]),
)
def test_no_members_evidence_sums_to_more_than_its_influence(
    events: list[tuple[str, str, str, float, float, float]], influence: float, half_life_days: float
) -> None:
    interactions = make_interactions(events, members={"a": {}}, rules=WeightingRules(member_cap=influence))

    matrix = interactions.matrix(half_life_days)

    assert (matrix.data > 0).all()
    assert (np.asarray(matrix.sum(axis=1)) <= influence * (1 + 1e-6)).all()


@pytest.mark.parametrize("influence", [1.0, 20.0])
@pytest.mark.parametrize("n_items", [1, 3, 200])
def test_one_member_lifts_the_popularity_of_all_items_together_by_its_influence_at_most(
    n_items: int, influence: float
) -> None:
    items = [f"f{number:03d}" for number in range(n_items)]
    rules = WeightingRules(member_cap=influence)
    model = Popularity(90.0)

    change = scores(model, with_farmer(1_000, items, rules)) - scores(model, with_farmer(0, items, rules))

    assert (change >= 0).all()
    assert 0.3 * min(influence, 6.0) < change.sum() <= influence * (1 + 1e-6)


def test_one_member_weighs_no_more_in_its_segment_than_its_influence_allows() -> None:
    model = SegmentPopularity(ROLES, INDUSTRIES, np.inf, 0.0)
    items = ["f0", "f1", "f2", "f3", "f4", "f5"]

    farmed = scores(model, with_farmer(1_000, items, WeightingRules(member_cap=5.0)))

    # The five honest studies weigh two each.
    assert farmed[items].sum() == pytest.approx(5 / (5 + 10))


@pytest.mark.parametrize("n_items", [2, 5, 50])
def test_what_only_one_member_links_is_discounted_however_often_it_was_read(n_items: int) -> None:
    items = [f"f{number:02d}" for number in range(n_items)]
    shrinkage = 5.0

    similarity = ItemKNN(100, shrinkage).fit(with_farmer(1_000, items)).similarity.toarray()

    # All that one member says of two items together is 1/2 at most: its row has length one.
    linked = similarity[similarity > 0]
    assert len(linked) >= n_items * (n_items - 1)
    assert linked.max() <= 0.5 / (0.5 + shrinkage) + 1e-6


def test_reading_an_item_again_and_again_in_one_day_says_no_more_than_reading_it_once() -> None:
    once, often = (with_farmer(reads, ["x"]) for reads in (1, 20))

    first, second = (
        interactions.matrix(np.inf)[interactions.members.index.get_loc("farmer")].toarray()
        for interactions in (once, often)
    )
    np.testing.assert_allclose(first, second, rtol=1e-6)
