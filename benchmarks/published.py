"""Models beside published figures, on a published split: Recall@20 and NDCG@20 of each.

``python -m benchmarks.published --split gowalla --json FILE`` writes a list of objects ``model, recall@20, ndcg@20,
seconds, cpu_seconds, peak_gib`` (fitting, and lists for all members), and prints the published figures beside them.
Each model runs in a process of its own. The split lies in the folder ``gowalla`` of the one that ``XUELU_DATA`` names:
``train.txt`` and ``test.txt``, a line ``member item item …`` each. As published, recall divides by all of a member's
items, however many there are; members without any are left out, and items of the training part are never listed.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from features.interactions import Interactions, WeightingRules
from recommender.models.als import Als
from recommender.models.base import Model
from recommender.models.ease import Ease
from recommender.models.graph import GraphFilter
from recommender.models.item_knn import ItemKNN
from recommender.models.popularity import Popularity

K: Final = 20

MODELS: Final[dict[str, Callable[[], Model]]] = {
    "popularity": lambda: Popularity(np.inf),
    "item_knn": lambda: ItemKNN(half_life_days=np.inf),
    "als": lambda: Als(factors=16, regularization=20.0, alpha=10.0, half_life_days=np.inf),
    "ease": lambda: Ease(80.0),
    "graph": GraphFilter,
}
"""The registered models that need neither times nor attributes, of which the split has none.

Regularisation and filter are those of the published figures.
"""

PUBLISHED: Final[dict[str, dict[str, tuple[str, float, float]]]] = {
    "gowalla": {
        "popularity": ("ItemPop", 0.0416, 0.0317),
        "item_knn": ("ItemKNN", 0.1570, 0.1214),
        "als": ("LightGCN", 0.1830, 0.1554),
        "ease": ("EASE", 0.1765, 0.1467),
        "graph": ("BSPM-EM", 0.1920, 0.1597),
    }
}
"""Published figures by kind of model: name, Recall@20, NDCG@20.

Of factorisations by least squares nothing is; LightGCN's factors are the nearest.
"""


def read(path: Path) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return members and items of a part of a split, in the order of the file."""
    lines = [np.array(line.split(), dtype=np.int64) for line in path.read_text(encoding="utf-8").splitlines()]
    lines = [line for line in lines if len(line)]
    items = [line[1:] for line in lines]
    return np.repeat([line[0] for line in lines], [len(line) for line in items]), np.concatenate(items)


def interactions_of(pairs: tuple[NDArray[np.int64], NDArray[np.int64]], shape: tuple[int, int]) -> Interactions:
    """Return the training part as interactions that all weigh the same, without a cap per member."""
    as_of = pd.Timestamp("2026-01-01T00:00:00Z")
    member, item = np.unique(np.stack(pairs), axis=1)
    cells = pd.DataFrame(
        {
            "member": member.astype(np.int32),
            "item": item.astype(np.int32),
            "weight": np.ones(len(member), dtype=np.float32),
            "progress": np.nan,
            "study_seconds": 0.0,
            "finished": True,
            "first_at": as_of.value // 1_000,
            "last_at": as_of.value // 1_000,
            "first_day": np.int32((as_of - pd.Timestamp(0, tz="UTC")).days),
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


def judged(lists: pd.DataFrame, interactions: Interactions, truth: csr_matrix) -> tuple[float, float]:
    """Return Recall@20 and NDCG@20 as published: means over the members with any items in the test part."""
    rows, columns = (
        interactions.members.index.get_indexer(lists["member_id"]),
        interactions.items.index.get_indexer(lists["item_id"]),
    )
    rank = lists["rank"].to_numpy()
    hit = np.asarray(truth[rows, columns]).ravel()
    gain = 1.0 / np.log2(np.arange(1, K + 1) + 1)
    asked = np.flatnonzero(np.diff(truth.indptr))
    wanted = np.diff(truth.indptr)[asked]
    hits = np.bincount(rows, weights=hit, minlength=truth.shape[0])[asked]
    gains = np.bincount(rows, weights=hit * gain[rank - 1], minlength=truth.shape[0])[asked]
    ideal = np.cumsum(gain)[np.minimum(wanted, K) - 1]
    return float((hits / wanted).mean()), float((gains / ideal).mean())


def measured(name: str, folder: Path) -> dict[str, Any]:
    """Return the figures of one model, fitted and asked in this process."""
    train, test = read(folder / "train.txt"), read(folder / "test.txt")
    shape = (int(max(train[0].max(), test[0].max())) + 1, int(max(train[1].max(), test[1].max())) + 1)
    interactions = interactions_of(train, shape)
    truth = csr_matrix((np.ones(len(test[0])), test), shape=shape)
    truth.data[:] = 1.0
    start, cpu = time.perf_counter(), time.process_time()
    model = MODELS[name]().fit(interactions)
    fitted = time.perf_counter()
    lists = model.recommend(list(interactions.members.index), k=K)
    seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - cpu
    recall, ndcg = judged(lists, interactions, truth)
    return {
        "model": name,
        "recall@20": round(recall, 5),
        "ndcg@20": round(ndcg, 5),
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


def row(figures: dict[str, Any], split: str) -> str:
    """Return a line of the table."""
    kind, recall, ndcg = PUBLISHED[split][figures["model"]]
    return (
        f"| `{figures['model']}` | {figures['recall@20']:.4f} | {figures['ndcg@20']:.4f} | {kind} | {recall:.4f} |"
        f" {ndcg:.4f} | {figures['seconds']:.0f} | {figures['cpu_seconds']:.0f} | {figures['peak_gib']:.1f} |"
    )


def main() -> None:
    """Measure and print, or measure one model where asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--split", choices=sorted(PUBLISHED), required=True)
    parser.add_argument("--models", nargs="+", choices=list(MODELS), default=list(MODELS))
    parser.add_argument("--json", type=Path)
    parser.add_argument("--alone", choices=list(MODELS), help="measure this model in this process")
    args = parser.parse_args()
    if args.alone:
        folder = Path(os.environ.get("XUELU_DATA", "../shared/data")) / args.split
        print(json.dumps(measured(args.alone, folder)))
        return
    print("| model | Recall@20 | NDCG@20 | published | Recall@20 | NDCG@20 | seconds | of CPU | GiB |")
    print("|---|---|---|---|---|---|---|---|---|", flush=True)
    rows = []
    for name in args.models:
        rows.append(apart(name, args.split))
        print(row(rows[-1], args.split), flush=True)
    if args.json:
        args.json.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
