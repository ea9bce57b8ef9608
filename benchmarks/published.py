"""Models beside published figures, on published splits: recall and NDCG at 20 or 10 of each.

``python -m benchmarks.published --split gowalla --json FILE`` writes a list of objects ``model, recall@20, ndcg@20,
seconds, cpu_seconds, peak_gib`` (fitting, and lists for all members), and prints the published figures beside them.
Each model runs in a process of its own. The splits lie in the folder that ``XUELU_DATA`` names:

- ``gowalla``: ``train.txt`` and ``test.txt``, a line ``member item item …`` each;
- ``cnpc``: Canvas Network, the last fifth of each member's courses (recall and NDCG at 10);
- ``beauty``, ``toys``, ``sports``: the last item of each member in the files of S3-Rec (at 10; one item, so that recall
  is the hit rate).

As published, recall divides by all of a member's items, however many there are; members without any are left out, and
items of the training part are never listed. Ids are shuffled, as they may follow the order of study.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from features.interactions import Interactions, WeightingRules
from features.study_time import DAY_MICROSECONDS
from recommender.models.als import Als
from recommender.models.base import Model
from recommender.models.ease import Ease
from recommender.models.graph import GraphFilter
from recommender.models.item_knn import ItemKNN
from recommender.models.popularity import Popularity
from recommender.models.transitions import Transitions

Pairs = tuple[NDArray[np.int64], NDArray[np.int64]]
"""Members and items, oldest first within each member."""

MODELS: Final[dict[str, Callable[[], Model]]] = {
    "popularity": lambda: Popularity(np.inf),
    "item_knn": lambda: ItemKNN(half_life_days=np.inf),
    "als": lambda: Als(factors=16, regularization=20.0, alpha=10.0, half_life_days=np.inf),
    "ease": lambda: Ease(80.0),
    "graph": GraphFilter,
    "transitions": Transitions,
}
"""The registered models that need no attributes, of which the splits have none.

Regularisation and filter are those of the figures published for Gowalla.
"""


def read_lines(folder: Path) -> tuple[Pairs, Pairs]:
    """Return the parts of a split in files ``train.txt`` and ``test.txt``."""
    return _pairs(_lines(folder / "train.txt")), _pairs(_lines(folder / "test.txt"))


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
    """

    read: Callable[[Path], tuple[Pairs, Pairs]]
    folder: str
    published: dict[str, tuple[str, float, float]]
    best: tuple[str, float, float] | None = None
    k: int = 10
    in_order: bool = True

    @property
    def models(self) -> list[str]:
        """The models that the split can be judged by: order is what transitions are learned from."""
        return [name for name in MODELS if name in self.published or (self.best and name != "als")]


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
    "cnpc": PublishedSplit(read_canvas_network, "cnpc", {}, ("KGXCR", 0.484, 0.296)),
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


def judged(lists: pd.DataFrame, interactions: Interactions, truth: csr_matrix, k: int) -> tuple[float, float]:
    """Return recall and NDCG at ``k`` as published: means over the members with any items in the test part."""
    rows, columns = (
        interactions.members.index.get_indexer(lists["member_id"]),
        interactions.items.index.get_indexer(lists["item_id"]),
    )
    rank = lists["rank"].to_numpy()
    hit = np.asarray(truth[rows, columns]).ravel()
    gain = 1.0 / np.log2(np.arange(1, k + 1) + 1)
    asked = np.flatnonzero(np.diff(truth.indptr))
    wanted = np.diff(truth.indptr)[asked]
    hits = np.bincount(rows, weights=hit, minlength=truth.shape[0])[asked]
    gains = np.bincount(rows, weights=hit * gain[rank - 1], minlength=truth.shape[0])[asked]
    ideal = np.cumsum(gain)[np.minimum(wanted, k) - 1]
    return float((hits / wanted).mean()), float((gains / ideal).mean())


def measured(name: str, split: PublishedSplit, data: Path) -> dict[str, Any]:
    """Return the figures of one model, fitted and asked in this process."""
    train, test = split.read(data / split.folder)
    shape = (int(max(train[0].max(), test[0].max())) + 1, int(max(train[1].max(), test[1].max())) + 1)
    if split.in_order:
        number = np.random.default_rng(0).permutation(shape[1])
        train, test = (train[0], number[train[1]]), (test[0], number[test[1]])
    interactions = interactions_of(train, shape, in_order=split.in_order)
    truth = csr_matrix((np.ones(len(test[0])), test), shape=shape)
    truth.data[:] = 1.0
    start, cpu = time.perf_counter(), time.process_time()
    model = MODELS[name]().fit(interactions)
    fitted = time.perf_counter()
    lists = model.recommend(list(interactions.members.index), k=split.k)
    seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - cpu
    recall, ndcg = judged(lists, interactions, truth, split.k)
    return {
        "model": name,
        f"recall@{split.k}": round(recall, 5),
        f"ndcg@{split.k}": round(ndcg, 5),
        "seconds": round(seconds, 1),
        "fit_seconds": round(fitted - start, 1),
        "cpu_seconds": round(cpu_seconds, 1),
        "peak_gib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 3),
    }


def apart(name: str, split: str) -> dict[str, Any]:
    """Return the figures of one model, from a process of its own."""
    command = [sys.executable, "-m", "benchmarks.published", "--split", split, "--alone", name]
    process = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    figures: dict[str, Any] = json.loads(process.stdout.splitlines()[-1])
    return figures


def row(figures: dict[str, Any], split: PublishedSplit) -> str:
    """Return a line of the table."""
    kind, recall, ndcg = split.published.get(figures["model"]) or split.best or ("", np.nan, np.nan)
    digits = [f"{value:.4f}" for value in (figures[f"recall@{split.k}"], figures[f"ndcg@{split.k}"])]
    cells = " | ".join([f"`{figures['model']}`", *digits, kind, f"{recall:.4f}", f"{ndcg:.4f}"])
    return f"| {cells} | {figures['seconds']:.0f} | {figures['cpu_seconds']:.0f} | {figures['peak_gib']:.1f} |"


def main() -> None:
    """Measure and print, or measure one model where asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--split", choices=sorted(SPLITS), required=True)
    parser.add_argument("--models", nargs="+", choices=list(MODELS))
    parser.add_argument("--json", type=Path)
    parser.add_argument("--alone", choices=list(MODELS), help="measure this model in this process")
    args = parser.parse_args()
    split = SPLITS[args.split]
    if args.alone:
        data = Path(os.environ.get("XUELU_DATA", "../shared/data"))
        print(json.dumps(measured(args.alone, split, data)))
        return
    kinds = f"Recall@{split.k} | NDCG@{split.k}"
    print(f"| model | {kinds} | published | {kinds} | seconds | of CPU | GiB |")
    print("|---|---|---|---|---|---|---|---|---|", flush=True)
    rows = []
    for name in args.models or split.models:
        rows.append(apart(name, args.split))
        print(row(rows[-1], split), flush=True)
    if args.json:
        args.json.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
