"""From fitted models to lists: who gets what by which path, and who never gets what."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from features.interactions import Interactions
from recommender.explanations.sources import GROUPS
from recommender.models.item_knn import ItemKNN
from recommender.pipeline import LIST_COLUMNS, Pipeline
from recommender.ranking.prior import shipped_prior
from recommender.ranking.ranker import Ranker
from recommender.registry import STRATEGIES, ModelParameters, feature_names, make_models
from recommender.strategies import strategies
from tests.recommender.builders import (
    INDUSTRIES,
    MODELS,
    ROLES,
    SMALL,
    Described,
    Organisation,
    Study,
    fitted_pipeline,
    items_of,
    make_interactions,
    random_organisation,
)

DRIVER, CLERK = {"role": "83", "industry": "54"}, {"role": "41", "industry": "60"}
OFF = {"personalised": "false"}


def recommended(interactions: Interactions, k: int = 10, parameters: ModelParameters = SMALL) -> pd.DataFrame:
    """Return the lists of all members."""
    return fitted_pipeline(interactions, parameters).recommend(interactions, interactions.members.index, k=k)


def path_of(lists: pd.DataFrame, member: str) -> str:
    """Return the one path that made a member's list."""
    (path,) = lists.loc[lists["member_id"] == member, "strategy"].unique()
    return str(path)


def depot(items: Described | None = None) -> Interactions:
    """Return drivers who study the road, clerks who study the office, and members of every other kind."""
    members = {f"d{number}": DRIVER for number in range(6)} | {f"c{number}": CLERK for number in range(6)}
    studied = [Study(f"d{n}", f"road{(n + step) % 5}") for n in range(6) for step in range(3)]
    studied += [Study(f"c{n}", f"office{(n + step) % 5}") for n in range(6) for step in range(3)]
    studied += [Study("sulky", "road0", "dismissed"), Study("off", "road1"), Study("off-too", "office0")]
    members |= {
        "sulky": DRIVER,
        "off": DRIVER | OFF,
        "off-too": CLERK | OFF,
        "new-driver": DRIVER,
        "only-role": {"role": "83"},
        "only-industry": {"industry": "60"},
        "odd": {"role": "wizard"},
        "unknown": {},
    }
    return make_interactions(studied, members=members, items={"alone": {}} | dict(items or {}))


# -- strategies


def test_each_kind_of_member_has_its_own_path() -> None:
    lists = recommended(depot())

    expected = {
        "d0": "history",
        "sulky": "segment",
        "new-driver": "segment",
        "only-role": "segment",
        "only-industry": "segment",
        "odd": "segment",
        "unknown": "popular",
        "off": "popular",
    }
    assert {member: path_of(lists, member) for member in expected} == expected


def test_the_path_is_told_of_every_member_even_of_one_without_a_list() -> None:
    interactions = make_interactions([("a", "i")], members={"b": DRIVER, "c": {}})

    assert strategies(interactions).to_dict() == {"a": "history", "b": "segment", "c": "popular"}


def test_every_member_gets_a_list_of_ranks_from_one_without_repetition() -> None:
    interactions = depot()

    lists = recommended(interactions, k=7)

    assert list(lists.columns) == LIST_COLUMNS
    assert set(lists["member_id"]) == set(interactions.members.index)
    assert not lists.duplicated(["member_id", "item_id"]).any()
    for _, mine in lists.groupby("member_id"):
        assert mine["rank"].tolist() == list(range(1, len(mine) + 1))
        assert len(mine) == 7
    assert set(lists["strategy"]) <= set(STRATEGIES)
    assert set(lists["source"]) <= set(GROUPS)


def test_k_cuts_lists_and_nothing_else() -> None:
    interactions = depot()
    long = recommended(interactions, k=8)

    short = recommended(interactions, k=3)

    assert_frame_equal(short, long[long["rank"] <= 3].reset_index(drop=True))


def test_a_new_member_with_a_role_and_an_industry_gets_what_its_like_study() -> None:
    lists = recommended(depot(), k=5)

    assert all(item.startswith("road") for item in items_of(lists, "new-driver"))
    assert all(item.startswith("road") for item in items_of(lists, "only-role"))
    assert all(item.startswith("office") for item in items_of(lists, "only-industry"))


@pytest.mark.parametrize("described", [True, False])
def test_role_and_industry_are_not_outweighed_by_what_is_popular_for_newcomers(described: bool) -> None:
    descriptions = {f"road{n}": {"title": "on the road"} for n in range(5)} | {
        f"office{n}": {"title": "desk"} for n in range(5)
    }
    interactions = depot(descriptions if described else None)
    pipeline = Pipeline(make_models(SMALL, roles=ROLES, industries=INDUSTRIES), roles=ROLES, industries=INDUSTRIES)
    pipeline.fit(interactions)
    ranked = replace(pipeline, ranker=Ranker(shipped_prior(feature_names())).fit([]))

    lists = ranked.recommend(interactions, interactions.members.index, k=5)

    assert all(item.startswith("road") for item in items_of(lists, "new-driver"))
    assert all(item.startswith("office") for item in items_of(lists, "only-industry"))
    sources = lists.loc[lists["member_id"] == "new-driver", "source"]
    assert set(sources) <= {"topics", "segment"}


