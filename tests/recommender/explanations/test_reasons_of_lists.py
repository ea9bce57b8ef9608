"""Reasons of all lists of an organisation of all sorts, checked against its events."""

import json
from functools import cache

import numpy as np
import pandas as pd
import pytest

from recommender.explanations.reasons import NEW_DAYS, WEEK_DAYS, Reason
from recommender.explanations.sources import group_of
from recommender.explanations.translations import MESSAGES
from recommender.models.base import CANDIDATE_COLUMNS
from recommender.policy.registry import REASONS as POLICY_REASONS
from tests.recommender.builders import (
    INDUSTRIES,
    NOW,
    ROLES,
    SMALLEST_GROUP,
    Organisation,
    Study,
    climbed,
    fitted_pipeline,
    random_organisation,
)

FINISHING = ("completed", "passed")


@pytest.fixture(scope="module")
def explained() -> tuple[Organisation, pd.DataFrame]:
    """Return an organisation and the explained lists of all its members and all models."""
    organisation = random_organisation(6, members=80, items=40, studies=1_500)
    interactions = organisation.interactions
    pipeline = fitted_pipeline(interactions)
    lists = pipeline.recommend(interactions, interactions.members.index, k=50)
    scores = lists[["member_id", "item_id", "score"]]
    frames = [lists[lists["rank"] <= 15]]
    for name, model in pipeline.models.items():
        everything = model.recommend(interactions.members.index, k=50, exclude_seen=False)[CANDIDATE_COLUMNS]
        everything = everything.drop(columns="score").merge(scores, how="left", on=["member_id", "item_id"])
        frames.append(everything.assign(strategy="none", source=group_of(name)))
    return organisation, pipeline.explain(interactions, pd.concat(frames, ignore_index=True))


class Facts:
    """Facts read from the events themselves, the slow way."""

    def __init__(self, organisation: Organisation) -> None:
        self.interactions = organisation.interactions
        described = self.interactions.members
        self.role = described["role"].fillna("").to_dict()
        self.industry = described["industry"].fillna("").to_dict()
        self.counted = {member for member, switch in described["personalised"].items() if switch is pd.NA or switch}
        self.events: dict[tuple[str, str], list[Study]] = {}
        for study in organisation.studied:
            self.events.setdefault((study.member, study.item), []).append(study)
        self.events_by_item: dict[str, list[tuple[str, list[Study]]]] = {}
        for (member, item), studies in self.events.items():
            self.events_by_item.setdefault(item, []).append((member, studies))
        self.students, self.active, self.liked_enough, self.topics, self.topics_of_member = (
            cache(slow)
            for slow in (self._students, self._active, self._liked_enough, self._topics, self._topics_of_member)
        )

    def _liked_enough(self, member: str, item: str) -> bool:
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
            for member, events in self.events_by_item.get(item, ())
        )

    def _topics(self, item: str) -> set[str]:
        """Return the topics of an item."""
        topics = self.interactions.items["topics"][item]
        return set() if pd.isna(topics) else set(str(topics).split(";"))

    def _topics_of_member(self, member: str) -> set[str]:
        """Return the topics of the items that a member studied."""
        studied = [item for who, item in self.events if who == member and self.liked_enough(member, item)]
        return {topic for item in studied for topic in self.topics(item)}

    def _active(self, role: str = "", industry: str = "") -> int:
        """Return the number of members of a role and industry who studied anything."""
        return sum(
            (not role or role in climbed(ROLES, self.role[member]))
            and (not industry or industry in climbed(INDUSTRIES, self.industry[member]))
            for member in {who for who, item in self.events if who in self.counted and self.liked_enough(who, item)}
        )

    def age_days(self, item: str) -> float:
        """Return how long ago an item was published."""
        published = self.interactions.items["published_at"][item]
        return (NOW - published) / pd.Timedelta(days=1) if published is not pd.NaT else np.inf


def is_true(facts: Facts, member: str, item: str, reason: Reason) -> bool:  # noqa: C901, PLR0911 - one per code
    """Return whether a reason is true."""
    arguments = reason["arguments"]
    cause = arguments.get("item_id", "")
    match reason["code"]:
        case "because_finished" | "because_studied" as code:
            return facts.liked_enough(member, cause) and facts.finished(member, cause) == (code == "because_finished")
        case "often_next_after":
            students = min(facts.students(each, np.inf) for each in (item, cause))
            return facts.liked_enough(member, cause) and students >= SMALLEST_GROUP
        case "fits_your_topics":
            return arguments["topic"] in facts.topics(item) & facts.topics_of_member(member)
        case "fits_role_and_industry" | "fits_role" | "fits_industry":
            mine = climbed(ROLES, facts.role[member]) | climbed(INDUSTRIES, facts.industry[member])
            return facts.active(**arguments) >= SMALLEST_GROUP and set(arguments.values()) <= mine
        case "fits_your_habits":
            return any(facts.liked_enough(member, studied) for studied in facts.interactions.items.index)
        case "new_on_topic":
            topics = str(facts.interactions.items["topics"][item]).split(";")
            return facts.age_days(item) <= NEW_DAYS and arguments["topic"] in topics
        case "new":
            return facts.age_days(item) <= NEW_DAYS
        case "not_studied_yet":
            return member in facts.counted and (member, item) not in facts.events
        case "in_catalogue":
            studied = any(facts.liked_enough(member, name) for name in facts.interactions.items.index)
            return member not in facts.counted or not studied
        case "popular":
            return facts.students(item, np.inf) >= SMALLEST_GROUP
        case _:
            mine = climbed(ROLES, facts.role[member]) | climbed(INDUSTRIES, facts.industry[member])
            enough = facts.students(item, WEEK_DAYS, **arguments) >= SMALLEST_GROUP
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
    assert set(codes.index) >= set(MESSAGES) - POLICY_REASONS - {
        "required",  # put on lists when they are shown
        "overdue",
        "needed_for_required",
        "pinned",
        "saved",
        "fits_earlier_role",  # after a change of role
        "popular",
        "studied_by_role",
        "new",
        "fits_role",
        "fits_industry",
        "fits_your_habits",
    }


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
    pipeline_rows = lists[lists["strategy"] != "none"]
    met = {(study.member, study.item) for study in organisation.studied}

    said = pipeline_rows[[reason["code"] == "not_studied_yet" for reason in pipeline_rows["reason"]]]
    for row in said.itertuples():
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
