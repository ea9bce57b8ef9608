"""Quality of a run's ranking on holdout nights by group: which role, industry, unit or tenure is served worst."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sqlalchemy.orm import Session

from infra.reports.runs.difference import groups_of
from infra.reports.small_groups import Row, suppress
from infra.runs import list_contents
from infra.runs.store import ANYONE
from infra.training import examples
from recommender.evaluation.summary import interval, resampled


def ranking_by_group(
    session: Session, artefacts: Path, run: Mapping[str, Any], *, min_group_size: int
) -> dict[str, list[Row]] | None:
    """Return the NDCG of lists of past nights by group, the groups served worst first; None without stored figures.

    Returns
    -------
    dict
        ``all`` and each of :data:`infra.reports.runs.difference.SLICES`: rows of :func:`of_lists` by ``value``, small
        groups suppressed. Members count with their role, industry and units of now.
    """
    folder = examples.figures_folder(examples.folder_of(artefacts, run["organisation_key"]))
    columns = examples.read(folder, run["run_id"])
    if not columns:
        return None
    strategies = list_contents.list_rows(session, dict(run)).set_index("member_id")[["strategy"]]
    members = strategies.drop(index=ANYONE, errors="ignore")
    # Files hold no ids: members are found by the hashes of theirs.
    hashes = pd.util.hash_array(members.index.to_numpy(dtype=object))
    lists = pd.DataFrame(columns)
    lists["member_id"] = lists["member"].map(dict(zip(hashes, members.index, strict=True)))
    lists = lists.dropna(subset=["member_id"])
    if lists.empty:
        return None
    evaluated = members[members.index.isin(lists["member_id"])]
    key, as_of = run["organisation_key"], run["as_of"]
    groups = groups_of(session, key, evaluated, as_of=as_of, min_group_size=min_group_size)
    return {name: _rows(lists, values, min_group_size=min_group_size) for name, values in groups.items()}


def of_lists(lists: pd.DataFrame) -> Row:
    """Return the figures of a group's lists: ``members, lists, ndcg``, and ``low`` and ``high`` of its 95 % interval.

    >>> figures = of_lists(pd.DataFrame({"member_id": ["a", "a", "b"], "ndcg": [0.5, 0.5, 0.5]}))
    >>> figures["members"], figures["lists"], figures["ndcg"], figures["low"], figures["high"]
    (2, 3, 0.5, 0.5, 0.5)
    """
    members = pd.factorize(lists["member_id"], sort=True)[0]
    values = lists["ndcg"].to_numpy(dtype=np.float64)
    low, high = interval(values, members, resampled(members, np.random.default_rng(0)))
    n_members = int(members.max()) + 1
    return {"members": n_members, "lists": len(lists), "ndcg": float(values.mean()), "low": low, "high": high}


def _rows(lists: pd.DataFrame, values: pd.Series, *, min_group_size: int) -> list[Row]:
    """Return the figures of each value of a slice, in which a member may have several."""
    joined = lists.merge(values.rename("value"), left_on="member_id", right_index=True)
    rows = [{"value": str(value) or None, **of_lists(group)} for value, group in joined.groupby("value", sort=True)]
    shown = suppress(rows, min_group_size=min_group_size)
    return sorted(shown, key=lambda row: (row["suppressed"], row["ndcg"] or 0.0))
