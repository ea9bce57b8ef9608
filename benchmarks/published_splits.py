"""Splits of public logs that figures are published for: how each is read, and the figures beside it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.interactions import Interactions
from features.study_time import DAY_MICROSECONDS
from features.weights import WeightingRules

Pairs = tuple[NDArray[np.int64], NDArray[np.int64]]
"""Members and items, oldest first within each member."""


def read_lines(folder: Path) -> tuple[Pairs, Pairs]:
    """Return the parts of a split in files ``train.txt`` and ``test.txt``."""
    return read_histories(folder / "train.txt"), read_histories(folder / "test.txt")


def read_histories(path: Path) -> Pairs:
    """Return members and items of a file with lines ``member item item …``."""
    return _pairs(_lines(path))


def read_canvas_network(folder: Path) -> tuple[Pairs, Pairs]:
    """Return the parts of the split of Canvas Network."""
    names = ("train_valid_data_cnpc_v2.json", "test_data_cnpc_v2.json")
    train, test = (pd.read_json(folder / name, lines=True) for name in names)
    return tuple((part["user"].to_numpy(), part["item"].to_numpy()) for part in (train, test))  # type: ignore[return-value]  # two


def last_item(file: str) -> Callable[[Path], tuple[Pairs, Pairs]]:
    """Return the reader of a file of whole histories, whose last items are the test part."""

    def read(folder: Path) -> tuple[Pairs, Pairs]:
        lines = _lines(folder / file)
        return _pairs([line[:-1] for line in lines]), _pairs([line[[0, -1]] for line in lines])

    return read


def _lines(path: Path) -> list[NDArray[np.int64]]:
    """Return the numbers of each line that has any."""
    lines = [np.array(line.split(), dtype=np.int64) for line in path.read_text(encoding="utf-8").splitlines()]
    return [line for line in lines if len(line)]


def _pairs(lines: list[NDArray[np.int64]]) -> Pairs:
    """Return members and items of lines ``member item item …``."""
    items = [line[1:] for line in lines]
    return np.repeat([line[0] for line in lines], [len(line) for line in items]), np.concatenate(items)


@dataclass(frozen=True)
class PublishedSplit:
    """Split with published figures.

    Attributes
    ----------
    read : callable
        Returns the training and the test part from the split's folder.
    folder : str
    published : dict
        By kind of model: name, recall, NDCG.
    best : tuple, optional
        The same of the best published model, for kinds without figures.
    k : int
        Length of lists.
    in_order : bool
        Whether each member's pairs are in the order of study.
    test_share : float
        Share of each member's pairs in the test part; 0: the last one.
    """

    read: Callable[[Path], tuple[Pairs, Pairs]]
    folder: str
    published: dict[str, tuple[str, float, float]]
    best: tuple[str, float, float] | None = None
    k: int = 10
    in_order: bool = True
    test_share: float = 0.0


SPLITS: Final[dict[str, PublishedSplit]] = {
    "gowalla": PublishedSplit(
        read_lines,
        "gowalla",
        {
            "popularity": ("ItemPop", 0.0416, 0.0317),
            "item_knn": ("ItemKNN", 0.1570, 0.1214),
            "als": ("LightGCN", 0.1830, 0.1554),  # Of factorisations by least squares none is published.
            "ease": ("EASE", 0.1765, 0.1467),
            "graph": ("BSPM-EM", 0.1920, 0.1597),
        },
        k=20,
        in_order=False,
    ),
    "cnpc": PublishedSplit(read_canvas_network, "cnpc", {}, ("KGXCR", 0.484, 0.296), test_share=0.2),
    "beauty": PublishedSplit(
        last_item("Beauty.txt"), "s3rec", {"transitions": ("SASRec", 0.0605, 0.0318)}, ("LightSANs", 0.0861, 0.0444)
    ),
    "toys": PublishedSplit(
        last_item("Toys_and_Games.txt"), "s3rec", {"transitions": ("SASRec", 0.0675, 0.0374)}, ("S3Rec", 0.07, 0.0376)
    ),
    "sports": PublishedSplit(
        last_item("Sports_and_Outdoors.txt"),
        "s3rec",
        {"transitions": ("SASRec", 0.0350, 0.0192)},
        ("S3Rec", 0.0385, 0.0204),
    ),
}


def interactions_of(pairs: Pairs, shape: tuple[int, int], *, in_order: bool = False) -> Interactions:
    """Return the training part as interactions that all weigh the same, without a cap per member.

    Items ``in_order`` were first studied on one day after the other, all others at once.
    """
    as_of = pd.Timestamp("2026-01-01T00:00:00Z")
    (member, item), first = np.unique(np.stack(pairs), axis=1, return_index=True)
    days_ago = pd.Series(first).groupby(member).rank(ascending=False).to_numpy() if in_order else np.zeros(len(member))
    at = as_of.value // 1_000 - (days_ago * DAY_MICROSECONDS).astype(np.int64)
    cells = pd.DataFrame(
        {
            "member": member.astype(np.int32),
            "item": item.astype(np.int32),
            "weight": np.ones(len(member), dtype=np.float32),
            "progress": np.nan,
            "study_seconds": 0.0,
            "finished": True,
            "first_at": at,
            "last_at": at,
            "first_day": (at // DAY_MICROSECONDS).astype(np.int32),
        }
    )
    return Interactions(
        members=pd.DataFrame({"personalised": True}, index=pd.Index(ids(shape[0]), name="member_id")),
        items=pd.DataFrame(index=pd.Index(ids(shape[1]), name="item_id")),
        cells=cells,
        as_of=as_of,
        rules=WeightingRules(member_cap=np.inf),
    )


def ids(count: int) -> list[str]:
    """Return ids in the order of their numbers."""
    return [f"{number:08d}" for number in range(count)]
