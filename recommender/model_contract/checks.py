"""Checks that every model passes: what it may return, the same lists for the same data, scikit-learn's conventions."""

import inspect
import pickle
import traceback
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Final

import numpy as np
import pandas as pd
from sklearn.base import clone

from features.interactions import Interactions
from recommender.errors import ContractError, ModelError, NotFittedYetError
from recommender.model_contract.checked_model import CheckedModel, equal, refused, require, sample_organisation
from recommender.model_contract.sample import make_interactions
from recommender.models.base import CANDIDATE_COLUMNS, Eligibility, Model

ALLOWED: Final = ("i001", "i003", "i014", "i022", "i031", "not in the catalogue")

Check = Callable[[CheckedModel], None]


@cache
def _in_two_orders() -> tuple[Interactions, Interactions]:
    """Return the interactions made of the same events in two orders."""
    studied = sample_organisation(4, 30, 20, 300).studied
    shuffled = [studied[place] for place in np.random.default_rng(0).permutation(len(studied))]
    return make_interactions(studied), make_interactions(shuffled)


def unfitted(checked: CheckedModel) -> None:
    """Error before fitting."""
    refused(NotFittedYetError, "call fit(interactions) first", lambda: checked.make().recommend(["m001"], k=3))


def no_k(checked: CheckedModel) -> None:
    """Error of fewer than one item."""
    for k in (0, -1):
        refused(ModelError, f"k = {k}; ask for at least 1 item", lambda k=k: checked.model.recommend(["m001"], k=k))  # type: ignore[misc]  # a lambda's default binds the value of the loop


def nothing_to_learn(checked: CheckedModel) -> None:
    """Error without members or items."""
    lone = make_interactions([], members={"m": {}}, items={"i": {}})
    for lacking in ("members", "items"):
        empty = replace(lone, **{lacking: getattr(lone, lacking).iloc[:0]})
        refused(ModelError, "no members or no items to learn from", lambda empty=empty: checked.make().fit(empty))  # type: ignore[misc]  # as above


def arrays(checked: CheckedModel) -> None:
    """Arrays that ``_score`` returns."""
    rows, n_items = np.arange(3), len(checked.interactions.items)
    first, values = (checked.model.scores(checked.interactions, rows) for _ in range(2))
    require(isinstance(values, np.ndarray), f"_score returns a {type(values).__name__}; return an array of NumPy")
    require(
        values.shape == (3, n_items),
        f"_score returns the shape {values.shape} for 3 rows and {n_items} items; return (3, {n_items})",
    )
    require(values.dtype == np.float32, f"_score returns {values.dtype}; return float32, by .astype(np.float32)")
    require(
        not np.isnan(values).any() and not np.isposinf(values).any(),
        "a score is NaN or inf; return -inf for an item that has none",
    )
    require(
        values.flags.writeable and not np.shares_memory(first, values),
        "_score returns the same array again, or one that cannot be written to; return a copy",
    )


def untouched(checked: CheckedModel) -> None:
    """Shared data."""
    shared, again = (sample_organisation.__wrapped__(1, 60, 40, 900).interactions for _ in range(2))
    checked.make().fit(shared).recommend(shared.members.index, k=5)
    require(shared.digest() == again.digest(), "it changes members, items or cells; let it change copies of them")
    half_lives = [key[1] for key in vars(shared)["_cache"] if key[0] == "matrix"]
    pairs = [(shared.matrix(days), again.matrix(days)) for days in half_lives] + [(shared.seen, again.seen)]
    unchanged = all(np.array_equal(mine.toarray(), fresh.toarray()) for mine, fresh in pairs)
    require(unchanged, "it changes a matrix that it was given; let it change a copy, by .copy()")


def own_interactions(checked: CheckedModel) -> None:
    """Interactions that members are scored by."""
    interactions, first = checked.interactions, 7
    cells = interactions.cells[interactions.cells["member"] >= first]
    others = replace(
        interactions, members=interactions.members.iloc[first:], cells=cells.assign(member=cells["member"] - first)
    )
    lists = checked.model.recommend(others.members.index, k=5, interactions=others)
    equal(lists, checked.model.recommend(others.members.index, k=5))


