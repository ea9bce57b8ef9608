"""Figures of priors that have not seen the organisation they are evaluated on."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks.prior import shops
from benchmarks.prior_figures import Cuts, figures_of, latest_lists, ndcg_of_models, table_row
from recommender.ranking.examples import TrainingExamples
from recommender.registry import DEFAULT_MODELS, feature_names

NAMES = feature_names()


def night(seed: int, *, lists: int = 40, candidates: int = 20, leading: str = "transitions") -> TrainingExamples:
    """Return lists on which the items that one model ranks first are studied next; the other models rank at random."""
    rng = np.random.default_rng(seed)
    features = np.full((lists * candidates, len(NAMES)), np.nan, dtype=np.float32)
    for model in DEFAULT_MODELS:
        ranks = np.concatenate([rng.permutation(candidates) + 1 for _ in range(lists)])
        features[:, NAMES.index(model)] = 1.0 / ranks
        features[:, NAMES.index(f"rank_by_{model}")] = np.log(ranks)
    features[:, NAMES.index("member_tenure_days")] = 30.0
    studied = features[:, NAMES.index(f"rank_by_{leading}")] == 0
    ids = np.array([f"{seed}-{number}" for number in range(lists)], dtype=object)
    return TrainingExamples.of(features, np.repeat(np.arange(lists), candidates), studied, np.ones(lists, int), ids)


def organisation(first_seed: int, leading: str = "transitions") -> Cuts:
    """Return three nights of an organisation."""
    cuts = pd.date_range("2026-01-01", periods=3, freq="D", tz="UTC")
    return [(cut, night(first_seed + number, leading=leading)) for number, cut in enumerate(cuts)]


def test_a_prior_knows_what_all_organisations_have_in_common() -> None:
    others = [examples for _, examples in organisation(0)]

    [figures] = figures_of(others, organisation(10))

    assert (figures["members"], figures["lists"], figures["best_model"]) == ("warm", 40, "transitions")
    assert figures["best"] == 1.0
    assert figures["prior"] > 0.95
    assert table_row("here", figures).startswith("| here, warm (40) | ")


def test_a_prior_does_not_know_what_only_the_organisation_does_and_own_lists_teach_it() -> None:
    others = [examples for _, examples in organisation(0, leading="newest")]

    [figures] = figures_of(others, organisation(10))

    assert figures["prior"] < 0.5 < figures["own"]
    assert figures["difference"][1] < 0
    assert figures["prior"] < figures["+30"] <= 1.0


def test_the_list_of_a_model_is_judged_by_its_own_ranks() -> None:
    examples = night(0, lists=1)
    place = int(np.flatnonzero(examples.studied)[0])
    examples.features[place, NAMES.index("rank_by_ease")] = np.log(3.0)
    examples.features[place, NAMES.index("rank_by_als")] = np.nan

    [values] = ndcg_of_models(examples)

    by_model = dict(zip(DEFAULT_MODELS, values, strict=True))
    assert by_model["transitions"] == 1.0
    assert by_model["ease"] == pytest.approx(0.5)  # 1 / log2(1 + 3)
    assert by_model["als"] == 0.0


@pytest.mark.parametrize(("n_lists", "nights"), [(5, [5]), (10, [10]), (12, [2, 10]), (99, [10, 10])])
def test_the_latest_lists_are_whole_nights_and_part_of_the_one_before(n_lists: int, nights: list[int]) -> None:
    chosen = latest_lists([night(1, lists=10), night(2, lists=10)], n_lists)

    assert [len(examples.members) for examples in chosen] == nights


def test_of_a_shop_the_order_alone_is_known(tmp_path: Path) -> None:
    (tmp_path / "s3rec").mkdir()
    (tmp_path / "s3rec" / "Beauty.txt").write_text("1 3 4 5 6\n2 3 4 5\n", encoding="utf-8")

    shop = next(shops(tmp_path, tmp_path))

    events = pd.read_csv(tmp_path / shop.files[0][0])
    assert (set(events["member_id"]), events["item_id"].nunique()) == ({"m1"}, 4), "the other bought too few items"
    assert events["occurred_at"].str[:10].tolist() == [f"2015-04-{day:02}" for day in range(8, 12)]
    assert shop.order_alone
