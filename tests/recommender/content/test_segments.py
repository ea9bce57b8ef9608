"""Segments of members by role and industry."""

from itertools import pairwise
from random import Random

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_matrix

from recommender.content.segments import EVERYONE, Segments, chain
from tests.recommender.builders import INDUSTRIES, ROLES, climbed

CODES = st.tuples(
    st.sampled_from([None, "8", "83", "81", "41", "unheard of"]), st.sampled_from([None, "G", "54", "60", "I", "-"])
)


def segments_of(codes: list[tuple[str | None, str | None]]) -> Segments:
    """Return the segments of members with these roles and industries."""
    members = pd.DataFrame(codes, columns=["role", "industry"], dtype="str")
    return Segments(members, roles=ROLES, industries=INDUSTRIES)


def test_a_member_of_whom_nothing_is_known_is_in_everyone_alone() -> None:
    segments = segments_of([(None, None)])

    assert segments.names == [EVERYONE]
    assert segments.chains == [[0]]


def test_a_chain_goes_from_everyone_down_to_the_members_own_role_and_industry() -> None:
    segments = segments_of([("83", "54")])

    assert [segments.names[number] for number in segments.chains[0]] == [
        ("", ""), ("", "G"), ("8", "G"), ("8", "54"), ("83", "54"),
    ]  # fmt: skip


def test_a_chain_goes_on_with_the_role_where_the_industry_is_known_to_its_section_only() -> None:
    assert chain(("8", "83"), ()) == [("", ""), ("8", ""), ("83", "")]
    assert chain((), ("G", "54")) == [("", ""), ("", "G"), ("", "54")]
    assert chain(("8",), ("G", "54")) == [("", ""), ("", "G"), ("8", "G"), ("8", "54")]


def test_unknown_codes_count_as_not_known() -> None:
    segments = segments_of([("unheard of", "54"), (None, "54")])

    assert segments.chains[segments.leaf_of[0]] == segments.chains[segments.leaf_of[1]]


@settings(deadline=None)
@given(codes=st.lists(CODES, min_size=1, max_size=8))
def test_each_step_of_a_chain_is_finer_than_the_one_before(codes: list[tuple[str | None, str | None]]) -> None:
    segments = segments_of(codes)

    for leaf, steps in enumerate(segments.chains):
        role, industry = codes[segments.leaf_of.tolist().index(leaf)]
        names = [segments.names[number] for number in steps]
        assert names[0] == EVERYONE
        for (wide_role, wide_industry), (fine_role, fine_industry) in pairwise(names):
            assert (wide_role, wide_industry) != (fine_role, fine_industry)
            assert not wide_role or wide_role in climbed(ROLES, fine_role)
            assert not wide_industry or wide_industry in climbed(INDUSTRIES, fine_industry)
        expected = role if role in ROLES else "", industry if industry in INDUSTRIES else ""
        assert names[-1] == expected


@settings(deadline=None)
@given(codes=st.lists(CODES, min_size=1, max_size=8), numbers=st.randoms(use_true_random=False))
def test_a_segment_sums_up_every_member_that_is_within_it(
    codes: list[tuple[str | None, str | None]], numbers: Random
) -> None:
    matrix = np.array([[numbers.choice([0, 0, 1, 2.5]) for _ in range(3)] for _ in codes], dtype=np.float32)
    segments = segments_of(codes)

    totals = segments.totals(csr_matrix(matrix)).toarray()

    for number, (role, industry) in enumerate(segments.names):
        inside = [
            (not role or role in climbed(ROLES, own_role or ""))
            and (not industry or industry in climbed(INDUSTRIES, own_industry or ""))
            for own_role, own_industry in codes
        ]
        assert totals[number].tolist() == matrix[inside].sum(axis=0).tolist()
    assert totals.dtype == np.float64
