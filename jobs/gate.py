"""The gate: what must hold of a night's lists before they are published."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from content_catalog.catalog import Audience, Mask, available
from content_catalog.taxonomy import Taxonomy
from features.interactions import Interactions

SHOWN = 3


def check(
    known: Interactions, lists: pd.DataFrame, shared: pd.Series, taxonomies: dict[str, Taxonomy]
) -> list[dict[str, Any]]:
    """Return the checks of a night's lists, each with ``name, passed, detail``.

    ``shared`` names for every member the one whose list it has.
    """
    members = known.members.index.get_indexer(lists["member_id"])
    items = known.items.index.get_indexer(lists["item_id"])
    offered: Mask = available(known.items, known.as_of)
    audience = Audience(known.items, roles=taxonomies["role"], industries=taxonomies["industry"])
    groups, masks = audience.groups(known.members)
    without = np.flatnonzero(~shared.isin(lists["member_id"].unique()).to_numpy())
    return [
        _check(
            "every member has a list",
            known.members.index[without[_unstudied(known, without, groups, masks & offered) > 0]],
        ),
        _check("only available items", lists["item_id"][~offered[items]].unique()),
        _check("no item outside its audience", lists["item_id"][~masks[groups[members], items]].unique()),
    ]


def _unstudied(
    known: Interactions, members: NDArray[np.intp], groups: NDArray[np.intp], may: Mask
) -> NDArray[np.int64]:
    """Return how many of the items that its group may be offered each of some members has not studied yet."""
    seen = known.seen[members]
    member_of = np.repeat(np.arange(len(members)), np.diff(seen.indptr))
    counted = may[groups[members[member_of]], seen.indices]
    return may.sum(axis=1)[groups[members]] - np.bincount(member_of[counted], minlength=len(members))


def verdict(checks: list[dict[str, Any]]) -> str:
    """Return ``published`` where all checks passed, else ``held``."""
    return "published" if all(one["passed"] for one in checks) else "held"


def _check(name: str, offending: Any) -> dict[str, Any]:
    shown = ", ".join(map(str, offending[:SHOWN]))
    detail = f"{len(offending)} fail, such as {shown}" if len(offending) else ""
    return {"name": name, "passed": not len(offending), "detail": detail}
