"""Estimate of a variant of the settings from logged lists that explored: what its lists would have led to."""

from typing import Any, Final

import orjson
import pandas as pd
from sqlalchemy import Engine

from infra.catalog import organisations
from infra.db.engine import transaction
from infra.policy.entry_texts import listed_items
from infra.reports.experiment_effects import entry_outcomes, explored_lists
from infra.runs import store as runs
from infra.settings.settings import Settings
from jobs.evaluation.preview import lists_by
from recommender.errors import EstimateError
from recommender.evaluation.off_policy import (
    OffPolicyEstimate,
    choices_of_lists,
    difference,
    doubly_robust,
    ips,
    predicted_rewards_of_lists,
    snips,
)

ESTIMATED: Final = ("opened", "completed", "passed")


def estimate(
    engine: Engine, settings: Settings, changed: Settings, *, n_runs: int, places: int, outcome: str
) -> dict[str, Any]:
    """Return what the entries of a variant's lists would have led to, from the lists of past runs that explored.

    For each run the variant is fitted on what was known then, and its lists are made without exploration. An entry's
    reward is 1 where it led to the outcome. Where apps report what they show, the lists shown count, else all.

    Parameters
    ----------
    n_runs : int
        Published runs, the newest, of which lists count.
    places : int
        Places from the top whose entries count.
    outcome : str
        One of :data:`ESTIMATED`.

    Returns
    -------
    dict
        ``outcome, places, basis, runs, lists, members``; ``logged``: the share of the logged entries that led to the
        outcome. Where any did ``ips, snips, dr``: ``value, low, high`` of the variant; ``difference``: by how much the
        variant's is higher, by the doubly robust estimate; ``weight``: the mean weight, 1 where all that the variant
        lists could stand there by chance, and ``effective_entries``.

    Raises
    ------
    EstimateError
        No list explored, or lists of too few members to show figures of.
    """
    with transaction(engine) as session:
        key = organisations.key_of(session, settings.organisation)
        past = runs.newest_published(session, key, n_runs)
    without = changed.policy.model_copy(update={"exploration_share": 0.0})
    changed = changed.model_copy(update={"policy": without})
    parts = [part for run in past if len(part := _entries(engine, changed, run, places))]
    entries = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=["member", "list_id", "shown"])
    basis = "lists"
    if (of_list := entries.groupby("list_id")["shown"].transform("max") > 0).any():
        basis, entries = "shown", entries[of_list]
    n_members, smallest = entries["member"].nunique(), settings.privacy.smallest_group
    if n_members < max(2, smallest):
        raise EstimateError(
            f"of the newest {len(past)} runs lists of {n_members} members explored and fewer than {smallest} have no"
            " figures; set `policy.exploration_share`, and wait for more nights or name more runs"
        )
    figures = _figures(entries.assign(reward=entries[outcome]))
    counts = {"runs": len(parts), "lists": entries["list_id"].nunique(), "members": n_members}
    return {"outcome": outcome, "places": places, "basis": basis, **counts, **figures}


def _figures(entries: pd.DataFrame) -> dict[str, Any]:
    """Return the mean reward of logged entries and, where there is any, the estimates from them."""
    if not entries["reward"].any():
        return {"logged": 0.0}
    logged = choices_of_lists(entries)
    as_logged = ips(choices_of_lists(entries.assign(wanted=entries["item"], propensity=1.0)))
    robust = doubly_robust(logged, predicted_rewards_of_lists(entries))
    weight = float(logged.weight.mean())
    estimates: dict[str, OffPolicyEstimate] = {"ips": ips(logged), "dr": robust}
    if weight:
        estimates["snips"] = snips(logged)
    value, low, high = difference(robust, as_logged, logged.member)
    return {
        "logged": as_logged.value,
        **{name: {"value": each.value, "low": each.low, "high": each.high} for name, each in estimates.items()},
        "difference": {"value": value, "low": low, "high": high},
        "weight": weight,
        "effective_entries": robust.effective_choices,
    }


def _entries(engine: Engine, changed: Settings, run: dict[str, Any], places: int) -> pd.DataFrame:
    """Return the first entries of a run's lists that explored.

    ``list_id, member, place, item, propensity``, what each led to, and the item ``wanted`` there by other settings.
    """
    with transaction(engine) as session:
        explored = explored_lists(session, run)
        outcomes = entry_outcomes(session, run).rename(columns={"item_id": "item"})
    if explored.empty:
        return explored
    rows = [
        (list_id, member_id, place, entry["item_id"], entry.get("propensity", 1.0))
        for list_id, member_id, text in explored.itertuples(index=False)
        for place, entry in enumerate(orjson.loads(text)[:places], 1)
    ]
    entries = pd.DataFrame(rows, columns=["list_id", "member", "place", "item", "propensity"])
    computed = lists_by(engine, changed, run["organisation_key"], as_of=run["as_of"])
    wanted = computed.lists[["member_id", "entries_hash"]].merge(computed.entries, on="entries_hash")
    wanted = wanted.assign(wanted=[listed_items(text)[:places] for text in wanted["entries"]]).explode("wanted")
    wanted = wanted.assign(place=wanted.groupby("member_id").cumcount() + 1).rename(columns={"member_id": "member"})
    entries = entries.merge(wanted[["member", "place", "wanted"]], how="left", on=["member", "place"])
    entries = entries.merge(outcomes, how="left", on=["list_id", "item"])
    return entries.fillna(dict.fromkeys(("shown", *ESTIMATED), 0.0))
