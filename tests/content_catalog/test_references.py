"""Rows checked against taxonomies, and against earlier lines of their file."""

import pandas as pd
import pytest

from content_catalog.io.validation import MAX_HINTS
from content_catalog.references import Deduplicator, check_codes, check_unit_paths, check_units
from content_catalog.taxonomy import shipped

ROLES = shipped("isco08")
INDUSTRIES = shipped("gbt4754_2017")


def test_rows_with_unknown_codes_are_rejected_with_the_nearest_known_ones() -> None:
    frame = pd.DataFrame(
        {"role": ["25", "ISCO 250", None, "25"], "industry": ["I", "65", None, "software"]},
        index=pd.Index([2, 3, 5, 8], name="line"),
        dtype="str",
    )
    good, rejects = check_codes(frame, {"role": ROLES, "industry": INDUSTRIES})
    assert good.index.tolist() == [2, 5]
    assert rejects[["line", "field", "value"]].to_numpy().tolist() == [
        [3, "role", "ISCO 250"],
        [8, "industry", "software"],
    ]
    assert rejects["reason"][0].startswith("unknown code 'ISCO 250' in isco08; nearest: 25 (Information and comm")
    assert rejects["reason"][0].endswith("; give two digits only: 25")
    assert "digits" not in rejects["reason"][1]
    assert rejects["reason"][1].startswith("unknown code 'software' in gbt4754_2017; nearest: 65 (Software and")


def test_every_code_of_a_list_has_to_be_known_and_the_first_unknown_one_is_named() -> None:
    frame = pd.DataFrame({"target_roles": ["8;25", "8;x9;y9"]}, dtype="str")
    good, rejects = check_codes(frame, {"target_roles": ROLES})
    assert good.index.tolist() == [0]
    assert rejects["value"].tolist() == ["8;x9;y9"]
    assert "unknown code 'x9' in isco08" in rejects["reason"][0]


@pytest.mark.parametrize("role", ["25", None])
def test_rows_whose_codes_are_known_or_not_given_pass_as_they_are(role: str | None) -> None:
    frame = pd.DataFrame({"role": [role]}, dtype="str")
    good, rejects = check_codes(frame, {"role": ROLES})
    pd.testing.assert_frame_equal(good, frame)
    assert rejects.empty


def test_a_row_with_two_unknown_codes_is_rejected_for_both() -> None:
    frame = pd.DataFrame({"role": ["x"], "industry": ["x"]}, dtype="str")
    good, rejects = check_codes(frame, {"role": ROLES, "industry": INDUSTRIES})
    assert good.empty
    assert rejects["field"].tolist() == ["role", "industry"]


def test_a_repeated_row_counts_once_and_one_that_says_something_else_is_rejected() -> None:
    chunk = pd.DataFrame(
        {"item_id": ["a", "b", "a", "a", "b"], "title": ["x", None, "x", "y", None]},
        index=pd.Index([2, 3, 4, 6, 7], name="line"),
        dtype="str",
    )
    repetitions = Deduplicator("item_id")
    new, same, contradictions = repetitions.split(chunk, chunk.notna())
    assert (new.index.tolist(), same) == ([2, 3], 2)
    assert contradictions.to_numpy().tolist() == [
        [6, "item_id", "a", "an earlier line has other values for the same id"]
    ]
    # The next chunk of the file knows what the first one held.
    later = chunk.set_axis([8, 9, 10, 11, 12])
    new, same, contradictions = repetitions.split(later, later.notna())
    assert (len(new), same, contradictions["line"].tolist()) == (0, 4, [11])


def test_a_line_that_clears_a_value_does_not_repeat_one_that_does_not_name_it() -> None:
    chunk = pd.DataFrame({"item_id": ["a", "a"], "title": [None, None]}, index=[1, 2], dtype="str")
    present = pd.DataFrame({"item_id": [True, True], "title": [False, True]}, index=[1, 2])
    _, repetitions, contradictions = Deduplicator("item_id").split(chunk, present)
    assert (repetitions, contradictions["line"].tolist()) == (0, [2])


def test_a_role_is_one_code_and_a_list_of_codes_is_none() -> None:
    frame = pd.DataFrame({"role": ["83;41", "83"]}, dtype="str")
    good, rejects = check_codes(frame, {"role": ROLES})
    assert good.index.tolist() == [1]
    assert rejects["reason"][0].startswith("unknown code '83;41' in isco08; nearest: 83")


def test_unknown_units_are_rejected_with_the_nearest_known_ones() -> None:
    frame = pd.DataFrame({"target_units": ["North;Sales", "Nort", "North;Mars", None]}, dtype="str")
    good, rejects = check_units(frame, {"North": {}, "Sales": {}})
    assert good.index.tolist() == [0, 3]
    assert rejects[["line", "value", "reason"]].to_numpy().tolist() == [
        [1, "Nort", "unknown unit 'Nort'; nearest: North"],
        [2, "North;Mars", "unknown unit 'Mars'; import its members, or the unit itself, first"],
    ]


def test_the_nearest_known_ones_are_looked_for_a_hundred_times() -> None:
    units = [f"Nort{number}" for number in range(MAX_HINTS + 1)]
    _, rejects = check_units(pd.DataFrame({"target_units": units}, dtype="str"), {"North": {}})
    hints = rejects["reason"].str.endswith("; nearest: North").tolist()
    assert hints == [True] * MAX_HINTS + [False]
    assert rejects["reason"].iloc[-1] == f"unknown unit '{units[-1]}'"


@pytest.mark.parametrize("path", ["North//Depot", "/North", "North/", "North/ Depot", "课" * 667])
def test_units_that_are_not_paths_are_rejected(path: str) -> None:
    frame = pd.DataFrame({"units": ["North/Depot 3;Sales", path]}, dtype="str")
    good, rejects = check_unit_paths(frame, "units")
    assert (good.index.tolist(), rejects["line"].tolist()) == ([0], [1])