def test_a_member_with_history_gets_what_goes_with_it_whatever_its_role() -> None:
    interactions = depot()
    changed = interactions.members.assign(
        role=interactions.members["role"].where(interactions.members.index != "d0", "41")
    )

    lists = recommended(replace(interactions, members=changed), k=2)

    assert all(item.startswith("road") for item in items_of(lists, "d0"))


def test_items_that_nobody_studied_fill_a_list_that_would_stay_short() -> None:
    lists = recommended(depot(), k=100)

    filled = lists[lists["item_id"] == "alone"]
    assert set(filled["member_id"]) == set(depot().members.index)
    assert set(filled["source"]) == {"new"}
    assert (filled["rank"] == lists.groupby("member_id")["rank"].max()[filled["member_id"]].to_numpy()).all()


@pytest.mark.parametrize(("k", "most"), [(1, 2), (2, 2), (5, 5)])
def test_the_depth_bounds_how_many_items_each_model_proposes_unless_lists_are_longer(k: int, most: int) -> None:
    interactions = depot()
    models = make_models(SMALL, roles=ROLES, industries=INDUSTRIES)
    shallow = Pipeline(models, roles=ROLES, industries=INDUSTRIES, depth=2)
    shallow.fit(interactions)

    for rows, candidates in shallow.proposals(interactions, interactions.members.index, k=k):
        proposed = np.zeros((len(rows), len(models)), dtype=int)
        np.add.at(proposed, candidates.row, np.isfinite(candidates.ranks).astype(int))

        assert proposed.max() == most
        assert (proposed[:, list(models).index("popularity")] == most).all()


def test_where_nobody_has_studied_anything_everybody_gets_the_newest() -> None:
    items = {"old": {"published_at": "2025-01-01"}, "new": {"published_at": "2026-02-01"}, "undated": {}}
    interactions = make_interactions([], members={"a": {}, "b": DRIVER, "c": OFF}, items=items)

    lists = recommended(interactions)

    assert [items_of(lists, member) for member in "abc"] == [["new", "old", "undated"]] * 3


def test_nobody_asked_gets_an_empty_frame_of_the_declared_columns() -> None:
    interactions = depot()

    lists = fitted_pipeline(interactions).recommend(interactions, interactions.members.index[:0], k=3)

    assert lists.empty
    assert list(lists.columns) == LIST_COLUMNS


def test_a_list_does_not_depend_on_who_else_is_asked(organisation: Organisation) -> None:
    interactions = organisation.interactions
    pipeline = fitted_pipeline(interactions)
    together = pipeline.recommend(interactions, interactions.members.index, k=9)

    for member in interactions.members.index:
        alone = pipeline.recommend(interactions, pd.Index([member]), k=9)
        assert_frame_equal(alone, together[together["member_id"] == member].reset_index(drop=True))


def test_parameters_reach_the_models() -> None:
    parameters = ModelParameters(1.0, 2.0, 3.0, 13, 4.0, 5, 6.0, 7, 8, 9.0, 10.0, 10.5, 11, 12)

    models = make_models(parameters, roles=ROLES, industries=INDUSTRIES)

    assert models["popularity"].get_params() == {"half_life_days": 1.0}
    assert models["segment"].get_params(deep=False) == {
        "roles": ROLES, "industries": INDUSTRIES, "half_life_days": 2.0, "shrinkage": 3.0,
        "min_members": 13,
    }  # fmt: skip
    assert models["content"].get_params()["min_members"] == models["taste"].get_params()["min_members"] == 13
    assert models["item_knn"].get_params() == {"half_life_days": 4.0, "neighbours": 5, "shrinkage": 6.0}
    assert models["ease"].get_params()["regularization"] == models["ease_recent"].get_params()["regularization"] == 10.5
    assert models["als"].get_params(deep=False) == {
        "half_life_days": 4.0, "factors": 7, "iterations": 8, "regularization": 9.0, "alpha": 10.0, "seed": 11,
        "threads": 12,
    }  # fmt: skip


def test_every_path_weighs_registered_models_alone() -> None:
    assert {name for weights in STRATEGIES.values() for name in weights} <= set(MODELS)


def test_the_neighbours_of_a_pipeline_are_those_that_explain() -> None:
    assert isinstance(fitted_pipeline(depot()).item_knn, ItemKNN)


# -- shared lists


def test_every_member_would_get_the_list_it_shares_if_it_were_asked_alone() -> None:
    interactions = random_organisation(5, members=80, items=30, studies=300).interactions
    pipeline = fitted_pipeline(interactions)

    shared = pipeline.representatives(interactions)

    assert shared.index.equals(interactions.members.index)
    assert shared.nunique() < len(shared)
    lists = pipeline.recommend(interactions, pd.Index(shared.unique()), k=10)
    for member, representative in shared.items():
        alone = pipeline.recommend(interactions, pd.Index([member]), k=10)
        theirs = lists[lists["member_id"] == representative].reset_index(drop=True)
        assert_frame_equal(alone.drop(columns="member_id"), theirs.drop(columns="member_id"))


