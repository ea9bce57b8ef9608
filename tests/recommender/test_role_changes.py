"""Lists of members who changed role or industry go over to the new one, and never back."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy.sparse import csr_matrix
from scipy.special import expit

from features.interactions import Interactions
from recommender.breakdown import breakdown
from recommender.explanations.earlier_roles import earlier_prevails
from recommender.explanations.sources import GROUPS
from recommender.member_rows import of_members
from recommender.pipeline import Pipeline
from recommender.ranking.prior import shipped_prior
from recommender.ranking.ranker import Ranker
from recommender.registry import feature_names
from recommender.role_changes import blended, present_weight
from tests.recommender.builders import Organisation, fitted_pipeline, items_of, make_interactions

DAYS = 10
SCORES = arrays.arrays(np.float64, 12, elements=st.floats(-5, 5, width=32))


@pytest.fixture(scope="module")
def pipeline(organisation: Organisation) -> Pipeline:
    """Return a fitted pipeline with the ranker that ships, whose lists go over within ten days."""
    ranker = Ranker(shipped_prior(feature_names())).fit([])
    return replace(fitted_pipeline(organisation.interactions), ranker=ranker, transition_days=DAYS)


def moved(interactions: Interactions, member_id: str, days: float | None, **earlier: str) -> Interactions:
    """Return interactions of which one member changed role and industry so many days ago."""
    changed = interactions.members.index == member_id
    columns = {
        "previous_role": pd.Series(
            np.where(changed, earlier.get("role"), None), index=interactions.members.index, dtype="str"
        ),
        "previous_industry": pd.Series(
            np.where(changed, earlier.get("industry"), None), index=interactions.members.index, dtype="str"
        ),
        "moved_days": pd.Series(np.where(changed, days, np.nan), index=interactions.members.index, dtype="float64"),
    }
    return replace(interactions, members=interactions.members.assign(**columns))


def test_the_weight_of_the_present_role_grows_evenly_over_the_days() -> None:
    interactions = make_interactions([], members={"a": {"role": "83"}, "off": {"role": "83", "personalised": "false"}})
    weights = [
        present_weight(moved(interactions, "a", days, role="41"), 4)[0] for days in (0.0, 1.0, 2.0, 4.0, 90.0, np.nan)
    ]
    assert weights == [0.0, 0.25, 0.5, 1.0, 1.0, 1.0]
    assert present_weight(moved(interactions, "a", 1.0), 0).tolist() == [1.0, 1.0], "switched off"
    assert present_weight(moved(interactions, "off", 1.0), 4).tolist() == [1.0, 1.0], "personalisation switched off"
    assert present_weight(interactions, 4).tolist() == [1.0, 1.0], "of a frame without changes"


@given(present=SCORES, earlier=SCORES, first=st.integers(0, DAYS), later=st.integers(0, DAYS), best=st.integers(1, 12))
def test_no_beginning_of_a_list_loses_items_of_the_present_role_from_day_to_day(
    present: np.ndarray, earlier: np.ndarray, first: int, later: int, best: int
) -> None:
    first, later = sorted((first, later))
    of_present = set(np.argsort(-present, kind="stable")[:best].tolist())

    def ranked(day: int) -> list[int]:
        # Ties go to the items of the present role, as nothing is lost by them.
        score = blended(present, earlier, np.full(12, day / DAYS))
        return sorted(range(12), key=lambda item: (-round(score[item], 9), -present[item], item))

    before, after = ranked(first), ranked(later)
    for length in range(1, 13):
        assert len(of_present & set(before[:length])) <= len(of_present & set(after[:length]))


@pytest.mark.parametrize("ranked", [True, False])
@given(row=st.integers(0, 59))
@settings(max_examples=2)
def test_lists_go_from_those_of_the_earlier_role_to_those_of_the_present_one(
    organisation: Organisation, pipeline: Pipeline, ranked: bool, row: int
) -> None:
    interactions = organisation.interactions
    if not interactions.personalised[row]:
        return
    pipeline = pipeline if ranked else replace(pipeline, ranker=None)
    member = interactions.members.index[row]
    earlier = {"role": "41", "industry": "I"}

    def listed(of: Interactions) -> list[str]:
        return items_of(pipeline.recommend(of, pd.Index([member]), k=8), member)

    by_day = [listed(moved(interactions, member, float(day), **earlier)) for day in range(DAYS + 1)]

    assert by_day[DAYS] == listed(interactions)
    best = set(by_day[DAYS])
    shares = [len(best & set(items)) for items in by_day]
    assert shares == sorted(shares)
    audience = pipeline.may_be_offered(interactions, np.array([row]))
    positions = interactions.items.index.get_indexer(by_day[0])
    assert audience(np.full(len(positions), row), positions).all(), "what is offered goes by the present role"


def test_on_the_day_of_the_change_the_list_is_that_of_the_earlier_role() -> None:
    studied = [(f"d{number}", item) for number in range(6) for item in ("wheel", "road")]
    studied += [(f"c{number}", item) for number in range(6) for item in ("desk", "file")]
    members = {f"d{number}": {"role": "83"} for number in range(6)} | {
        f"c{number}": {"role": "41"} for number in range(6)
    }
    interactions = make_interactions(studied, members=members | {"new": {"role": "41"}})
    pipeline = replace(fitted_pipeline(interactions), transition_days=DAYS)

    def first_two(days: float) -> set[str]:
        lists = pipeline.recommend(moved(interactions, "new", days, role="83"), pd.Index(["new"]), k=2)
        return set(items_of(lists, "new"))

    assert first_two(0.0) == {"wheel", "road"}
    assert first_two(DAYS) == {"desk", "file"}
    assert pipeline.representatives(moved(interactions, "new", 1.0, role="83"))["new"] == "new"


def test_entries_by_the_earlier_role_say_so_while_it_contributes_more_than_the_present_one(
    organisation: Organisation, pipeline: Pipeline
) -> None:
    interactions = organisation.interactions
    member = next(
        interactions.members.index[row]
        for row in range(60)
        if interactions.personalised[row] and interactions.members["role"].iloc[row] == "83"
    )

    def codes(days: float, role: str = "41") -> list[str]:
        changed = moved(interactions, member, days, role=role, industry="I")
        [block] = pipeline.listed(changed, pd.Index([member]), k=20)
        return [reason["code"] for reason in block.reason if reason is not None]

    by_day = [codes(float(day)).count("fits_earlier_role") for day in range(DAYS + 1)]
    assert by_day[0] > 0 == by_day[-1]
    assert by_day[0] >= by_day[DAYS // 2] >= by_day[-1]
    assert codes(np.nan) == []


def test_the_larger_part_of_the_largest_contribution_decides_for_entries_by_role_and_industry() -> None:
    interactions = make_interactions([("b", "i1")], members={"a": {"role": "83"}, "b": {"role": "83"}})
    members = interactions.members.index.get_indexer(["a", "a", "a", "a", "b", "b"])
    interactions = replace(
        interactions, members=moved(interactions, "a", 1.0, role="41").members.assign(moved_days=1.0)
    )
    present, both = np.zeros((6, len(GROUPS) + 1)), np.zeros((6, len(GROUPS) + 1))
    segment, topics, history = (GROUPS.index(name) for name in ("segment", "topics", "history"))
    # Of 3 and of 1.5 a quarter of 4 is by the present profile, and the rest, 2 and .5, by the earlier one.
    for entry, (group, total) in enumerate(
        [(segment, 3.0), (segment, 1.5), (history, 3.0), (topics, 3.0), (topics, 3.0), (segment, 3.0)]
    ):
        present[entry, group], both[entry, group] = 4.0, total
    assert earlier_prevails(interactions, members, present, both, 4).tolist() == [True, False, False, True, False, True]


@given(row=st.integers(0, 59), days=st.floats(0, DAYS))
@settings(max_examples=8)
def test_the_breakdown_of_a_blended_list_adds_up_to_its_scores(
    organisation: Organisation, pipeline: Pipeline, row: int, days: float
) -> None:
    member = organisation.interactions.members.index[row]
    interactions = moved(organisation.interactions, member, days, role="83", industry="60")
    listed = pipeline.recommend(interactions, pd.Index([member]), k=8)
    parts = breakdown(pipeline, interactions, member, k=8)

    assert interactions.items.index[parts.item[:8]].tolist() == listed["item_id"].tolist()
    [(rows, candidates)] = pipeline.proposals(interactions, pd.Index([member]), k=8)
    scores = dict(zip(candidates.item.tolist(), pipeline.rank(interactions, rows, candidates).tolist(), strict=True))
    for place in range(min(8, len(parts.item))):
        score = parts.of_place(place)["score"]
        expected = expit(score) if interactions.personalised[row] else score
        assert expected == pytest.approx(scores[parts.item[place]], abs=1e-5)


def test_the_only_member_whose_role_changed_is_scored_as_among_others(
    organisation: Organisation, pipeline: Pipeline
) -> None:
    """No member is settled there: what these none may be offered must not count for the one whose role changed."""
    member_id = organisation.interactions.members.index[0]
    everybody = moved(organisation.interactions, member_id, 2.0, role="41")
    alone = of_members(everybody, np.array([0]), everybody.members.iloc[[0]])
    (rows, candidates), *_ = pipeline.proposals(alone, alone.members.index)
    wanted = csr_matrix(np.isin(np.arange(alone.shape[1]), candidates.item)[None, :])

    again = [part for part in pipeline.rescored(replace(alone), wanted) if len(part[0])]

    assert [part[0].tolist() for part in again] == [rows.tolist()]
    assert again[0][1].item.tolist() == candidates.item.tolist()