def nothing_studied(checked: CheckedModel) -> None:
    """Organisations without events."""
    new = make_interactions([], members={"m": {}, "n": {}}, items={"i": {}, "j": {}})
    checked.make().fit(new).recommend(new.members.index, k=5)


def shape(checked: CheckedModel) -> None:
    """Columns and types of lists."""
    lists = checked.complete
    require(len(lists), "it lists nothing for any member")
    require(list(lists.columns) == CANDIDATE_COLUMNS, f"the columns are {list(lists.columns)}")
    kinds = [str(kind) for kind in lists.dtypes]
    require(kinds == ["str", "str", "float32", "int64"], f"the types are {kinds}")
    equal(checked.model.recommend([], k=5), lists.iloc[:0])
    equal(checked.model.recommend(["no member"], k=5), lists.iloc[:0])


def scores(checked: CheckedModel) -> None:
    """Scores, ranks and items of lists."""
    lists = checked.complete
    require(np.isfinite(lists["score"]).all(), "a score is not finite")
    require(lists["item_id"].isin(checked.interactions.items.index).all(), "an item is not of the catalogue")
    require(not lists.duplicated(["member_id", "item_id"]).any(), "an item is twice on a list")
    for member_id, own in lists.groupby("member_id"):
        require(own["rank"].tolist() == list(range(1, len(own) + 1)), f"the ranks of {member_id} have gaps")
        require(own["score"].is_monotonic_decreasing, f"the scores of {member_id} rise along the list")


def ties(checked: CheckedModel) -> None:
    """Order of equal scores."""
    before = checked.complete.groupby("member_id", sort=False)[["item_id", "score"]].shift()
    tied = (before["score"] == checked.complete["score"]).to_numpy()
    require((before["item_id"][tied] < checked.complete["item_id"][tied]).all(), "ties are not in order of ids")


def heads(checked: CheckedModel) -> None:
    """Length of lists."""
    equal(checked.lists(3, exclude_seen=False), checked.best(pd.Series(data=True, index=checked.complete.index), 3))


def order(checked: CheckedModel) -> None:
    """Order of lists, and unknown members."""
    backwards = checked.served[::-1]
    lists = checked.model.recommend(["no member", *backwards, ""], k=3, exclude_seen=False)
    require(list(dict.fromkeys(lists["member_id"])) == backwards, "lists are in another order, or of unknown members")


def seen(checked: CheckedModel) -> None:
    """Items a member interacted with."""
    equal(checked.lists(6), checked.best(~checked.seen(checked.complete), 6))


def allowed(checked: CheckedModel) -> None:
    """Items that are allowed."""
    within = checked.complete["item_id"].isin(ALLOWED)
    equal(checked.lists(4, allowed=ALLOWED, exclude_seen=False), checked.best(within, 4))
    require(checked.lists(4, allowed=[]).empty, "it lists items although none is allowed")
    unseen = within & ~checked.seen(checked.complete)
    equal(checked.lists(100, allowed=ALLOWED), checked.best(unseen, 100))


def groups(checked: CheckedModel) -> None:
    """Eligibility by group of members."""
    interactions, rng = checked.interactions, np.random.default_rng(3)
    group = rng.integers(0, 3, len(interactions.members))
    masks = np.vstack(
        [rng.random((2, len(interactions.items))) < 0.4, np.zeros((1, len(interactions.items)), dtype=bool)]
    )
    lists = checked.lists(5, allowed=Eligibility(group, masks), exclude_seen=False)
    members = interactions.members.index.get_indexer(checked.complete["member_id"])
    may = masks[group[members], interactions.items.index.get_indexer(checked.complete["item_id"])]
    equal(lists, checked.best(pd.Series(may, index=checked.complete.index), 5))


def alone(checked: CheckedModel) -> None:
    """Ask for one member at a time."""
    single = [checked.model.recommend([member_id], k=8) for member_id in checked.interactions.members.index]
    equal(checked.lists(8), pd.concat([lists for lists in single if len(lists)], ignore_index=True))


def repeated(checked: CheckedModel) -> None:
    """Repeated requests and fits."""
    first = checked.lists(8)
    checked.model.recommend(checked.served, k=2, allowed=["i001"])
    equal(checked.lists(8), first)
    equal(checked.make().fit(checked.interactions).recommend(checked.interactions.members.index, k=8), first)


