"""Member attributes as columns of a matrix."""

import numpy as np

from recommender.content.member_attributes import MemberAttributes
from recommender.models.als import Als
from tests.recommender.builders import INDUSTRIES, ROLES, items_of, make_interactions

MEMBERS = {
    "a": {"role": "83", "industry": "54", "units": "North/Depot 3"},
    "b": {"role": "83"},
    "c": {"role": "83", "personalised": "false"},
    "d": {},
}


def test_a_member_has_its_codes_and_units_and_all_above_them() -> None:
    known = make_interactions([], members=MEMBERS, items={"x": {}})
    attributes = MemberAttributes(ROLES, INDUSTRIES, 0.5)
    columns = attributes.columns(known)

    told = attributes.of(known, columns)

    names = {row: {label for label, place in columns.items() if told[row, place]} for row in range(4)}
    both = {("role", "8"), ("role", "83")}
    units = {("unit", "North"), ("unit", "North/Depot 3")}
    assert names == {0: both | {("industry", "G"), ("industry", "54")} | units, 1: both, 2: set(), 3: set()}
    assert set(told.data) == {np.float32(0.5)}


def test_a_label_that_was_not_there_when_columns_were_made_is_left_out() -> None:
    attributes = MemberAttributes(ROLES, INDUSTRIES)
    columns = attributes.columns(make_interactions([], members={"a": {"role": "83"}}, items={"x": {}}))

    told = attributes.of(
        make_interactions([], members={"m": {"role": "22"}, "n": {"role": "8"}}, items={"x": {}}), columns
    )

    assert told.toarray().tolist() == [[0.0, 0.0], [0.5, 0.0]]


def test_nothing_known_of_anybody_makes_no_column() -> None:
    known = make_interactions([("a", "x"), ("b", "x"), ("b", "y")])

    assert MemberAttributes(ROLES, INDUSTRIES).columns(known) == {}
    with_them, without = (
        Als(factors=2, iterations=3, threads=1, attributes=given).fit(known).recommend(["a"], k=5)
        for given in (MemberAttributes(ROLES, INDUSTRIES), None)
    )
    assert with_them.equals(without)


def test_a_member_without_events_is_folded_in_by_role_and_unit() -> None:
    members = {f"d{number}": {"role": "83"} for number in range(8)} | {
        f"n{number}": {"units": "North/Depot 1"} for number in range(8)
    }
    studied = [(member, f"{member[0]}-item{number}") for member in members for number in range(4)]
    known = make_interactions(studied, members=members | {"driver": {"role": "83"}, "north": {"units": "North"}})

    lists = (
        Als(factors=2, threads=1, attributes=MemberAttributes(ROLES, INDUSTRIES))
        .fit(known)
        .recommend(["driver", "north"], k=4)
    )

    assert {item[0] for item in items_of(lists, "driver")} == {"d"}
    assert {item[0] for item in items_of(lists, "north")} == {"n"}
