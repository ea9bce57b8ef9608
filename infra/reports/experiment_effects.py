"""Effects of an experiment's variants on members, with always-valid intervals and a test of the split."""

import math
from typing import Any, Final

import pandas as pd
from sqlalchemy import ColumnElement, and_, case, func, select
from sqlalchemy.orm import Session

from infra.db import bulk
from infra.db.core_tables import SAME_ENTRIES, events, list_entries, lists, runs
from infra.events.store import counting
from infra.policy.entry_texts import PROPENSITY_MARK
from infra.reports.push_rates import KINDS
from infra.reports.small_groups import suppress
from infra.runs.experiments import Experiment
from infra.runs.store import of_run
from recommender.evaluation.always_valid import SRM_ALPHA, Effect, effect, split_p_value
from recommender.evaluation.split import CONTROL

CONDITIONS: Final = {
    **{name: KINDS[name] for name in ("shown", "opened", "completed")},
    "passed": events.c.verb == "passed",
}
"""Conditions of the events that are counted; a graded attempt that shows mastery is ``passed``."""
COUNTED: Final = tuple(CONDITIONS)
OUTCOMES: Final = COUNTED[1:]


def effects(session: Session, organisation_key: int, experiment: Experiment, *, min_group_size: int) -> dict[str, Any]:
    """Return the outcomes of an experiment's lists by variant, and how far each is from the control.

    The outcome of a member is the share of its lists of the experiment of which it opened, completed or passed an item.
    Where apps report which lists were shown, those lists count (``basis``: ``shown``). Otherwise all lists that were
    published count (``lists``). Runs that were removed with age do not count.

    Returns
    -------
    dict
        ``experiment, started_at, stopped_at, basis``; ``split_p_value`` and ``split_holds``: whether the numbers of
        members fit the shares; ``variants``: ``variant, share, members, opened, completed, passed, suppressed``;
        ``effects``: ``variant, outcome, difference, low, high, p_value, decided``, without bounds while a group
        has fewer than 30 members, and none of groups that are too small to be shown.
    """
    members = _members(session, organisation_key, experiment)
    basis = "shown" if members["shown"].any() else "lists"
    if basis == "shown":
        members = members[members["shown"] > 0]
    shares = {CONTROL: experiment.split.control_share, **dict(experiment.split.shares)}
    outcomes = {name: members[members["variant"] == name] for name in shares}
    rows: list[dict[str, Any]] = [
        {
            "value": name,
            "share": round(share, 6),
            "members": len(outcomes[name]),
            **{outcome: _mean(_rates(outcomes[name], outcome, basis)) for outcome in OUTCOMES},
        }
        for name, share in shares.items()
    ]
    p_value = split_p_value([len(outcomes[name]) for name in shares], list(shares.values()))
    variants = suppress(rows, min_group_size=min_group_size)
    shown = {row["value"] for row in variants if not row["suppressed"]}
    return {
        "experiment": experiment.name,
        "started_at": experiment.started_at,
        "stopped_at": experiment.stopped_at,
        "basis": basis,
        "split_p_value": p_value,
        "split_holds": p_value >= SRM_ALPHA,
        "variants": [{"variant": row.pop("value"), **row} for row in variants],
        "effects": [
            _effect_row(name, outcome, *(_rates(outcomes[each], outcome, basis) for each in (CONTROL, name)))
            for name in shares
            if name != CONTROL and {name, CONTROL} <= shown
            for outcome in OUTCOMES
        ],
    }


def explored_lists(session: Session, run: dict[str, Any]) -> pd.DataFrame:
    """Return the lists of a run in which chance has part: ``list_id, member_id, entries`` (as JSON text)."""
    columns = lists.c.list_id, lists.c.member_id, list_entries.c.entries
    by_chance = list_entries.c.entries.contains(PROPENSITY_MARK)
    query = select(*columns).join(list_entries, SAME_ENTRIES).where(of_run(lists, run), by_chance)
    return bulk.read_frame(session, query.order_by(lists.c.member_id))


def entry_outcomes(session: Session, run: dict[str, Any]) -> pd.DataFrame:
    """Return the outcomes of entries of a run's lists: ``list_id, item_id``, and 1 or 0 for each of :data:`COUNTED`."""
    flags = [func.max(case((CONDITIONS[kind], 1), else_=0)).label(kind) for kind in COUNTED]
    query = (
        select(lists.c.list_id, events.c.item_id, *flags)
        .select_from(lists)
        .join(events, _own_event(run["organisation_key"]))
        .where(of_run(lists, run))
        .group_by(lists.c.list_id, events.c.item_id)
    )
    return bulk.read_frame(session, query).astype(dict.fromkeys(COUNTED, float))


def _own_event(organisation_key: int) -> ColumnElement[bool]:
    """Return the condition for the events that a member owes to a list."""
    return and_(
        counting(organisation_key),
        events.c.push_list_id == lists.c.list_id,
        events.c.member_id == lists.c.member_id,
    )


def _effect_row(variant: str, outcome: str, control: pd.Series, other: pd.Series) -> dict[str, Any]:
    result: Effect = effect(control.to_numpy(), other.to_numpy())
    bounds = {
        name: value if math.isfinite(value) else None for name, value in (("low", result.low), ("high", result.high))
    }
    figures = {"difference": result.difference, **bounds, "p_value": result.p_value, "decided": result.decided}
    return {"variant": variant, "outcome": outcome, **figures}


def _rates(members: pd.DataFrame, outcome: str, basis: str) -> pd.Series:
    """Return the share of each member's lists that led to an outcome."""
    of_basis = "" if basis == "lists" else "_of_shown"
    return members[f"{outcome}{of_basis}"] / members[basis]


def _mean(rates: pd.Series) -> float | None:
    return float(rates.mean()) if len(rates) else None


def _members(session: Session, organisation_key: int, experiment: Experiment) -> pd.DataFrame:
    """Return for each member its ``variant``, its ``lists``, and how many were shown and led to each outcome."""
    flags = [func.max(case((CONDITIONS[kind], 1), else_=0)).label(kind) for kind in COUNTED]
    per_list = (
        select(lists.c.member_id, lists.c.variant, lists.c.list_id, *flags)
        .join(runs, runs.c.run_key == lists.c.run_key)
        .outerjoin(events, _own_event(organisation_key))
        .where(
            lists.c.organisation_key == organisation_key,
            lists.c.experiment == experiment.name,
            runs.c.published_at.is_not(None),
        )
        .group_by(lists.c.member_id, lists.c.variant, lists.c.list_id)
        .subquery()
    )
    of_shown = [func.sum(per_list.c[name] * per_list.c.shown).label(f"{name}_of_shown") for name in OUTCOMES]
    query = select(
        per_list.c.variant,
        func.count().label("lists"),
        *(func.sum(per_list.c[name]).label(name) for name in COUNTED),
        *of_shown,
    ).group_by(per_list.c.member_id, per_list.c.variant)
    numbers = ["lists", *COUNTED, *(f"{name}_of_shown" for name in OUTCOMES)]
    return bulk.read_frame(session, query).astype(dict.fromkeys(numbers, float))  # PostgreSQL sums to decimals
