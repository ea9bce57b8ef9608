"""Items that are never offered: unavailable ones, seen ones, and those for other audiences."""

import numpy as np
import pandas as pd
import pytest

from features.interactions import Interactions
from tests.recommender.builders import (
    INDUSTRIES,
    NOW,
    ROLES,
    Organisation,
    Study,
    climbed,
    fitted_pipeline,
    items_of,
    make_interactions,
)

DRIVER, CLERK = {"role": "83", "industry": "54"}, {"role": "41", "industry": "60"}
OFF = {"personalised": "false"}


def recommended(interactions: Interactions, k: int = 10) -> pd.DataFrame:
    """Return the lists of all members."""
    return fitted_pipeline(interactions).recommend(interactions, interactions.members.index, k=k)


# -- closed and met items


def test_hidden_and_unavailable_items_are_never_offered() -> None:
    closed = {
        "hidden": {"hidden": "true"},
        "coming": {"available_from": "2026-03-01T00:00:01Z"},
        "gone": {"available_until": "2026-03-01T00:00:00Z"},
        "unpublished": {"published_at": "2026-03-02"},
    }
    open_ones = {
        "open": {"hidden": "false"},
        "just-open": {"available_from": "2026-03-01T00:00:00Z"},
        "still-open": {"available_until": "2026-03-01T00:00:01Z"},
        "just-published": {"published_at": "2026-03-01"},
    }
    everything = [*closed, *open_ones]
    # All were studied by many: nothing but the rule keeps the closed ones from being proposed.
    studied = [(f"m{n}", item) for n in range(16) for place, item in enumerate(everything) if place % 4 != n % 4]
    members = {"new": DRIVER, "unknown": {}, "off": OFF} | {f"m{n}": DRIVER for n in range(16)}
    interactions = make_interactions(studied, members=members, items=closed | open_ones)

    lists = recommended(interactions, k=100)

    assert set(lists["item_id"]) == set(open_ones)
    for member in ("new", "unknown", "off"):
        assert set(items_of(lists, member)) == set(open_ones)


@pytest.mark.parametrize("verb", ["viewed", "completed", "liked", "disliked", "dismissed", "failed"])
def test_what_a_member_had_anything_to_do_with_is_not_offered_again_where_study_counts(verb: str) -> None:
    members = {"m": DRIVER, "off": DRIVER | OFF, "other": DRIVER}
    studied = [Study("m", "x", verb), Study("off", "x", verb), ("other", "x"), ("other", "y")]
    interactions = make_interactions(studied, members=members)

    lists = recommended(interactions)

    assert items_of(lists, "m") == ["y"]
    assert set(items_of(lists, "off")) == {"x", "y"}


def test_no_list_of_an_organisation_of_all_sorts_holds_a_closed_or_met_item(organisation: Organisation) -> None:
    interactions = organisation.interactions
    items = interactions.items
    closed = items.index[
        items["hidden"].eq(other=True) | (items["available_until"] <= NOW) | (items["published_at"] > NOW)
    ]
    personalised = set(interactions.members.index[interactions.personalised])
    met = {(study.member, study.item) for study in organisation.studied if study.member in personalised}

    lists = recommended(interactions, k=100)

    assert len(closed) > 3
    assert not lists["item_id"].isin(closed).any()
    assert not set(zip(lists["member_id"], lists["item_id"], strict=True)) & met


@pytest.mark.parametrize(
    "basics", [{"hidden": "true"}, {"available_until": "2026-02-28"}, {"available_from": "2026-03-02"}, {}]
)
def test_an_item_waits_for_its_prerequisite_only_while_that_can_still_be_finished(basics: dict[str, str]) -> None:
    items = {"basics": basics, "advanced": {"prerequisites": "basics"}}
    interactions = make_interactions([("other", "advanced"), ("m", "else")], items=items)

    listed = items_of(recommended(interactions), "m")

    withdrawn = "hidden" in basics or "available_until" in basics
    assert ("advanced" in listed) == withdrawn


def test_a_list_longer_than_the_retrieval_depth_is_filled() -> None:
    interactions = make_interactions([("m", "i000"), ("other", "i001")], items={f"i{n:03d}": {} for n in range(150)})

    lists = recommended(interactions, k=100)

    assert len(items_of(lists, "m")) == 100


# -- audiences


def reach_of(member: dict[str, str]) -> dict[str, set[str]]:
    """Return the targets that a member is within, by column."""
    units = {"/".join(unit.split("/")[:depth]) for unit in str(member["units"]).split(";") for depth in range(1, 9)}
    return {
        "target_roles": set(climbed(ROLES, member["role"])),
        "target_industries": set(climbed(INDUSTRIES, member["industry"])),
        "target_units": units,
    }


