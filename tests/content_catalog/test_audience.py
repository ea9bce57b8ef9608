"""Eligibility of items: their availability and their audience."""

from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from content_catalog.audience import AudienceMask, available
from content_catalog.io.validation import check_rows
from content_catalog.schema import ITEMS, split_list
from content_catalog.taxonomy import shipped

ROLES = shipped("isco08")
INDUSTRIES = shipped("gbt4754_2017")
NOON = pd.Timestamp("2026-03-01T12:00Z")
INSTANT = pd.Timedelta(microseconds=1)
UNITS = ["North", "North/Depot 3", "North/Depot 3/Night", "North/Depot 30", "Sales"]
ROLE_CODES = ["8", "83", "2", "25"]
INDUSTRY_CODES = ["G", "60", "I", "65"]


def items_of(**columns: list[str]) -> pd.DataFrame:
    """Return items as they come out of the check, indexed by id."""
    rows = len(next(iter(columns.values())))
    text = pd.DataFrame({"item_id": [f"i{row}" for row in range(rows)]} | columns, dtype="str")
    items, rejects = check_rows(text, ITEMS)
    assert rejects.empty
    return items.set_index("item_id")


def member(role: str | None = None, industry: str | None = None, units: str | None = None) -> pd.DataFrame:
    return pd.DataFrame({"role": [role], "industry": [industry], "units": [units]}, dtype="str")


def offered(items: pd.DataFrame, members: pd.DataFrame) -> list[list[bool]]:
    """Return for each member which items it may be offered."""
    group_of, masks = AudienceMask(items, roles=ROLES, industries=INDUSTRIES).groups(members)
    eligible: list[list[bool]] = masks[group_of].tolist()
    return eligible


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({}, True),
        ({"hidden": ["true"]}, False),
        ({"hidden": ["false"]}, True),
        ({"published_at": [str(NOON)]}, True),
        ({"published_at": [str(NOON + INSTANT)]}, False),
        ({"available_from": [str(NOON)]}, True),
        ({"available_from": [str(NOON + INSTANT)]}, False),
        ({"available_until": [str(NOON)]}, False),
        ({"available_until": [str(NOON + INSTANT)]}, True),
        ({"available_from": [str(NOON)], "available_until": [str(NOON + INSTANT)]}, True),
        ({"available_from": [str(NOON - INSTANT)], "available_until": [str(NOON + INSTANT)], "hidden": ["1"]}, False),
    ],
)
def test_an_item_is_available_from_its_first_moment_until_just_before_its_last(
    columns: dict[str, list[str]], *, expected: bool
) -> None:
    assert available(items_of(title=["x"], **columns), NOON).tolist() == [expected]


def test_open_items_are_for_everybody_whatever_targets_they_name() -> None:
    items = items_of(audience=["", "open"], target_roles=["25", "25"], target_units=["North", "North"])
    group_of, masks = AudienceMask(items, roles=ROLES, industries=INDUSTRIES).groups(
        pd.concat([member("83"), member()])
    )
    assert masks[group_of].tolist() == [[True, True], [True, True]]
    assert len(masks) == 1  # nothing tells the members apart


@pytest.mark.parametrize(
    ("target", "value", "expected"),
    [
        ("target_roles", member("83"), [True, True, False, False]),
        ("target_roles", member("8"), [True, False, False, False]),
        ("target_roles", member("25"), [False, False, True, False]),
        ("target_roles", member(), [False, False, False, False]),
        ("target_roles", member("99"), [False, False, False, False]),
    ],
    ids=["within", "above", "elsewhere", "not known", "no such role"],
)
def test_a_restricted_item_is_for_its_target_roles_and_those_within_them(
    target: str, value: pd.DataFrame, expected: list[bool]
) -> None:
    items = items_of(**{target: ["8", "83", "2;25", ""]}, audience=["restricted"] * 4)
    assert offered(items, value) == [expected]


def test_a_restricted_item_reaches_down_industries_and_units() -> None:
    items = items_of(
        audience=["restricted"] * 4,
        target_industries=["G", "60", "", ""],
        target_units=["", "", "North", "North/Depot 3"],
    )
    assert offered(items, member(None, "60", "North/Depot 3/Night")) == [[True, True, True, True]]
    assert offered(items, member(None, "G", "North")) == [[True, False, True, False]]
    assert offered(items, member(None, "I", "North/Depot 30")) == [[False, False, True, False]]
    assert offered(items, member(None, None, "Sales;North/Depot 3")) == [[False, False, True, True]]


def test_every_dimension_that_a_restricted_item_names_has_to_fit() -> None:
    items = items_of(audience=["restricted"], target_roles=["8"], target_industries=["G"], target_units=["North"])
    fitting = {"role": "83", "industry": "60", "units": "North/Depot 3"}
    assert offered(items, member(**fitting)) == [[True]]
    for name in fitting:
        assert offered(items, member(**(fitting | {name: None}))) == [[False]]


def test_members_of_the_same_role_industry_and_unit_share_a_group() -> None:
    items = items_of(audience=["restricted"], target_roles=["8"])
    members = pd.concat([member("83"), member("25"), member("83"), member()])
    group_of, masks = AudienceMask(items, roles=ROLES, industries=INDUSTRIES).groups(members)
    assert group_of.tolist() == [0, 1, 0, 2]
    assert masks.tolist() == [[True], [False], [False]]


def within(taxonomy_codes: list[str], value: str | None, path: list[str]) -> bool:
    return not taxonomy_codes or (value is not None and not set(taxonomy_codes).isdisjoint(path))


TARGETS = st.fixed_dictionaries(
    {
        "audience": st.sampled_from(["", "open", "restricted", "restricted"]),
        "target_roles": st.lists(st.sampled_from(ROLE_CODES), max_size=2, unique=True),
        "target_industries": st.lists(st.sampled_from(INDUSTRY_CODES), max_size=2, unique=True),
        "target_units": st.lists(st.sampled_from(UNITS), max_size=2, unique=True),
    }
)
MEMBERS = st.fixed_dictionaries(
    {
        "role": st.sampled_from([None, *ROLE_CODES]),
        "industry": st.sampled_from([None, *INDUSTRY_CODES]),
        "units": st.lists(st.sampled_from(UNITS), max_size=2, unique=True).map(lambda units: ";".join(units) or None),
    }
)


@settings(max_examples=50)
@given(targets=st.lists(TARGETS, min_size=1, max_size=4), members=st.lists(MEMBERS, min_size=1, max_size=5))
def test_no_restricted_item_leaks_and_none_is_withheld(
    targets: list[dict[str, Any]], members: list[dict[str, str | None]]
) -> None:
    items = items_of(
        **{name: [";".join(row[name]) if name != "audience" else row[name] for row in targets] for name in targets[0]}
    )
    expected = [
        [
            target["audience"] != "restricted"
            or (
                any(target[name] for name in ("target_roles", "target_industries", "target_units"))
                and within(
                    target["target_roles"], profile["role"], [*ROLES.path(profile["role"])] if profile["role"] else []
                )
                and within(
                    target["target_industries"],
                    profile["industry"],
                    [*INDUSTRIES.path(profile["industry"])] if profile["industry"] else [],
                )
                and (
                    not target["target_units"]
                    or any(
                        f"{unit}/".startswith(f"{wanted}/")
                        for unit in split_list(profile["units"])
                        for wanted in target["target_units"]
                    )
                )
            )
            for target in targets
        ]
        for profile in members
    ]
    assert offered(items, pd.concat([member(**profile) for profile in members])) == expected
