"""Models beside published figures, on published splits: recall and NDCG at 20 or 10 of each.

``python -m benchmarks.published --split gowalla --json FILE`` writes a list of objects ``model, recall@20, ndcg@20,
seconds, cpu_seconds, peak_gib`` (fitting, and lists for all members), and prints the published figures beside them.
Each model runs in a process of its own; ``ranker`` is several of them ranked (:mod:`benchmarks.published_ranking`).
With ``--validation`` the latest items of the training part are the test part, to choose by. The splits lie in the
folder that ``XUELU_DATA`` names:

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
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from scipy.sparse import csr_matrix

from benchmarks.graph_filter import GraphFilter
from benchmarks.published_ranking import latest_apart, ranked_lists
from benchmarks.published_splits import SPLITS, Pairs, PublishedSplit, interactions_of
from features.interactions import Interactions
from recommender.models.als import Als
from recommender.models.base import Model
from recommender.models.ease import Ease
from recommender.models.item_knn import ItemKNN
from recommender.models.popularity import Popularity
from recommender.models.transitions import Transitions

MODELS: Final[dict[str, Callable[[], Model]]] = {
    "popularity": lambda: Popularity(np.inf),
    "item_knn": lambda: ItemKNN(half_life_days=np.inf),
    "als": lambda: Als(factors=16, regularization=20.0, alpha=10.0, half_life_days=np.inf),
    "ease": lambda: Ease(80.0),
    "graph": GraphFilter,
    "transitions": Transitions,
}
"""Models that need no attributes, of which the splits have none.

Regularisation and filter are those of the figures published for Gowalla.
"""
RANKER: Final = "ranker"
"""Several models, ranked by what members studied before their latest items."""


def models_of(split: PublishedSplit) -> list[str]:
    """Return the models that a split can be judged by: order is what transitions and the ranker learn from."""
    names = [name for name in MODELS if name in split.published or (split.best and name != "als")]
    return [*names, RANKER] if split.in_order else names


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


def measured(name: str, split: PublishedSplit, data: Path, *, validation: bool = False) -> dict[str, Any]:
    """Return the figures of one model, fitted and asked in this process."""
    train, test = split.read(data / split.folder)
    shape = (int(max(train[0].max(), test[0].max())) + 1, int(max(train[1].max(), test[1].max())) + 1)
    if split.in_order:
        number = np.random.default_rng(0).permutation(shape[1])
        train, test = (train[0], number[train[1]]), (test[0], number[test[1]])
    if validation:
        train, test = latest_apart(train, split.test_share)
    truth = csr_matrix((np.ones(len(test[0])), test), shape=shape)
    truth.data[:] = 1.0
    start, cpu = time.perf_counter(), time.process_time()
    lists, interactions = lists_of(name, split, train, shape)
    seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - cpu
    recall, ndcg = judged(lists, interactions, truth, split.k)
    return {
        "model": name,
        f"recall@{split.k}": round(recall, 5),
        f"ndcg@{split.k}": round(ndcg, 5),
        "seconds": round(seconds, 1),
        "cpu_seconds": round(cpu_seconds, 1),
        "peak_gib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 3),
    }


def lists_of(
    name: str, split: PublishedSplit, train: Pairs, shape: tuple[int, int]
) -> tuple[pd.DataFrame, Interactions]:
    """Return a model's lists of all members, and the interactions that they are made from."""
    if name == RANKER:
        return ranked_lists(train, shape, share=split.test_share, k=split.k)
    interactions = interactions_of(train, shape, in_order=split.in_order)
    model = MODELS[name]().fit(interactions)
    return model.recommend(list(interactions.members.index), k=split.k), interactions


def apart(name: str, split: str, *, validation: bool) -> dict[str, Any]:
    """Return the figures of one model, from a process of its own."""
    command = [sys.executable, "-m", "benchmarks.published", "--split", split, "--alone", name]
    command += ["--validation"] if validation else []
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
    parser.add_argument("--models", nargs="+", choices=[*MODELS, RANKER])
    parser.add_argument("--json", type=Path)
    parser.add_argument("--alone", choices=[*MODELS, RANKER], help="measure this model in this process")
    parser.add_argument("--validation", action="store_true", help="test on the latest items of the training part")
    args = parser.parse_args()
    split = SPLITS[args.split]
    if args.alone:
        data = Path(os.environ.get("XUELU_DATA", "../shared/data"))
        print(json.dumps(measured(args.alone, split, data, validation=args.validation)))
        return
    kinds = f"Recall@{split.k} | NDCG@{split.k}"
    print(f"| model | {kinds} | published | {kinds} | seconds | of CPU | GiB |")
    print("|---|---|---|---|---|---|---|---|---|", flush=True)
    rows = []
    for name in args.models or models_of(split):
        rows.append(apart(name, args.split, validation=args.validation))
        print(row(rows[-1], split), flush=True)
    if args.json:
        args.json.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
