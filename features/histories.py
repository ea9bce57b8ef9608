"""First interactions of members with items, in order and by day, as sparse matrices."""

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
    """First interactions with a weight above 0 of personalised members, sorted by member and time.

    Attributes
    ----------
    member, item : array (n,)
        Row numbers of the interactions' frames.
    age_days : array (n,)
        Days from the first interaction until the cut-off.
    moment : array (n,)
        Number of the member and time: rows of the same member and time, which have no order, have the same one.
    session : array (n,)
        Number of the member's local day: rows of the same member and day have the same one.
    from_end : array (n,)
        Place counted from the member's last first interaction, which is 0.
    from_session_end : array (n,)
        The same, counted from the end of the day.
    first_day : array (n,) of bool
        Whether it was on the member's first day of study.
    on_day : array (n,)
        Number of items the member first studied on that day.
    influence : array (n,)
        Weight of each of the member's first interactions in what others are recommended: 1, or less where the member
        studied more items than ``member_cap``.
    """

    member: Ints
    item: Ints
    age_days: NDArray[np.float64]
    moment: Ints
    session: Ints
    from_end: Ints
    from_session_end: Ints
    first_day: NDArray[np.bool_]
    on_day: Ints
    influence: NDArray[np.float64]


def first_interactions(interactions: Interactions) -> FirstInteractions:
    """Return the first interactions of all members."""
    return interactions.memo("first interactions", lambda: _first_interactions(interactions))


def _first_interactions(interactions: Interactions) -> FirstInteractions:
    counted = (interactions.cell("weight") > 0) & interactions.personalised[interactions.cell("member")]
    member, item, at, day = (
        interactions.cell(name)[counted].astype(np.int64) for name in ("member", "item", "first_at", "first_day")
    )
    # By day before time: a date-only event is at midnight UTC, which may lie within another local day.
    order = np.lexsort((item, at, day, member))
    member, item, at, day = (values[order] for values in (member, item, at, day))
    opens = np.ones(len(member), dtype=bool)
    opens[1:] = (member[1:] != member[:-1]) | (day[1:] != day[:-1])
    session = np.cumsum(opens) - 1
    moment = np.cumsum(opens | (np.diff(at, prepend=0) != 0)) - 1
    on_day = np.bincount(session)[session] if len(session) else session
    studied = np.bincount(member, minlength=len(interactions.members))[member]
    return FirstInteractions(
        member=member,
        item=item,
        age_days=(interactions.as_of.value // 1_000 - at) / DAY_MICROSECONDS,
        moment=moment,
        session=session,
        from_end=np.searchsorted(member, member, side="right") - 1 - np.arange(len(member)),
        from_session_end=np.searchsorted(session, session, side="right") - 1 - np.arange(len(member)),
        first_day=session == session[np.searchsorted(member, member)] if len(session) else opens,
        on_day=on_day,
        influence=np.minimum(1.0, interactions.rules.member_cap / np.maximum(studied, 1)),
    )


def influences(interactions: Interactions) -> NDArray[np.float64]:
    """Return the influence of each member: (n_members,), 0 without a first interaction."""
    firsts = first_interactions(interactions)
    influence = np.zeros(len(interactions.members))
    influence[firsts.member] = firsts.influence
    return influence


def bounded(firsts: FirstInteractions, weight: NDArray[np.float64], most: float) -> NDArray[np.float64]:
    """Return weights of first interactions scaled down where a member's sum to more than ``most``."""
    total = np.bincount(firsts.member, weights=weight)
    scale = np.minimum(1.0, most / np.maximum(total, 1e-12))
    return np.asarray(weight * scale[firsts.member])


def mean_of_ties(firsts: FirstInteractions, weight: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return weights of first interactions, of those at the same time their mean.

    Logs with days alone do not say in which order items were studied, and the order of ids must not stand in for it.
    """
    mean = np.bincount(firsts.moment, weights=weight) / np.bincount(firsts.moment)
    return np.asarray(mean[firsts.moment])


def studied(interactions: Interactions, half_life_days: float = np.inf) -> csr_matrix:
    """Return what each member has studied, as (members, items): 1, halved with the age of the first interaction."""
    firsts = first_interactions(interactions)
    return interactions.memo(
        ("studied", half_life_days), lambda: _matrix(interactions, firsts, decay(firsts.age_days, half_life_days))
    )


def latest(interactions: Interactions, items: int, step_decay: float) -> csr_matrix:
    """Return the last few items each member first studied, as (members, items).

    The last item weighs 1, each one before it ``step_decay`` times the next.
    """
    firsts = first_interactions(interactions)
    return interactions.memo(
        ("latest", items, step_decay), lambda: _matrix(interactions, firsts, _from_end(firsts, items, step_decay))
    )


def last_day(interactions: Interactions, items: int, step_decay: float) -> csr_matrix:
    """Return the last few items of each member's last day with a first interaction, weighted as by :func:`latest`."""
    firsts = first_interactions(interactions)
    on_last_day = firsts.from_end == firsts.from_session_end
    return interactions.memo(
        ("last day", items, step_decay),
        lambda: _matrix(interactions, firsts, on_last_day * _from_end(firsts, items, step_decay)),
    )


def _from_end(firsts: FirstInteractions, items: int, step_decay: float) -> NDArray[np.float64]:
    """Return ``step_decay`` to the power of places counted from the end, 0 beyond so many items; the mean of ties."""
    place = firsts.from_end
    return mean_of_ties(firsts, np.where(place < items, step_decay**place, 0.0))


def by_session(interactions: Interactions, weight: NDArray[np.float64]) -> csr_matrix:
    """Return weights of all first interactions as (days of members, items)."""
    firsts = first_interactions(interactions)
    n_sessions = int(firsts.session[-1]) + 1 if len(firsts.session) else 0
    rows = firsts.session.astype(np.int32), firsts.item.astype(np.int32)
    return csr_matrix((weight.astype(np.float32), rows), shape=(n_sessions, len(interactions.items)))


def joining_order(members: pd.DataFrame) -> NDArray[np.float64]:
    """Return the place of each member in the order they joined: by ``joined_on``, then by id in natural order.

    Ids are mostly given out in order, so that members who joined together, as a class or a depot, stand together. The
    placeholder without an id, for members to come, is last. A column ``position`` overrules.
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


def joining_order_of(interactions: Interactions) -> NDArray[np.float64]:
    """Return the :func:`joining_order` of all members."""
    return interactions.memo("joining order", lambda: joining_order(interactions.members))


def _matrix(interactions: Interactions, firsts: FirstInteractions, weight: NDArray[np.float64]) -> csr_matrix:
    """Return weights above 0 of all first interactions as (members, items)."""
    order = interactions.memo("by item", lambda: np.lexsort((firsts.item, firsts.member)))
    weight = weight[order]
    positive = weight > 0
    order = order[positive]
    count = np.bincount(firsts.member[order], minlength=interactions.shape[0])
    starts = np.concatenate([[0], np.cumsum(count)]).astype(np.int32)
    items = firsts.item[order].astype(np.int32)
    return csr_matrix((weight[positive].astype(np.float32), items, starts), shape=interactions.shape)
