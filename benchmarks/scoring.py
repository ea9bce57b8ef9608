"""The best items by products of vectors, beside the bare matrix product and ``implicit``'s lists, on the same factors.

``python -m benchmarks.scoring --json FILE`` writes ``vs_product`` and ``vs_implicit``: our seconds by theirs, the
median of the rounds' ratios. All sides run in turn in one process. The product is taken in blocks whose memory is used
again, by BLAS's threads and by threads with blocks of their own, and ``implicit`` with each setting of its threads and
BLAS's: what was quickest in rounds of their own is what we are compared with.
"""

import argparse
import json
import os
import time
import tracemalloc
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import product as pairs
from pathlib import Path
from typing import Any

import numpy as np
from implicit.cpu.als import AlternatingLeastSquares
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from threadpoolctl import threadpool_limits

from recommender.linalg.topk import top_k
from recommender.models.base import BLOCK_CELLS, Eligibility
from recommender.models.factor_base import CACHED_CELLS, best_products

CHECKED = 200
"""Members whose lists are compared with those of a plain computation in float64."""

Vectors = NDArray[np.float64]


def bare_product(members: NDArray[np.float32], items: NDArray[np.float32], cells: int) -> None:
    """Multiply in blocks of so many cells, each block as fast as BLAS's threads can."""
    size = max(1, cells // len(items))
    memory = np.empty((size, len(items)), dtype=np.float32)
    for start in range(0, len(members), size):
        here = members[start : start + size]
        np.matmul(here, items.T, out=memory[: len(here)])


def bare_product_in_threads(members: NDArray[np.float32], items: NDArray[np.float32], cells: int) -> None:
    """Multiply in blocks of so many cells, as many at once as there are cores."""
    cores = os.cpu_count() or 1
    size = -(-len(members) // cores)
    with threadpool_limits(limits=1, user_api="blas"), ThreadPoolExecutor(cores) as pool:
        list(
            pool.map(
                lambda start: bare_product(members[start : start + size], items, cells), range(0, len(members), size)
            )
        )


def by_implicit(model: AlternatingLeastSquares, seen: csr_matrix, k: int, threads: int, blas: int) -> NDArray[np.int32]:
    """Return the lists of ``implicit``, with so many threads of its own and of BLAS."""
    model.num_threads = threads
    with threadpool_limits(limits=blas, user_api="blas"):
        items, _ = model.recommend(np.arange(seen.shape[0]), seen, N=k, filter_already_liked_items=True)
    return np.asarray(items)


def timed(run: Callable[[], Any]) -> float:
    """Return the seconds of a run."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def rounds_of(sides: dict[str, Callable[[], Any]], rounds: int) -> dict[str, list[float]]:
    """Return the seconds of each side in each round, the sides taking turns."""
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(rounds):
        for name, run in sides.items():
            seconds[name].append(timed(run))
    return seconds


def check(members: Vectors, items: Vectors, seen: csr_matrix, best: Any, k: int) -> None:
    """Assert that our lists of some members are those of all products in float64, rounded."""
    scores = (members[:CHECKED] @ items.T).astype(np.float32)
    scores[seen[:CHECKED].nonzero()] = -np.inf
    rows, columns, values = top_k(scores, k)
    mine = best[0] < CHECKED
    assert np.array_equal(best[0][mine], rows)
    assert np.array_equal(best[1][mine], columns)
    np.testing.assert_allclose(best[2][mine], values, rtol=1e-6)


def peak_mib(run: Callable[[], Any]) -> float:
    """Return the memory that a run takes beyond what it is given."""
    tracemalloc.start()
    try:
        run()
        return round(tracemalloc.get_traced_memory()[1] / 2**20, 1)
    finally:
        tracemalloc.stop()


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """Return all figures."""
    rng = np.random.default_rng(0)
    members, items = (rng.standard_normal((count, args.factors)) for count in (args.members, args.items))
    seen_items = rng.integers(0, args.items, (args.members, args.seen))
    starts = np.arange(0, seen_items.size + 1, args.seen)
    seen = csr_matrix(
        (np.ones(seen_items.size, dtype=np.float32), seen_items.ravel(), starts), shape=(args.members, args.items)
    )
    seen.sum_duplicates()
    eligibility = Eligibility(np.zeros(args.members, dtype=np.intp), np.ones((1, args.items), dtype=bool))
    model = AlternatingLeastSquares(factors=args.factors)
    model.user_factors, model.item_factors = members.astype(np.float32), items.astype(np.float32)

    ours = partial(best_products, members, items, args.k, eligibility, seen)
    cores = sorted({1, os.cpu_count() or 1})
    plain = (model.user_factors, model.item_factors)
    products: dict[str, Callable[[], Any]] = {}
    lists: dict[str, Callable[[], Any]] = {}
    for cells in (CACHED_CELLS, BLOCK_CELLS):
        products[f"product, BLAS's threads, blocks of {cells}"] = partial(bare_product, *plain, cells)
        products[f"product, own threads, blocks of {cells}"] = partial(bare_product_in_threads, *plain, cells)
    for threads, blas in pairs(cores, cores):
        name = f"implicit, threads {threads}, BLAS {blas}"
        lists[name] = partial(by_implicit, model, seen, args.k, threads, blas)
    best = ours()
    check(members, items, seen, best, args.k)
    theirs = by_implicit(model, seen, args.k, cores[-1], 1)
    tried = [rounds_of(sides, args.tries) for sides in (products, lists)]
    product, implicit = (min(seconds, key=lambda name: min(seconds[name])) for seconds in tried)
    rounds = rounds_of({"ours": ours, product: products[product], implicit: lists[implicit]}, args.rounds)
    mine = np.array(rounds["ours"])
    return {
        "vs_product": round(float(np.median(mine / rounds[product])), 3),
        "vs_implicit": round(float(np.median(mine / rounds[implicit])), 3),
        "seconds": {name: round(float(np.median(seconds)), 3) for name, seconds in rounds.items()},
        "tried": {name: round(min(seconds), 3) for sides in tried for name, seconds in sides.items()},
        "memory_mib": peak_mib(ours),
        "same_as_implicit": round(float((best[1].reshape(args.members, -1) == theirs).mean()), 6),
        "members": args.members,
        "items": args.items,
        "factors": args.factors,
        "k": args.k,
        "cores": os.cpu_count(),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--members", type=int, default=20_000)
    parser.add_argument("--items", type=int, default=20_000)
    parser.add_argument("--factors", type=int, default=128)
    parser.add_argument("--seen", type=int, default=50, help="items that each member has seen")
    parser.add_argument("--k", type=int, default=20)
    parser.add_argument("--tries", type=int, default=2, help="rounds that find the quickest settings of the others")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    figures = measure(args)
    print(json.dumps(figures, indent=2))
    if args.json:
        args.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
