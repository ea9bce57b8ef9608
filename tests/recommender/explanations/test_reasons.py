"""Reasons hold true when they are checked against what members did."""

import json
from functools import cache

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_matrix

from features.interactions import Interactions
from recommender.explanations.reasons import FEWEST_MEMBERS, NEW_DAYS, WEEK_DAYS, Reason, Reasons
from recommender.explanations.translations import MESSAGES
from recommender.models.base import CANDIDATE_COLUMNS
from tests.recommender.builders import (
    INDUSTRIES,
    MODELS,
    NOW,
    ROLES,
    Organisation,
    Study,
    climbed,
    fitted_pipeline,
    make_interactions,
    random_organisation,
)

FINISHING = ("completed", "passed")


def reasons_of(
    known: Interactions, rows: list[tuple[str, str, str]], similar: dict[tuple[str, str], float]
) -> list[Reason]:
    """Return the reasons of rows of member, item and source, where the given pairs of items are similar."""
    items = known.items.index
    dense = np.zeros((len(items), len(items)), dtype=np.float32)
    for (item, other), value in similar.items():
        dense[items.get_loc(item), items.get_loc(other)] = value
    reasons = Reasons(known, similarity=csr_matrix(dense), roles=ROLES, industries=INDUSTRIES)
    return reasons.of(pd.DataFrame(rows, columns=["member_id", "item_id", "source"]))


def reason_of(
    known: Interactions, item: str, source: str, similar: dict[tuple[str, str], float] | None = None, member: str = "m"
) -> Reason:
    """Return the reason of one item."""
    return reasons_of(known, [(member, item, source)], similar or {})[0]


DRIVER, DRIVER_ELSEWHERE, CLERK = (
    {"role": "83", "industry": "54"},
    {"role": "83", "industry": "60"},
    {"role": "41", "industry": "60"},
)


def week(
    n: int, who: dict[str, str], item: str = "x", kind: str = "w"
) -> tuple[list[Study], dict[str, dict[str, str]]]:
    """Return the study of an item this week by n members, and who they are."""
    names = [f"{kind}{number}" for number in range(n)]
    return [Study(name, item, "viewed", 6.9) for name in names], dict.fromkeys(names, who)


# -- one by one


def test_a_finished_item_that_is_like_the_listed_one_is_the_cause() -> None:
    known = make_interactions([Study("m", "done", "completed")], items={"x": {}})

    assert reason_of(known, "x", "item_knn", {("done", "x"): 0.4}) == {
        "code": "because_finished", "arguments": {"item_id": "done"},
    }  # fmt: skip


@pytest.mark.parametrize("study", [Study("m", "begun", "viewed"), Study("m", "begun", "progressed", 1.0, 100.0, 0.5)])
def test_an_item_that_is_not_finished_is_said_to_be_studied(study: Study) -> None:
    known = make_interactions([study], items={"x": {}})

    assert reason_of(known, "x", "als", {("begun", "x"): 0.4}) == {
        "code": "because_studied", "arguments": {"item_id": "begun"},
    }  # fmt: skip


def test_progress_almost_to_the_end_is_finished() -> None:
    known = make_interactions([Study("m", "watched", "progressed", 1.0, 100.0, 0.97)], items={"x": {}})

    assert reason_of(known, "x", "als", {("watched", "x"): 0.4})["code"] == "because_finished"


def test_that_another_member_finished_the_cause_does_not_count() -> None:
    known = make_interactions([Study("m", "begun", "viewed"), Study("other", "begun", "completed")], items={"x": {}})

    assert reason_of(known, "x", "item_knn", {("begun", "x"): 0.4})["code"] == "because_studied"


def test_the_cause_is_the_item_whose_likeness_times_evidence_is_largest_and_the_first_by_id_of_equals() -> None:
    known = make_interactions(
        [("m", "a"), ("m", "b"), ("m", "c"), Study("m", "weak", "viewed")], items={"x": {}, "y": {}}
    )
    similar = {("a", "x"): 0.3, ("b", "x"): 0.5, ("c", "x"): 0.5, ("weak", "x"): 0.9, ("c", "y"): 0.1, ("a", "y"): 0.05}

    rows = reasons_of(known, [("m", "x", "item_knn"), ("m", "y", "als")], similar)

    assert [row["arguments"] for row in rows] == [{"item_id": "b"}, {"item_id": "c"}]


def test_what_a_member_disliked_is_never_a_cause() -> None:
    known = make_interactions([("m", "bad"), Study("m", "bad", "disliked", 0.5)], items={"x": {}})

    assert reason_of(known, "x", "item_knn", {("bad", "x"): 0.9})["code"] == "not_studied_yet"


def test_only_items_proposed_by_likeness_are_explained_by_it() -> None:
    known = make_interactions([("m", "done")], items={"x": {}})

    for source in ("segment", "popularity", "newest"):
        assert reason_of(known, "x", source, {("done", "x"): 0.9})["code"] == "not_studied_yet"