def refitted(checked: CheckedModel) -> None:
    """Fits on other data."""
    for before, after in ((checked.interactions, checked.larger), (checked.larger, checked.interactions)):
        again = checked.make().fit(before).fit(after).recommend(after.members.index, k=100)
        equal(again, checked.make().fit(after).recommend(after.members.index, k=100))


def order_of_events(checked: CheckedModel) -> None:
    """Order of the events."""
    first, second = _in_two_orders()
    ids = first.members.index
    equal(checked.make().fit(first).recommend(ids, k=9), checked.make().fit(second).recommend(ids, k=9))


def parameters(checked: CheckedModel) -> None:
    """Parameters of scikit-learn."""
    model = checked.make()
    own = [name for name in inspect.signature(type(model)).parameters if name not in {"args", "kwargs"}]
    names = sorted(model.get_params(deep=False))
    require(names == sorted(own), f"get_params has {names}, the constructor {sorted(own)}")


def cloned(checked: CheckedModel) -> None:
    """Clones of scikit-learn."""
    copy = clone(checked.model)
    refused(NotFittedYetError, "call fit(interactions) first", lambda: copy.recommend(["m001"], k=1))
    equal(copy.fit(checked.interactions).recommend(checked.interactions.members.index, k=5), checked.lists(5))


def stored(checked: CheckedModel) -> None:
    """Models that were stored."""
    interactions = checked.interactions
    model = checked.model.without_members(interactions.without_members())
    loaded: Model = pickle.loads(pickle.dumps(model))  # noqa: S301 - pickled in the same line
    equal(loaded.recommend(interactions.members.index, k=5, interactions=interactions), checked.lists(5))


CHECKS: Final[dict[str, Check]] = {
    "Scores are a new array of float32 with a row for each member and a column for each item": arrays,
    "Lists have the columns member_id, item_id, score and rank, of the declared types": shape,
    "Scores are finite and fall along a list, ranks run from 1 without gaps, and each item is there once": scores,
    "Of equal scores the item whose id comes first wins": ties,
    "A shorter list is the head of a longer one": heads,
    "Lists come in the order in which members are asked for, unknown members have none": order,
    "Items that a member interacted with are left out, and nothing else": seen,
    "Only allowed items are listed, in the same order; nothing allowed gives nothing": allowed,
    "Each member gets only what its own group may be offered": groups,
    "A member's list is the same alone and among others, to the last bit": alone,
    "Asked again it answers the same, and so does a second model that is fitted on the same data": repeated,
    "Fitted again, on more or on fewer data, it has forgotten what it learned before": refitted,
    "The order in which events came makes no difference": order_of_events,
    "It leaves the interactions as they are, which all models share": untouched,
    "Members are scored by the interactions that it is asked with, not by those that it learned from": own_interactions,
    "It can be fitted on members and items without any events": nothing_studied,
    "A model that is not fitted says so": unfitted,
    "Fewer than one item cannot be asked for": no_k,
    "It cannot be fitted without members or without items": nothing_to_learn,
    "Its parameters are those of the constructor, as get_params returns them": parameters,
    "A clone has learned nothing, and gives the same lists when it is fitted": cloned,
    "Stored and loaded again it gives the same lists, without what it learned from being stored with it": stored,
}
"""Every check by its sentence."""


def results(make: Callable[[], Model]) -> dict[str, str | None]:
    """Return for the sentence of each check why it does not hold for a model; None where it holds.

    Where the first does not hold, the others are left out: they would say the same in other words.
    """
    checked = CheckedModel(make)
    faults: dict[str, str | None] = {}
    for sentence, check in CHECKS.items():
        faults[sentence] = _fault(checked, check)
        if check is arrays and faults[sentence]:
            break
    return faults


def _fault(checked: CheckedModel, check: Check) -> str | None:
    try:
        check(checked)
    except ContractError as error:
        return str(error)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - a model of others may raise anything
        source = inspect.getsourcefile(type(checked.make()))
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == source]
        return f"{type(error).__name__}: {error}" + (f" (line {lines[-1]} of {source})" if lines else "")
    return None
