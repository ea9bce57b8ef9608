"""Summaries of a backtest: means per model and slice, bootstrap intervals over members, paired differences."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from recommender.evaluation.cut_offs import DEFAULT, EvaluatedCut, of_pipeline
from recommender.evaluation.metrics import coverage, diversity, hit_rate, miscalibration, mrr, ndcg, novelty, recall
from recommender.ranking.examples import BEGAN_ALONE, OUTCOMES

RESAMPLES: Final = 1_000
PERCENTILES: Final = (2.5, 97.5)
Floats = NDArray[np.float64]
Slice = tuple[str, NDArray[np.bool_]]


class BeyondAccuracy(NamedTuple):
    """Figures of every list of a model that do not ask whether it was right.

    Attributes
    ----------
    novelty, diversity, miscalibration : array (n_lists,)
    listed : array (n_lists, k)
        The items on the lists, -1 where one is shorter.
    n_open : int
        Items that could be on them.
    """

    novelty: Floats
    diversity: Floats
    miscalibration: Floats
    listed: NDArray[np.intp]
    n_open: int


def summarise(
    cuts: Sequence[EvaluatedCut],
    slices: Mapping[str, Sequence[NDArray[np.bool_]]],
    *,
    vectors: csr_matrix,
    n_members: int,
    objective: Mapping[str, float] = BEGAN_ALONE,
) -> list[dict[str, Any]]:
    """Return a row per model and slice, the default pipeline first.

    Parameters
    ----------
    cuts : sequence of EvaluatedCut
        Lists of each cut-off.
    slices : mapping
        For each slice and cut-off the mask of its lists (n_lists,), or of the items studied next that count
        (n_lists, n_items).
    vectors : csr_matrix (n_items, n_dimensions)
        Topics of items, for the diversity and the calibration of lists.
    n_members : int
        All members, for the novelty of lists.
    objective : mapping
        Weight of each of :data:`OUTCOMES`.

    Returns
    -------
    list of dict
        ``model, slice, lists, recall, ndcg, hit_rate, mrr, coverage, novelty, diversity, miscalibration,
        recall_interval, ndcg_interval, baseline, recall_difference, recall_difference_interval, ndcg_difference,
        ndcg_difference_interval, objectives, objective``. Intervals hold 95 % of bootstrap resamples of members with
        all their lists (Efron 1979, https://doi.org/10.1214/aos/1176344552). ``baseline`` is the single model that is
        best in the slice by ``ndcg``, of those evaluated; differences to it are paired list by list. ``objectives`` is
        the NDCG by each of :data:`OUTCOMES`, counting the items with that outcome, over the lists that have one; None
        where no list has, where the log ends too early, and in slices of items. ``objective`` is their mean by weight,
        of those measured. ``miscalibration`` is the mean over lists of members with a history; None without one.
    """
    models = sorted(cuts[0].hits, key=lambda name: name != DEFAULT) if cuts else []
    beyond = {name: _beyond_accuracy(name, cuts, vectors, n_members) for name in models}
    by_outcome = {name: _by_outcome(name, cuts) for name in models}
    rows: list[dict[str, Any]] = []
    for number, (slice_name, masks) in enumerate(slices.items()):
        measured = {name: _measured(name, cuts, masks) for name in models}
        members, in_slice = _members(cuts, masks)
        if not in_slice.any():
            continue
        weights = resampled(members, np.random.default_rng([0, number]))
        single = [name for name in models if not of_pipeline(name)] or models
        baseline = max(single, key=lambda name: measured[name]["ndcg"].mean())
        for name in models:
            row = _row(name, slice_name, measured, beyond[name], in_slice, weights, members, baseline)
            of_lists = masks[0].ndim == 1
            figures = {each: _mean(values[in_slice]) if of_lists else None for each, values in by_outcome[name].items()}
            row["objectives"] = {"began": row["ndcg"], **figures}
            row["objective"] = weighted(row["objectives"], objective)
            rows.append(row)
    return rows


def of_all_lists(name: str, cuts: Sequence[EvaluatedCut], objective: Mapping[str, float]) -> tuple[float, float | None]:
    """Return the mean recall of all lists of a model, and the objective; None where no list has a weighted outcome."""
    hits = np.concatenate([cut.hits[name] for cut in cuts])
    n_true = np.concatenate([cut.n_true for cut in cuts])
    figures = {outcome: _mean(values) for outcome, values in _by_outcome(name, cuts).items()}
    figures["began"] = float(ndcg(hits, n_true).mean())
    return float(recall(hits, n_true).mean()), weighted(figures, objective)


def weighted(figures: Mapping[str, float | None], weights: Mapping[str, float]) -> float | None:
    """Return the mean of figures by weight, of those that are there.

    >>> weighted({"began": 0.25, "completed": 0.75, "passed": None}, {"began": 1.0, "completed": 3.0, "passed": 1.0})
    0.625
    """
    present = {name: value for name, value in figures.items() if value is not None and weights.get(name, 0.0) > 0}
    total = sum(weights[name] for name in present)
    return sum(weights[name] * value for name, value in present.items()) / total if total else None


def _by_outcome(name: str, cuts: Sequence[EvaluatedCut]) -> dict[str, Floats]:
    """Return the NDCG of each list by the items with each outcome; NaN where it has none."""
    parts: dict[str, list[Floats]] = {outcome: [] for outcome in OUTCOMES[1:]}
    for cut in cuts:
        for outcome, values in parts.items():
            led = cut.outcomes.get(outcome)
            if led is None:
                values.append(np.full(len(cut.members), np.nan))
                continue
            n_led = np.asarray(led.sum(axis=1), dtype=np.int64).ravel()
            rows = np.broadcast_to(np.arange(len(cut.members))[:, None], cut.listed[name].shape)
            hits = cut.hits[name] & np.asarray(led[rows, np.maximum(cut.listed[name], 0)].todense(), dtype=bool)
            values.append(np.where(n_led > 0, ndcg(hits, np.maximum(n_led, 1)), np.nan))
    return {outcome: np.concatenate(values) for outcome, values in parts.items()}


def _mean(values: Floats) -> float | None:
    """Return the mean of the numbers among values; None where there is none."""
    numbers = values[~np.isnan(values)]
    return float(numbers.mean()) if len(numbers) else None


def _row(
    name: str,
    slice_name: str,
    measured: dict[str, dict[str, Floats]],
    beyond: BeyondAccuracy,
    in_slice: NDArray[np.bool_],
    weights: Floats,
    members: NDArray[np.intp],
    baseline: str,
) -> dict[str, Any]:
    own = measured[name]
    row: dict[str, Any] = {"model": name, "slice": slice_name, "lists": int(in_slice.sum())}
    row |= {metric: float(own[metric].mean()) for metric in ("recall", "ndcg", "hit_rate", "mrr")}
    items = beyond.listed[in_slice]
    row |= {
        "coverage": coverage(pd.Series(items[items >= 0]), beyond.n_open),
        "novelty": float(beyond.novelty[in_slice].mean()),
        "diversity": float(beyond.diversity[in_slice].mean()),
        "miscalibration": _mean(beyond.miscalibration[in_slice]),
    }
    row |= {f"{metric}_interval": interval(own[metric], members, weights) for metric in ("recall", "ndcg")}
    row["baseline"] = baseline
    for metric in ("recall", "ndcg"):
        difference = own[metric] - measured[baseline][metric]
        row[f"{metric}_difference"] = float(difference.mean())
        row[f"{metric}_difference_interval"] = interval(difference, members, weights)
    return row


def _measured(name: str, cuts: Sequence[EvaluatedCut], masks: Sequence[NDArray[np.bool_]]) -> dict[str, Floats]:
    """Return each metric of the lists in a slice."""
    parts = [_narrowed(name, cut, mask) for cut, mask in zip(cuts, masks, strict=True)]
    hits = np.concatenate([part[0] for part in parts])
    n_true = np.concatenate([part[1] for part in parts])
    in_slice = n_true > 0
    hits, n_true = hits[in_slice], n_true[in_slice]
    return {"recall": recall(hits, n_true), "ndcg": ndcg(hits, n_true), "hit_rate": hit_rate(hits), "mrr": mrr(hits)}


def _narrowed(name: str, cut: EvaluatedCut, mask: NDArray[np.bool_]) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    if mask.ndim == 1:
        return cut.hits[name] & mask[:, None], np.where(mask, cut.n_true, 0)
    listed = cut.listed[name]
    return cut.hits[name] & np.take_along_axis(mask, np.maximum(listed, 0), axis=1), mask.sum(axis=1)


def _members(
    cuts: Sequence[EvaluatedCut], masks: Sequence[NDArray[np.bool_]]
) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """Return the member of each list in a slice, numbered from 0, and which of all lists are in it."""
    in_slice = np.concatenate([mask if mask.ndim == 1 else mask.any(axis=1) for mask in masks])
    _, members = np.unique(np.concatenate([cut.members for cut in cuts])[in_slice], return_inverse=True)
    return members, in_slice


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


def _beyond_accuracy(name: str, cuts: Sequence[EvaluatedCut], vectors: csr_matrix, n_members: int) -> BeyondAccuracy:
    listed = [cut.listed[name] for cut in cuts]
    return BeyondAccuracy(
        np.concatenate([novelty(cut.listed[name], cut.studied, n_members) for cut in cuts]),
        np.concatenate([diversity(items, vectors) for items in listed]),
        np.concatenate([miscalibration(cut.listed[name], cut.seen, vectors) for cut in cuts]),
        np.concatenate(listed),
        max(cut.n_open for cut in cuts),
    )
