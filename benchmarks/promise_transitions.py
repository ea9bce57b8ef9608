"""Transitions after a change of role: lists of each of their days, ranked alone, beside those of the new role."""

from dataclasses import replace

import numpy as np
import pandas as pd

from content_catalog.taxonomy import Taxonomy
from features.interactions import Interactions
from infra.settings.settings import Settings
from jobs.nightly.lists import make_pipeline, make_ranker
from recommender.policy.policies import NO_POLICIES
from recommender.role_changes import EARLIER


def lists_that_fall_back(
    settings: Settings, interactions: Interactions, taxonomies: dict[str, Taxonomy]
) -> tuple[int, list[str]]:
    """Return the number of lists of members in a transition, and the members of whom a later day has less of the new.

    The new role's items are those of the list after the last day. No beginning of a list may have fewer of them than on
    the day before.
    """
    pipeline = make_pipeline(settings, taxonomies)
    pipeline.fit(interactions)
    pipeline = replace(pipeline, ranker=make_ranker(settings).fit([]), policies=NO_POLICIES)
    frame, k = interactions.members, settings.models.list_length
    chosen = frame[[*EARLIER.values()]].notna().any(axis=1).to_numpy() & interactions.personalised
    members = frame.index[chosen]

    def lists(day: int) -> dict[str, list[str]]:
        days = frame["moved_days"].where(~chosen, float(day))
        listed = pipeline.recommend(replace(interactions, members=frame.assign(moved_days=days)), members, k=k)
        return listed.groupby("member_id", sort=False)["item_id"].agg(list).to_dict()

    by_day = [lists(day) for day in range(settings.policy.transition_days + 1)]
    falling = [member_id for member_id in members if falls([day[member_id] for day in by_day])]
    return len(by_day) * len(members), falling


def falls(lists: list[list[str]]) -> bool:
    """Return whether any beginning of a list has fewer items of the last list than that of the day before.

    >>> falls([["a", "b"], ["a", "c"], ["c", "d"]]), falls([["c", "a"], ["b", "a"], ["c", "d"]])
    (False, True)
    """
    counts = [np.cumsum(np.isin(items, lists[-1])) for items in lists]
    frame = pd.DataFrame(counts).ffill(axis=1)
    return bool((frame.diff() < 0).any(axis=None))
