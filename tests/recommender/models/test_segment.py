"""Segment popularity: what members of the same role and industry study."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.interactions import Interactions
from recommender.content.segments import chain
from recommender.models.segment import SegmentPopularity
from tests.recommender.builders import INDUSTRIES, ROLES, Study, climbed, items_of, make_interactions

DRIVER = {"role": "83", "industry": "54"}
CLERK = {"role": "41", "industry": "60"}


def model(shrinkage: float = 20.0, half_life_days: float = np.inf) -> SegmentPopularity:
    """Return a model that forgets nothing, so that figures can be checked by hand."""
    return SegmentPopularity(ROLES, INDUSTRIES, half_life_days, shrinkage)


def shares(interactions: Interactions, member: str, shrinkage: float) -> dict[str, float]:
    """Return what the model says of each item to a member."""
    lists = model(shrinkage).fit(interactions).recommend([member], k=100, exclude_seen=False)
    return dict(zip(lists["item_id"], lists["score"].tolist(), strict=True))


def test_a_new_member_gets_what_its_own_role_and_industry_study() -> None:
    drivers, clerks = ({f"{kind}{number}": who for number in range(5)} for kind, who in (("d", DRIVER), ("c", CLERK)))
    studied = [(member, "road") for member in drivers] + [(member, "office") for member in clerks]
    interactions = make_interactions(studied, members=drivers | clerks | {"new-driver": DRIVER, "new-clerk": CLERK})

    lists = model().fit(interactions).recommend(["new-driver", "new-clerk"], k=2)

    assert items_of(lists, "new-driver") == ["road", "office"]
    assert items_of(lists, "new-clerk") == ["office", "road"]


def test_shares_are_shrunk_towards_the_parent_one_step_at_a_time() -> None:
    # Everyone: x 2, y 4 of 6. Section G: the drivers' x 2 and y 2. Each completed item weighs 2, shrinkage is 4.
    interactions = make_interactions(
        [("d", "x"), ("p", "y"), ("c", "y")],
        members={"d": {"role": "8", "industry": "G"}, "p": {"industry": "G"}, "c": {"role": "4"}},
    )
    everyone = Fraction(2, 6)
    section = (2 + 4 * everyone) / (4 + 4)
    drivers = (2 + 4 * section) / (2 + 4)

    assert shares(interactions, "d", 4.0) == pytest.approx({"x": float(drivers), "y": 1 - float(drivers)})
    assert shares(interactions, "p", 4.0) == pytest.approx({"x": float(section), "y": 1 - float(section)})


def test_without_shrinkage_a_segment_with_evidence_goes_by_its_own_figures_alone() -> None:
    interactions = make_interactions(
        [("d", "x"), ("e", "x"), ("e", "y"), ("c", "z")], members={"d": DRIVER, "e": DRIVER, "c": CLERK}
    )

    assert shares(interactions, "d", 0.0) == pytest.approx({"x": 2 / 3, "y": 1 / 3})


def test_with_very_strong_shrinkage_everyone_is_told_what_everyone_studies() -> None:
    interactions = make_interactions(
        [("d", "x"), ("e", "x"), ("e", "y"), ("c", "z")], members={"d": DRIVER, "e": DRIVER, "c": CLERK}
    )

    for member in "dec":
        assert shares(interactions, member, 1e12) == pytest.approx({"x": 0.5, "y": 0.25, "z": 0.25}, rel=1e-6)


def test_a_segment_of_too_few_members_is_left_to_its_parent() -> None:
    # Section G is of two members with history, the drivers in it of one, though three have that role.
    interactions = make_interactions(
        [("d", "x"), ("p", "y"), ("c", "y")],
        members={
            "d": {"role": "8", "industry": "G"}, "p": {"industry": "G"}, "c": {"role": "4"},
            "e": {"role": "8", "industry": "G"}, "f": {"role": "8", "industry": "G"},
        },
    )  # fmt: skip
    fitted = SegmentPopularity(ROLES, INDUSTRIES, np.inf, 4.0, min_members=2).fit(interactions)
    scores = fitted.recommend(["d", "p", "c"], k=9, exclude_seen=False).set_index(["member_id", "item_id"])["score"]

    # As in the example above: x has (2 + 4 · 2/6) / 8 of section G, and 2/6 of everyone.
    section = (2 + 4 * 2 / 6) / (4 + 4)
    assert scores["d", "x"] == scores["p", "x"] == pytest.approx(section)
    assert scores["c", "x"] == pytest.approx(2 / 6)


def test_a_segment_without_evidence_is_told_what_its_parent_studies_whatever_the_shrinkage() -> None:
    interactions = make_interactions(
        [("d", "x"), ("c", "y")],
        members={"d": {"role": "8", "industry": "G"}, "c": CLERK, "n": {"role": "81", "industry": "G"}},
    )

    for shrinkage in (0.0, 3.0):
        assert shares(interactions, "n", shrinkage) == pytest.approx(shares(interactions, "d", shrinkage))


def test_codes_that_no_taxonomy_holds_count_as_not_known() -> None:
    interactions = make_interactions(
        [("d", "x"), ("c", "y"), ("c", "x")],
        members={"d": DRIVER, "c": CLERK, "odd": {"role": "courier", "industry": "?"}, "none": {}},
    )

    assert (
        shares(interactions, "odd", 5.0) == shares(interactions, "none", 5.0) == pytest.approx({"x": 2 / 3, "y": 1 / 3})
    )


def test_a_member_of_whom_only_the_role_is_known_is_told_what_the_role_studies_in_all_industries() -> None:
    drivers = {f"d{number}": {"role": "83", "industry": industry} for number, industry in enumerate(["54", "60", "I"])}
    clerks = {f"c{number}": CLERK for number in range(9)}
    studied = [(member, "road") for member in drivers] + [(member, "office") for member in clerks]
    interactions = make_interactions(studied, members=drivers | clerks | {"new": {"role": "83"}})

    assert items_of(model(5.0).fit(interactions).recommend(["new"], k=2), "new") == ["road", "office"]


def test_evidence_decays_by_its_half_life() -> None:
    studied = [Study("d", "old", "completed", 28.0), Study("e", "fresh", "viewed", 0.0)]
    interactions = make_interactions(studied, members={"d": DRIVER, "e": DRIVER, "new": DRIVER})

    lists = model(0.0, half_life_days=14.0).fit(interactions).recommend(["new"], k=2)

    # 2 · 0.5² and 1: shares of 1.5.
    assert dict(zip(lists["item_id"], lists["score"], strict=True)) == pytest.approx({"fresh": 2 / 3, "old": 1 / 3})


def test_items_that_nobody_at_all_has_studied_are_not_proposed() -> None:
    interactions = make_interactions([("d", "x")], members={"d": DRIVER, "c": CLERK}, items={"alone": {}})

    assert set(shares(interactions, "c", 20.0)) == {"x"}


CODES = st.tuples(st.sampled_from(["", "8", "83", "41", "no"]), st.sampled_from(["", "G", "54", "60", "I"]))


def by_definition(members: dict[str, tuple[str, str]], studied: set[tuple[str, str]], asked: str, s: int) -> Fraction:
    """Return the share of item ``x`` for a member, in whole numbers, by the formula."""
    role, industry = members[asked]
    roles, industries = (sorted(climbed(tree, code), key=len) for tree, code in ((ROLES, role), (INDUSTRIES, industry)))
    share = Fraction(0)
    for step, (in_role, in_industry) in enumerate(chain(tuple(roles), tuple(industries))):
        inside = {
            member
            for member, (own_role, own_industry) in members.items()
            if (not in_role or in_role in climbed(ROLES, own_role))
            and (not in_industry or in_industry in climbed(INDUSTRIES, own_industry))
        }
        own = sum(2 for member, item in studied if member in inside and item == "x")
        total = sum(2 for member, _ in studied if member in inside)
        shrinkage = s if step else 0
        if total + shrinkage:
            share = (own + shrinkage * share) / Fraction(total + shrinkage)
    return share


@settings(max_examples=40, deadline=None)
@given(
    codes=st.lists(CODES, min_size=1, max_size=6),
    studied=st.sets(st.tuples(st.integers(0, 5), st.sampled_from("xyz")), min_size=1),
    shrinkage=st.integers(0, 30),
)
def test_every_share_is_the_one_of_the_formula(
    codes: list[tuple[str, str]], studied: set[tuple[int, str]], shrinkage: int
) -> None:
    members = {f"m{number}": both for number, both in enumerate(codes)}
    rows = {(f"m{number % len(codes)}", item) for number, item in studied}
    described = {member: {"role": role, "industry": industry} for member, (role, industry) in members.items()}
    interactions = make_interactions(sorted(rows), members=described)

    lists = model(float(shrinkage)).fit(interactions).recommend(list(members), k=3, exclude_seen=False)
    shares_of_x = lists[lists["item_id"] == "x"].set_index("member_id")["score"].to_dict()
    for member in members:
        expected = float(by_definition(members, rows, member, shrinkage))
        assert shares_of_x.get(member, 0.0) == pytest.approx(expected, rel=1e-6)
