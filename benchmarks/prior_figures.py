"""Priors that have not seen an organisation, evaluated on it: NDCG@10 beside its own ranking and its best single model.

``XUELU_DATA=FOLDER python -m benchmarks.prior_figures --json FILE`` leaves out each organisation of
:mod:`benchmarks.prior` in turn. A prior is fitted on all others and the shops, as the one that ships is, and evaluated
on the last third of the organisation's cut-offs: alone, with the latest 10, 30 and 100 lists before them as own
examples, and with all lists before them (``own``). Cold lists are of members without history.
"""

import argparse
import json
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks.prior import are_warm, cut_offs_of, sampled, shops, sources
from recommender.evaluation.comparison import compare
from recommender.ranking.examples import COUNTED_ITEMS, TrainingExamples, ndcg_of_lists
from recommender.ranking.prior import Prior, fit_prior
from recommender.ranking.ranker import Ranker
from recommender.registry import DEFAULT_MODELS, feature_names

FEW: Final = (10, 30, 100)
"""Numbers of own lists."""
MIN_LISTS: Final = 30
"""Slices of fewer lists are left out."""
Cuts = Sequence[tuple[pd.Timestamp, TrainingExamples]]
IDEAL: Final = np.cumsum(1.0 / np.log2(np.arange(2, COUNTED_ITEMS + 2)))


def latest_lists(nights: Sequence[TrainingExamples], n_lists: int) -> list[TrainingExamples]:
    """Return the examples of the latest lists: whole nights from the end, and a draw from the one before them."""
    chosen: list[TrainingExamples] = []
    for night in reversed(nights):
        if n_lists > 0:
            chosen.insert(0, night.of_lists(n_lists, seed=0))
            n_lists -= len(night.members)
    return chosen


def ndcg_of_models(examples: TrainingExamples) -> NDArray[np.float64]:
    """Return the NDCG at 10 of each model's own list: (n_lists, models)."""
    columns = [feature_names().index(f"rank_by_{name}") for name in DEFAULT_MODELS]
    ranks = np.exp(examples.features[examples.studied][:, columns].astype(np.float64)).round()
    gains = np.zeros((len(examples.members), len(columns)))
    gain = np.where(ranks <= COUNTED_ITEMS, 1.0 / np.log2(1.0 + np.nan_to_num(ranks, nan=1.0)), 0.0)
    np.add.at(gains, examples.row[examples.studied], gain)
    return gains / IDEAL[np.minimum(examples.n_true.sum(axis=1), COUNTED_ITEMS) - 1][:, None]


def figures_of(others: Sequence[TrainingExamples], cuts: Cuts) -> list[dict[str, Any]]:
    """Return the figures of an organisation, of warm and of cold lists, by the examples of all others."""
    names = feature_names()
    prior = Prior(fit_prior(others, names), names)
    n_own = max(1, len(cuts) * 2 // 3)
    own, held_out = [sampled(*cut_off) for cut_off in cuts[:n_own]], [examples for _, examples in cuts[n_own:]]
    examples_by_ranking = {"prior": [], **{f"+{few}": latest_lists(own, few) for few in FEW}, "own": own}
    rankers = {name: Ranker(prior).fit(examples) for name, examples in examples_by_ranking.items()}
    ndcg = {
        name: np.concatenate([ndcg_of_lists(ranker.score(night.features), night) for night in held_out])
        for name, ranker in rankers.items()
    }
    by_model = np.concatenate([ndcg_of_models(night) for night in held_out])
    warm = np.concatenate([are_warm(night) for night in held_out])
    lists = pd.DataFrame(
        {
            "cut": np.repeat(np.arange(len(held_out)), [len(night.members) for night in held_out]),
            "member": np.concatenate([night.members for night in held_out]),
        }
    )
    rows = []
    for label, mask in (("warm", warm), ("cold", ~warm)):
        if mask.sum() >= MIN_LISTS:
            best = int(by_model[mask].mean(axis=0).argmax())
            now, then = (lists.assign(ndcg=values)[mask] for values in (ndcg["prior"], by_model[:, best]))
            difference = compare(now, then)
            rows.append(
                {
                    "members": label,
                    "lists": int(mask.sum()),
                    **{name: round(float(values[mask].mean()), 4) for name, values in ndcg.items()},
                    "best_model": DEFAULT_MODELS[best],
                    "best": round(float(by_model[mask, best].mean()), 4),
                    "difference": None if difference is None else [round(difference.low, 4), round(difference.high, 4)],
                }
            )
    return rows


def table_row(name: str, figures: dict[str, Any]) -> str:
    """Return a line of the table."""
    values = [figures[key] for key in ("prior", *(f"+{few}" for few in FEW), "own", "best")]
    low, high = figures["difference"] or (float("nan"), float("nan"))
    cells = " | ".join(f"{value:.3f}" for value in values)
    return (
        f"| {name}, {figures['members']} ({figures['lists']}) | {cells} (`{figures['best_model']}`) |"
        f" {low:+.3f} to {high:+.3f} | {figures['prior'] / figures['own']:.2f} |"
    )


def main() -> None:
    """Leave out each organisation in turn and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    data = Path(os.environ.get("XUELU_DATA", "../shared/data"))
    with tempfile.TemporaryDirectory() as folder:
        cuts = {source.name: list(cut_offs_of(source, Path(folder))) for source in sources(data, Path(folder))}
        of_shops = [sampled(*cut) for shop in shops(data, Path(folder)) for cut in cut_offs_of(shop, Path(folder))]
    print(f"| left out | prior | {' | '.join(f'+ {few} lists' for few in FEW)} | own | best single model |", end="")
    print(" prior beside it, 95 % | prior / own |")
    print("|" + "---|" * (6 + len(FEW)), flush=True)
    figures = {}
    for left_out, own in cuts.items():
        others = [sampled(*cut_off) for name, of_other in cuts.items() if name != left_out for cut_off in of_other]
        figures[left_out] = figures_of([*others, *of_shops], own)
        for row in figures[left_out]:
            print(table_row(left_out, row), flush=True)
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