@pytest.mark.parametrize("source", ["segment", "als", "item_knn"])
def test_without_a_cause_the_finest_segment_with_enough_members_speaks(source: str) -> None:
    studied, members = week(3, DRIVER)
    known = make_interactions(studied, members=members | {"m": DRIVER})

    assert reason_of(known, "x", source) == {
        "code": "studied_in_segment", "arguments": {"role": "83", "industry": "54"},
    }  # fmt: skip


def test_where_too_few_of_the_members_own_segment_did_a_coarser_one_speaks() -> None:
    studied, members = week(2, DRIVER)
    more, others = week(1, {"role": "81", "industry": "54"}, kind="o")
    known = make_interactions(studied + more, members=members | others | {"m": DRIVER})

    assert reason_of(known, "x", "segment") == {
        "code": "studied_in_segment", "arguments": {"role": "8", "industry": "54"},
    }  # fmt: skip


def test_a_section_of_industry_speaks_where_no_role_does() -> None:
    studied, members = week(1, DRIVER)
    more, others = week(2, CLERK, kind="o")
    known = make_interactions(studied + more, members=members | others | {"m": DRIVER})

    assert reason_of(known, "x", "segment") == {"code": "studied_in_industry", "arguments": {"industry": "G"}}


def test_a_role_speaks_to_a_member_of_whom_only_the_role_is_known_for_all_industries() -> None:
    studied, members = week(2, DRIVER)
    more, others = week(1, DRIVER_ELSEWHERE, kind="o")
    known = make_interactions(studied + more, members=members | others | {"m": {"role": "83"}})

    assert reason_of(known, "x", "segment") == {"code": "studied_by_role", "arguments": {"role": "83"}}


@pytest.mark.parametrize("source", ["segment", "popularity", "newest"])
def test_where_no_segment_speaks_all_members_do(source: str) -> None:
    studied, members = week(3, CLERK)
    known = make_interactions(studied, members=members | {"m": DRIVER | {"industry": "I"}})

    assert reason_of(known, "x", source) == {"code": "studied_this_week", "arguments": {}}


def test_two_members_are_too_few_to_speak_of() -> None:
    studied, members = week(2, DRIVER)
    known = make_interactions(studied, members=members | {"m": DRIVER})

    assert {reason_of(known, "x", source)["code"] for source in MODELS} == {"not_studied_yet"}


def test_who_switched_personalisation_off_is_not_counted() -> None:
    studied, members = week(2, DRIVER)
    known = make_interactions(
        [*studied, ("off", "x")], members=members | {"off": DRIVER | {"personalised": "false"}, "m": DRIVER}
    )

    assert reason_of(known, "x", "segment")["code"] == "not_studied_yet"


def test_who_disliked_the_item_did_not_study_it() -> None:
    studied, members = week(2, DRIVER)
    known = make_interactions([*studied, Study("w2", "x", "dismissed")], members=members | {"w2": DRIVER, "m": DRIVER})

    assert reason_of(known, "x", "segment")["code"] == "not_studied_yet"


def test_study_of_the_week_before_is_popular_but_not_of_this_week() -> None:
    known = make_interactions([Study(f"w{n}", "x", "viewed", WEEK_DAYS + 0.01) for n in range(3)], members={"m": {}})

    assert reason_of(known, "x", "popularity") == {"code": "popular", "arguments": {}}


def test_a_new_item_is_new_on_its_first_topic_and_just_new_without_one() -> None:
    items = {"x": {"published_at": "2026-01-31", "topics": "safety;history"}, "y": {"published_at": "2026-02-28"}}
    known = make_interactions([], members={"m": {}}, items=items)

    assert reason_of(known, "x", "newest") == {"code": "new_on_topic", "arguments": {"topic": "safety"}}
    assert reason_of(known, "y", "newest") == {"code": "new", "arguments": {}}


@pytest.mark.parametrize("published", [{}, {"published_at": "2026-01-30"}, {"published_at": "2020-01-01"}])
def test_an_older_or_undated_item_is_not_called_new(published: dict[str, str]) -> None:
    known = make_interactions([], members={"m": {}}, items={"x": {"topics": "safety"} | published})

    assert reason_of(known, "x", "newest") == {"code": "not_studied_yet", "arguments": {}}


# -- all lists of an organisation of all sorts


@pytest.fixture(scope="module", params=[1, 6])
def explained(request: pytest.FixtureRequest) -> tuple[Organisation, pd.DataFrame]:
    """Return an organisation and the explained lists of all its members and all models."""
    organisation = random_organisation(request.param, members=120, items=50, studies=2_500)
    known = organisation.interactions
    pipeline = fitted_pipeline(known)
    made = [pipeline.recommend(known, known.members.index, k=15)]
    for name, model in pipeline.models.items():
        everything = model.recommend(known.members.index, k=50, exclude_seen=False)
        made.append(everything[CANDIDATE_COLUMNS].assign(strategy="none", source=name))
    return organisation, pipeline.explain(known, pd.concat(made, ignore_index=True))


