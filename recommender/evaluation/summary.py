"""Summaries of replayed lists: means per model and slice, intervals by bootstrap over members, paired differences."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from recommender.evaluation.backtest import DEFAULT, Judged
from recommender.evaluation.metrics import coverage, diversity, hit_rate, mrr, ndcg, novelty, recall

RESAMPLES: Final = 1_000
PERCENTILES: Final = (2.5, 97.5)
Floats = NDArray[np.float64]
Slice = tuple[str, NDArray[np.bool_]]


def summarise(
    judged: Sequence[Judged],
    slices: Mapping[str, Sequence[NDArray[np.bool_]]],
    *,
    vectors: csr_matrix,
    n_members: int,
    seed: int = 0,
) -> list[dict[str, Any]]:
    """Return a row per model and slice, the default pipeline first.

    Parameters
    ----------
    judged : sequence of Judged
        Every cut's lists.
    slices : mapping
        For each slice and cut either which lists are in it (n_lists,), or which items studied next count
        (n_lists, n_items).
    vectors : csr_matrix (n_items, n_dimensions)
        What items are about, for the diversity of lists.
    n_members : int
        All members, for the novelty of lists.

    Returns
    -------
    list of dict
        ``model, slice, lists, recall, ndcg, hit_rate, mrr, coverage, novelty, diversity, recall_interval,
        ndcg_interval, baseline, recall_difference, recall_difference_interval, ndcg_difference,
        ndcg_difference_interval``. Intervals hold 95 % of bootstrap resamples of members with all their lists (Efron
        1979, https://doi.org/10.1214/aos/1176344552). ``baseline`` is the single model that is best in the slice by
        ``ndcg``, of those judged; differences to it are paired list by list.
    """
    models = sorted(judged[0].hits, key=lambda name: name != DEFAULT) if judged else []
    beside = {name: _beside(name, judged, vectors, n_members) for name in models}
    rows: list[dict[str, Any]] = []
    for number, (slice_name, masks) in enumerate(slices.items()):
        measured = {name: _measured(name, judged, masks) for name in models}
        members, kept = _members(judged, masks)
        if not kept.any():
            continue
        weights = resampled(members, np.random.default_rng([seed, number]))
        single = [name for name in models if name != DEFAULT] or models
        baseline = max(single, key=lambda name: measured[name]["ndcg"].mean())
        rows.extend(_row(name, slice_name, measured, beside[name], kept, weights, members, baseline) for name in models)
    return rows


def _row(
    name: str,
    slice_name: str,
    measured: dict[str, dict[str, Floats]],
    beside: tuple[Floats, Floats, list[NDArray[np.intp]], NDArray[np.int64]],
    kept: NDArray[np.bool_],
    weights: Floats,
    members: NDArray[np.intp],
    baseline: str,
) -> dict[str, Any]:
    own = measured[name]
    novel, diverse, listed, n_known = beside
    row: dict[str, Any] = {"model": name, "slice": slice_name, "lists": int(kept.sum())}
    row |= {metric: float(own[metric].mean()) for metric in ("recall", "ndcg", "hit_rate", "mrr")}
    items = np.concatenate(listed)[kept]
    row |= {
        "coverage": coverage(pd.Series(items[items >= 0]), int(n_known.max())),
        "novelty": float(novel[kept].mean()),
        "diversity": float(diverse[kept].mean()),
    }
    row |= {f"{metric}_interval": interval(own[metric], members, weights) for metric in ("recall", "ndcg")}
    row["baseline"] = baseline
    for metric in ("recall", "ndcg"):
        difference = own[metric] - measured[baseline][metric]
        row[f"{metric}_difference"] = float(difference.mean())
        row[f"{metric}_difference_interval"] = interval(difference, members, weights)
    return row


def _measured(name: str, judged: Sequence[Judged], masks: Sequence[NDArray[np.bool_]]) -> dict[str, Floats]:
    """Return each metric of the lists in a slice."""
    parts = [_narrowed(name, one, mask) for one, mask in zip(judged, masks, strict=True)]
    hits = np.concatenate([part[0] for part in parts])
    n_true = np.concatenate([part[1] for part in parts])
    kept = n_true > 0
    hits, n_true = hits[kept], n_true[kept]
    return {"recall": recall(hits, n_true), "ndcg": ndcg(hits, n_true), "hit_rate": hit_rate(hits), "mrr": mrr(hits)}


def _narrowed(name: str, one: Judged, mask: NDArray[np.bool_]) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    if mask.ndim == 1:
        return one.hits[name] & mask[:, None], np.where(mask, one.n_true, 0)
    listed = one.listed[name]
    return one.hits[name] & np.take_along_axis(mask, np.maximum(listed, 0), axis=1), mask.sum(axis=1)


def _members(
    judged: Sequence[Judged], masks: Sequence[NDArray[np.bool_]]
) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """Return the member of each list in a slice, numbered from 0, and which of all lists are in it."""
    kept = np.concatenate([mask if mask.ndim == 1 else mask.any(axis=1) for mask in masks])
    _, members = np.unique(np.concatenate([one.members for one in judged])[kept], return_inverse=True)
    return members, kept


def resampled(members: NDArray[np.intp], rng: np.random.Generator) -> Floats:
    """Return how often each member is drawn in each resample: (resamples, members)."""
    n_members = int(members.max()) + 1
    return rng.multinomial(n_members, np.full(n_members, 1 / n_members), size=RESAMPLES).astype(np.float64)


def interval(values: Floats, members: NDArray[np.intp], weights: Floats) -> list[float]:
    """Return the 95 % interval of a mean over lists, members being resampled.

    Parameters
    ----------
    values : array (n_lists,)
    members : array (n_lists,)
        The member of each list, numbered from 0.
    weights : array (n_resamples, n_members)
        How often each member is drawn.

    Examples
    --------
    >>> interval(np.array([0.0, 1.0]), np.array([0, 1]), np.array([[2.0, 0.0], [1.0, 1.0], [0.0, 2.0]]))
    [0.025, 0.975]
    """
    n_members = weights.shape[1]
    totals = weights @ np.bincount(members, weights=values, minlength=n_members)
    counts = weights @ np.bincount(members, minlength=n_members)
    low, high = np.percentile(totals / np.maximum(counts, 1), PERCENTILES)
    return [round(float(low), 6), round(float(high), 6)]


def _beside(
    name: str, judged: Sequence[Judged], vectors: csr_matrix, n_members: int
) -> tuple[Floats, Floats, list[NDArray[np.intp]], NDArray[np.int64]]:
    """Return the novelty and diversity of every list, the items on the lists, and how many items could be on them."""
    listed = [one.listed[name] for one in judged]
    novel = [novelty(one.listed[name], one.studied, n_members) for one in judged]
    return (
        np.concatenate(novel),
        np.concatenate([diversity(items, vectors) for items in listed]),
        listed,
        np.array([one.n_known for one in judged]),
    )