def in_audience(reach: dict[str, set[str]], item: dict[str, str]) -> bool:
    """Return whether a member may be offered an item: the rule, the slow way."""
    if item["audience"] != "restricted":
        return True
    return all(not item[name] or set(item[name].split(";")) & within for name, within in reach.items())


def three_thousand() -> Interactions:
    """Return 3,000 members of random roles, industries and units, and items for random parts of them."""
    rng = np.random.default_rng(11)
    roles, industries = [*ROLES.table.index, "", "", "??"], [*INDUSTRIES.table.index, "", "", "??"]
    units = ["", "North", "South"] + [f"{side}/Depot {n}" for side in ("North", "South") for n in range(5)]
    units += [f"{unit}/Team {n}" for unit in units[3:6] for n in range(3)] + ["North/Depot 1;South", "Northern"]

    def some(codes: list[str], most: int) -> str:
        return ";".join(dict.fromkeys(rng.choice(codes, rng.integers(0, most + 1))))

    members = {
        f"m{number:05d}": {
            "role": str(rng.choice(roles)),
            "industry": str(rng.choice(industries)),
            "units": str(rng.choice(units)),
            "personalised": str(rng.choice(["", "false"], p=[0.95, 0.05])),
        }
        for number in range(3_000)
    }
    items = {
        f"i{number:03d}": {
            "audience": "restricted" if number % 5 else "open",
            "target_roles": some(list(ROLES.table.index), 4),
            "target_industries": some(list(INDUSTRIES.table.index), 8),
            "target_units": some([unit for unit in units if unit and ";" not in unit], 2) if number % 2 else "",
        }
        for number in range(150)
    }
    # Anybody may have studied anything once: an audience may have been drawn later.
    studied = [
        Study(f"m{member:05d}", f"i{item:03d}", "completed", float(days))
        for member, item, days in zip(
            rng.integers(0, 2_100, 6_000), rng.integers(0, 150, 6_000), rng.integers(1, 60, 6_000), strict=True
        )
    ]
    return make_interactions(studied, members=members, items=items)


def test_no_item_leaks_out_of_its_audience_over_three_thousand_members_and_each_has_a_list() -> None:
    interactions = three_thousand()

    lists = recommended(interactions, k=20)

    assert len(interactions.members) == 3_000
    assert set(lists["member_id"]) == set(interactions.members.index)
    members = interactions.members[["role", "industry", "units"]].fillna("").to_dict("index")
    reaches = {name: reach_of(member) for name, member in members.items()}
    items = (
        interactions.items[["audience", "target_roles", "target_industries", "target_units"]]
        .fillna("")
        .to_dict("index")
    )
    leaks = [
        (row.member_id, row.item_id)
        for row in lists.itertuples()
        if not in_audience(reaches[row.member_id], items[row.item_id])
    ]
    assert leaks == []
    # The rule had work to do: restricted items of every kind of target reached somebody, and others would have leaked.
    listed = interactions.items.loc[lists["item_id"].unique()]
    restricted = listed[listed["audience"] == "restricted"]
    assert all(restricted[name].notna().any() for name in ("target_roles", "target_industries", "target_units"))
    outside = [not in_audience(reach, item) for reach in list(reaches.values())[:200] for item in items.values()]
    assert np.mean(outside) > 0.3


def test_members_get_all_that_is_meant_for_them_and_nothing_that_is_not() -> None:
    members = {
        "driver-north": DRIVER | {"units": "North/Depot 3"},
        "driver-south": DRIVER | {"units": "South"},
        "driver-nowhere": DRIVER,
        "clerk-north": CLERK | {"units": "Sales;North"},
        "unknown": {"units": "North"},
    }
    restricted = {"audience": "restricted"}
    items = {
        "all": {"target_roles": "83"},
        "drivers": restricted | {"target_roles": "8"},
        "land": restricted | {"target_industries": "54"},
        "north": restricted | {"target_units": "North"},
        "north-drivers": restricted | {"target_units": "North", "target_roles": "83;92"},
        "depot": restricted | {"target_units": "North/Depot 3"},
        "bare": restricted,
    }
    interactions = make_interactions([], members=members, items=items)

    lists = recommended(interactions, k=10)

    everyone = {"all"}  # a restricted item without a target is for no one
    assert {member: set(items_of(lists, member)) for member in members} == {
        "driver-north": everyone | {"drivers", "land", "north", "north-drivers", "depot"},
        "driver-south": everyone | {"drivers", "land"},
        "driver-nowhere": everyone | {"drivers", "land"},
        "clerk-north": everyone | {"north"},
        "unknown": everyone | {"north"},
    }