class Facts:
    """What can be read from the events themselves, the slow way."""

    def __init__(self, organisation: Organisation) -> None:
        self.known = organisation.interactions
        described = self.known.members
        self.role = described["role"].fillna("").to_dict()
        self.industry = described["industry"].fillna("").to_dict()
        self.counted = {member for member, switch in described["personalised"].items() if switch is pd.NA or switch}
        self.events: dict[tuple[str, str], list[Study]] = {}
        for study in organisation.studied:
            self.events.setdefault((study.member, study.item), []).append(study)
        self.students = cache(self._students)

    def liked_enough(self, member: str, item: str) -> bool:
        """Return whether the member studied the item and did not turn against it."""
        mine = self.events.get((member, item), [])
        opinions = [study for study in mine if study.verb in ("liked", "disliked", "dismissed")]
        latest = min((study.days_ago for study in opinions), default=0.0)
        against = any(study.verb != "liked" for study in opinions if study.days_ago == latest)
        return bool(mine) and not against

    def finished(self, member: str, item: str) -> bool:
        """Return whether the member finished the item."""
        return any(study.verb in FINISHING or study.progress >= 0.95 for study in self.events.get((member, item), []))

    def _students(self, item: str, within_days: float, role: str = "", industry: str = "") -> int:
        """Return how many members of a role and industry studied an item within some days."""
        return sum(
            min(study.days_ago for study in events) <= within_days
            and member in self.counted
            and self.liked_enough(member, item)
            and (not role or role in climbed(ROLES, self.role[member]))
            and (not industry or industry in climbed(INDUSTRIES, self.industry[member]))
            for (member, studied), events in self.events.items()
            if studied == item
        )

    def age_days(self, item: str) -> float:
        """Return how long ago an item was published."""
        published = self.known.items["published_at"][item]
        return (NOW - published) / pd.Timedelta(days=1) if published is not pd.NaT else np.inf


def is_true(facts: Facts, member: str, item: str, reason: Reason) -> bool:
    """Return whether a reason is true."""
    arguments = reason["arguments"]
    cause = arguments.get("item_id", "")
    match reason["code"]:
        case "because_finished" | "because_studied" as code:
            return facts.liked_enough(member, cause) and facts.finished(member, cause) == (code == "because_finished")
        case "new_on_topic":
            topics = str(facts.known.items["topics"][item]).split(";")
            return facts.age_days(item) <= NEW_DAYS and arguments["topic"] in topics
        case "new":
            return facts.age_days(item) <= NEW_DAYS
        case "not_studied_yet":
            return True
        case "popular":
            return facts.students(item, np.inf) >= FEWEST_MEMBERS
        case _:
            mine = climbed(ROLES, facts.role[member]) | climbed(INDUSTRIES, facts.industry[member])
            enough = facts.students(item, WEEK_DAYS, **arguments) >= FEWEST_MEMBERS
            return enough and set(arguments.values()) <= mine


def test_every_reason_of_every_list_is_true(explained: tuple[Organisation, pd.DataFrame]) -> None:
    organisation, lists = explained
    facts = Facts(organisation)

    false = [
        (row.member_id, row.item_id, row.source, row.reason)
        for row in lists.itertuples()
        if not is_true(facts, row.member_id, row.item_id, row.reason)
    ]

    assert len(lists) > 10_000
    assert false == []


def test_reasons_of_all_common_kinds_occur_so_that_their_truth_was_tested(
    explained: tuple[Organisation, pd.DataFrame],
) -> None:
    codes = explained[1]["reason"].map(lambda reason: reason["code"]).value_counts()

    assert set(codes.index) <= set(MESSAGES)
    assert set(codes.index) >= set(MESSAGES) - {"popular", "studied_by_role", "new"}


def test_nobody_is_told_of_a_cause_it_has_not_studied_or_of_the_listed_item_itself(
    explained: tuple[Organisation, pd.DataFrame],
) -> None:
    organisation, lists = explained
    met = {(study.member, study.item) for study in organisation.studied}

    for row in lists.itertuples():
        if "item_id" in row.reason["arguments"]:
            assert (row.member_id, row.reason["arguments"]["item_id"]) in met
            assert row.reason["arguments"]["item_id"] != row.item_id


def test_no_list_says_of_a_studied_item_that_it_is_not_studied_yet(
    explained: tuple[Organisation, pd.DataFrame],
) -> None:
    organisation, lists = explained
    made = lists[lists["strategy"] != "none"]
    met = {(study.member, study.item) for study in organisation.studied}

    for row in made.itertuples():
        assert (row.member_id, row.item_id) not in met


def test_reasons_are_the_same_after_json(explained: tuple[Organisation, pd.DataFrame]) -> None:
    reasons = explained[1]["reason"].tolist()

    assert json.loads(json.dumps(reasons)) == reasons
    assert all(set(reason) == {"code", "arguments"} for reason in reasons)


def test_members_without_personalisation_are_told_nothing_of_their_own_study(
    explained: tuple[Organisation, pd.DataFrame],
) -> None:
    organisation, lists = explained
    off = organisation.interactions.members.index[organisation.interactions.members["personalised"].eq(other=False)]
    theirs = lists[lists["member_id"].isin(off) & (lists["strategy"] != "none")]

    assert len(off)
    assert set(theirs["strategy"]) == {"popular"}
    assert all(set(reason["arguments"]) <= {"topic"} for reason in theirs["reason"])
