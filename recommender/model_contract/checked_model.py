"""A model under test, fitted on a random organisation, and the errors of checks of it."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import pandas as pd
from pandas.testing import assert_frame_equal

from features.interactions import Interactions
from recommender.errors import ContractError, ModelError
from recommender.model_contract.sample import Organisation, random_organisation
from recommender.models.base import Model


@cache
def sample_organisation(seed: int, members: int, items: int, studies: int) -> Organisation:
    """Return a random organisation, made once."""
    return random_organisation(seed, members=members, items=items, studies=studies)


@dataclass(frozen=True)
class CheckedModel:
    """A model under test, fitted on a random organisation.

    Attributes
    ----------
    make : callable
        Returns a new, unfitted model.
    """

    make: Callable[[], Model]

    @cached_property
    def interactions(self) -> Interactions:
        """The interactions it is fitted on."""
        return sample_organisation(1, 60, 40, 900).interactions

    @cached_property
    def larger(self) -> Interactions:
        """Interactions of a larger organisation."""
        return sample_organisation(7, 90, 70, 1_500).interactions

    @cached_property
    def model(self) -> Model:
        """The fitted model."""
        return self.make().fit(self.interactions)

    @cached_property
    def complete(self) -> pd.DataFrame:
        """Every member's list of all items that the model scores."""
        return self.lists(10_000, exclude_seen=False)

    def lists(self, k: int, **options: Any) -> pd.DataFrame:
        """Return the lists of all members."""
        return self.model.recommend(self.interactions.members.index, k=k, **options)

    @cached_property
    def served(self) -> list[str]:
        """Members with a list, in order."""
        return list(dict.fromkeys(self.complete["member_id"]))

    def seen(self, lists: pd.DataFrame) -> pd.Series:
        """Return for each row of lists whether its member, with personalisation on, interacted with its item."""
        members, items = self.interactions.members.index, self.interactions.items.index
        cells = self.interactions.cells
        cells = cells[self.interactions.personalised[cells["member"]]]
        pairs = pd.MultiIndex.from_arrays([members[cells["member"]], items[cells["item"]]])
        return pd.Series(pd.MultiIndex.from_frame(lists[["member_id", "item_id"]]).isin(pairs), index=lists.index)

    def best(self, rows: pd.Series, k: int) -> pd.DataFrame:
        """Return the best k of some rows of the complete lists, with new ranks."""
        chosen = self.complete[rows.to_numpy(dtype=bool)]
        rank = chosen.groupby("member_id", sort=False).cumcount() + 1
        return chosen.assign(rank=rank)[rank <= k].reset_index(drop=True)


def require(holds: object, message: str) -> None:
    """Raise :class:`ContractError` with the message unless a condition holds."""
    if not holds:
        raise ContractError(message)


def equal(lists: pd.DataFrame, expected: pd.DataFrame) -> None:
    """Raise :class:`ContractError` where two frames of lists differ."""
    try:
        assert_frame_equal(lists, expected)
    except AssertionError as error:
        raise ContractError(_difference(lists, expected) or " ".join(str(error).split())) from error


def _difference(lists: pd.DataFrame, expected: pd.DataFrame) -> str:
    """Return in words how two frames of lists differ, with the first entry that does; empty where none does."""
    if len(lists) != len(expected):
        return f"{len(lists)} entries are listed instead of {len(expected)}"
    differ = (lists.to_numpy() != expected.to_numpy()).any(axis=1)
    if not differ.any():
        return ""
    first, instead = (frame.iloc[differ.argmax()] for frame in (lists, expected))
    return (
        f"{differ.mean():.0%} of the entries differ, the first is {first['item_id']} ({first['score']:.9g}) instead of"
        f" {instead['item_id']} ({instead['score']:.9g}), at {first['rank']} for {first['member_id']}"
    )


def refused(error: type[ModelError], text: str, act: Callable[[], object]) -> None:
    """Raise :class:`ContractError` unless an action raises an error whose message has a text."""
    try:
        act()
    except error as raised:
        require(text in str(raised), f"the message is {str(raised)!r}; it should say {text!r}")
        return
    raise ContractError(f"no {error.__name__} is raised")
