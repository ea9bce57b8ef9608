"""Histories: what members first studied, in which order and on which day, as the matrices that models learn from."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from features.interactions import Interactions
from features.study_time import DAY_MICROSECONDS
from features.weights import decay

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class FirstInteractions:
    """Who first studied what when, sorted by member and time: items that something speaks for, personalised members.

    Attributes
    ----------
    member, item : array (n,)
        Row numbers of the interactions' frames.
    age_days : array (n,)
        Days from the first study until now.
    session : array (n,)
        Number of the member's day: rows of the same member and day have the same one.
    from_end : array (n,)
        Place counted from the member's last first study, which is 0.
    from_session_end : array (n,)
        The same, counted from the end of the day.
    first_day : array (n,) of bool
        Whether it was on the first day the member studied anything.
    on_day : array (n,)
        Items the member first studied on that day.
    influence : array (n,)
        What the member's every study counts in what others get: 1, or less where it studied more items than
        ``member_cap``.
    """

    member: Ints
    item: Ints
    age_days: NDArray[np.float64]
    session: Ints
    from_end: Ints
    from_session_end: Ints
    first_day: NDArray[np.bool_]
    on_day: Ints
    influence: NDArray[np.float64]


def first_interactions(known: Interactions) -> FirstInteractions:
    """Return the first studies of everybody."""
    found: FirstInteractions = known.memo("first studies", lambda: _first_studies(known))
    return found


def _first_studies(known: Interactions) -> FirstInteractions:
    kept = (known.cell("weight") > 0) & known.personalised[known.cell("member")]
    member, item, at = (known.cell(name)[kept].astype(np.int64) for name in ("member", "item", "first_at"))
    order = np.lexsort((item, at, member))
    member, item, at = member[order], item[order], at[order]
    day = at // DAY_MICROSECONDS
    opens = np.ones(len(member), dtype=bool)
    opens[1:] = (member[1:] != member[:-1]) | (day[1:] != day[:-1])
    session = np.cumsum(opens) - 1
    on_day = np.bincount(session)[session] if len(session) else session
    studied = np.bincount(member, minlength=len(known.members))[member]
    return FirstInteractions(
        member=member,
        item=item,
        age_days=(known.as_of.value // 1_000 - at) / DAY_MICROSECONDS,
        session=session,
        from_end=np.searchsorted(member, member, side="right") - 1 - np.arange(len(member)),
        from_session_end=np.searchsorted(session, session, side="right") - 1 - np.arange(len(member)),
        first_day=session == session[np.searchsorted(member, member)] if len(session) else opens,
        on_day=on_day,
        influence=np.minimum(1.0, known.rules.member_cap / np.maximum(studied, 1)),
    )


def bounded(firsts: FirstInteractions, weight: NDArray[np.float64], most: float) -> NDArray[np.float64]:
    """Return weights of first studies scaled down where a member's sum to more than ``most``."""
    total = np.bincount(firsts.member, weights=weight)
    scale = np.minimum(1.0, most / np.maximum(total, 1e-12))
    return np.asarray(weight * scale[firsts.member])


def studied(known: Interactions, half_life_days: float = np.inf) -> csr_matrix:
    """Return what each member has studied, as (members, items): 1, halved with the age of the first study."""
    firsts = first_interactions(known)
    made: csr_matrix = known.memo(
        ("studied", half_life_days), lambda: _matrix(known, firsts, decay(firsts.age_days, half_life_days))
    )
    return made


def latest(known: Interactions, items: int, fade: float) -> csr_matrix:
    """Return the last few items each member first studied, as (members, items): 1 for the last, ``fade`` before it."""
    firsts = first_interactions(known)
    made: csr_matrix = known.memo(
        ("latest", items, fade),
        lambda: _matrix(known, firsts, np.where(firsts.from_end < items, fade**firsts.from_end, 0.0)),
    )
    return made


def last_day(known: Interactions, items: int, fade: float) -> csr_matrix:
    """Return the last few items of each member's last day with a first study, weighed as by :func:`latest`."""
    firsts = first_interactions(known)
    lasting = firsts.from_end == firsts.from_session_end
    weight = np.where(lasting & (firsts.from_end < items), fade**firsts.from_end, 0.0)
    made: csr_matrix = known.memo(("last day", items, fade), lambda: _matrix(known, firsts, weight))
    return made


def by_session(known: Interactions, weight: NDArray[np.float64]) -> csr_matrix:
    """Return weights of all first studies as (days of members, items)."""
    firsts = first_interactions(known)
    n_sessions = int(firsts.session[-1]) + 1 if len(firsts.session) else 0
    return _sparse(weight, firsts.session, firsts.item, (n_sessions, len(known.items)))


def positions(members: pd.DataFrame) -> NDArray[np.float64]:
    """Return the place of each member in the order they joined: by ``joined_on``, then by id in natural order.

    Ids are mostly given out in order, so that members who joined together, as a class or a depot, stand together. The
    one without an id, who stands for members to come, is last. A column ``position`` overrules.
    """
    if "position" in members:
        return np.asarray(members["position"], dtype=np.float64)
    ids = members.index.to_series()
    keys = pd.DataFrame(
        {"late": ids == "", "joined": members["joined_on"].astype("str").fillna(""), "length": ids.str.len(), "id": ids}
    )
    order = keys.reset_index(drop=True).sort_values(list(keys.columns), kind="stable").index.to_numpy()
    places = np.empty(len(order))
    places[order] = np.arange(len(order))
    return places


def places(known: Interactions) -> NDArray[np.float64]:
    """Return the :func:`positions` of all members known."""
    made: NDArray[np.float64] = known.memo("places", lambda: positions(known.members))
    return made


def _matrix(known: Interactions, firsts: FirstInteractions, weight: NDArray[np.float64]) -> csr_matrix:
    """Return weights above 0 of all first studies as (members, items)."""
    order: Ints = known.memo("by item", lambda: np.lexsort((firsts.item, firsts.member)))
    weight = weight[order]
    kept = weight > 0
    order = order[kept]
    count = np.bincount(firsts.member[order], minlength=known.shape[0])
    starts = np.concatenate([[0], np.cumsum(count)]).astype(np.int32)
    items = firsts.item[order].astype(np.int32)
    return csr_matrix((weight[kept].astype(np.float32), items, starts), shape=known.shape)


def _sparse(weight: NDArray[np.float64], rows: Ints, columns: Ints, shape: tuple[int, int]) -> csr_matrix:
    return csr_matrix((weight.astype(np.float32), (rows.astype(np.int32), columns.astype(np.int32))), shape=shape)