def test_reasons_of_a_shared_list_are_those_each_of_its_members_would_get() -> None:
    interactions = random_organisation(5, members=150, items=30, studies=500).interactions
    pipeline = fitted_pipeline(interactions)
    shared = pipeline.representatives(interactions)

    explained = pipeline.explain(interactions, pipeline.recommend(interactions, interactions.members.index, k=10))

    lists = explained.groupby("member_id")["reason"].agg(list)
    assert all(lists.get(member) == lists.get(representative) for member, representative in shared.items())


def test_a_member_with_any_event_shares_its_list_with_nobody() -> None:
    interactions = make_interactions(
        [("a", "i"), ("b", "i"), Study("c", "i", "dismissed")],
        members=dict.fromkeys(["a", "b", "c", "d", "e"], DRIVER) | {"f": CLERK, "g": DRIVER | OFF},
    )

    shared = fitted_pipeline(interactions).representatives(interactions)

    assert shared.to_dict() == {"a": "a", "b": "b", "c": "c", "d": "d", "e": "d", "f": "f", "g": "g"}


def test_a_shared_list_is_one_audience() -> None:
    items = {"i": {}, "north": {"audience": "restricted", "target_units": "North"}}
    members = {"a": DRIVER, "b": DRIVER | {"units": "North"}, "c": DRIVER | {"units": "North/Depot 3"}}
    interactions = make_interactions([], members=members, items=items)
    pipeline = fitted_pipeline(interactions)

    shared = pipeline.representatives(interactions)

    lists = pipeline.recommend(interactions, pd.Index(shared.unique()), k=10)
    assert [set(items_of(lists, shared[member])) for member in "abc"] == [{"i"}, {"i", "north"}, {"i", "north"}]


# -- personalisation switched off


def test_who_switched_personalisation_off_gets_the_list_of_somebody_of_whom_nothing_is_known() -> None:
    interactions = depot()

    lists = recommended(interactions, k=100)

    assert path_of(lists, "off") == path_of(lists, "off-too") == path_of(lists, "unknown") == "popular"
    assert items_of(lists, "off") == items_of(lists, "off-too") == items_of(lists, "unknown")


OFF_LISTS: list[pd.DataFrame] = []


@settings(max_examples=10, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["road0", "road3", "office1", "locked"]),
            st.sampled_from(["viewed", "completed", "failed", "liked", "dismissed"]),
            st.floats(0, 300),
        ),
        max_size=8,
    )
)
def test_a_list_without_personalisation_is_the_same_whatever_was_studied(log: list[tuple[str, str, float]]) -> None:
    members = {f"d{number}": DRIVER for number in range(6)} | {"off": DRIVER | OFF}
    others = [Study(f"d{n}", f"road{(n + step) % 5}") for n in range(6) for step in range(3)]
    items = {"locked": {"prerequisites": "road0"}, "office1": {}}
    interactions = make_interactions([*others, *(Study("off", *row) for row in log)], members=members, items=items)

    off = (
        fitted_pipeline(interactions, SMALL).recommend(interactions, pd.Index(["off"]), k=10).drop(columns="member_id")
    )
    OFF_LISTS.append(off)
    assert_frame_equal(off, OFF_LISTS[0])
    assert "locked" not in off["item_id"].tolist()


def test_neither_role_nor_industry_nor_history_plays_a_part_in_a_list_without_personalisation() -> None:
    drivers = {f"d{number}": DRIVER for number in range(6)}
    interactions = make_interactions(
        [(f"d{n}", f"road{n % 5}") for n in range(6)] + [("e1", "road1"), ("e2", "road1"), ("e3", "road1")],
        members=drivers | {"e1": DRIVER | OFF, "e2": CLERK | OFF, "e3": OFF},
    )

    lists = recommended(interactions)

    assert items_of(lists, "e1") == items_of(lists, "e2") == items_of(lists, "e3")
    assert items_of(lists, "e1") == ["road0", "road1", "road2", "road3", "road4"]


def test_the_study_of_who_switched_personalisation_off_changes_nothing_for_others(organisation: Organisation) -> None:
    all_interactions = organisation.interactions
    off = all_interactions.members.index[all_interactions.members["personalised"].eq(other=False)]
    cells = all_interactions.cells[
        ~all_interactions.cells["member"].isin(all_interactions.members.index.get_indexer(off))
    ].reset_index(drop=True)
    without = replace(all_interactions, cells=cells)
    others = all_interactions.members.index.difference(off)

    explained = []
    for interactions in (all_interactions, without):
        pipeline = fitted_pipeline(interactions)
        explained.append(pipeline.explain(interactions, pipeline.recommend(interactions, others, k=20)))

    assert len(off)
    assert len(cells) < len(all_interactions.cells)
    assert_frame_equal(*explained)
