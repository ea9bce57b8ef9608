"""The benchmark of published splits, at a small size: its figures are those of the lists, written out."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from benchmarks.published import judged, measured, models_of, row
from benchmarks.published_splits import SPLITS, interactions_of
from recommender.models.popularity import Popularity
from tests.test_house import ROOT

MODELS = ("popularity", "item_knn", "als", "ease", "graph")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Return a folder with a split of two circles of members, each with items of its own."""
    folder = tmp_path / "gowalla"
    folder.mkdir()
    rng = np.random.default_rng(0)
    lines: dict[str, list[str]] = {"train": [], "test": []}
    for member in range(60):
        own = rng.permutation(20)[:12] + 20 * (member % 2)
        lines["train"].append(" ".join(str(number) for number in (member, *own[:8])))
        lines["test"].append(" ".join(str(number) for number in (member, *own[8:])))
    for part, written in lines.items():
        (folder / f"{part}.txt").write_text("\n".join(written) + "\n", encoding="utf-8")
    return tmp_path


def test_each_model_is_measured_by_itself_beside_its_published_figure(data: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks.published", "--split", "gowalla", "--json", str(tmp_path / "out.json")]
    command += ["--models", "popularity", "graph"]

    ran = subprocess.run(
        command, cwd=ROOT, capture_output=True, check=False, text=True, env={**os.environ, "XUELU_DATA": str(data)}
    )

    assert ran.returncode == 0, ran.stderr
    figures = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
    assert [figure["model"] for figure in figures] == ["popularity", "graph"]
    assert models_of(SPLITS["gowalla"]) == list(MODELS)
    figures += [measured(name, SPLITS["gowalla"], data) for name in ("item_knn", "ease")]
    for figure in figures:
        assert 0 < figure["ndcg@20"] <= 1
        assert 0 < figure["peak_gib"] < 4
    for figure in figures[:2]:
        assert f"| `{figure['model']}` | {figure['recall@20']:.4f} | {figure['ndcg@20']:.4f} |" in ran.stdout
    by_model = {figure["model"]: figure["recall@20"] for figure in figures}
    # Twelve items of the own circle are left, and a list has twenty places: all are found.
    assert by_model["ease"] == by_model["item_knn"] == 1.0
    assert by_model["graph"] > 0.95
    assert by_model["popularity"] < 0.9
    assert "| BSPM-EM | 0.1920 | 0.1597 |" in ran.stdout


def test_figures_are_those_of_lists_written_out() -> None:
    pairs = (np.array([0, 0, 1, 2, 2]), np.array([0, 1, 0, 0, 2]))
    interactions = interactions_of(pairs, (4, 4))
    truth = csr_matrix(np.array([[0, 0, 1, 1], [0, 1, 0, 0], [0, 0, 0, 0], [1, 0, 0, 0]], dtype=np.float64))

    recall, ndcg = judged(
        Popularity(np.inf).fit(interactions).recommend(list(interactions.members.index), k=20), interactions, truth, 20
    )

    # Member 0 gets item 2, one of two; 1 gets 1 and 2; 2 wants nothing; 3 gets 0, 1 and 2.
    assert recall == pytest.approx((0.5 + 1 + 1) / 3)
    assert ndcg == pytest.approx((1 / (1 + 1 / np.log2(3)) + 1 + 1) / 3)


def test_the_last_item_of_each_history_is_the_test_part_of_the_files_in_order(tmp_path: Path) -> None:
    folder = tmp_path / "s3rec"
    folder.mkdir()
    lines = [f"{member} {' '.join(str(1 + (member + step) % 30) for step in range(6))}" for member in range(60)]
    (folder / "Beauty.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")

    figures = measured("transitions", SPLITS["beauty"], tmp_path)

    # Whatever was studied next by others comes first.
    assert (figures["recall@10"], figures["ndcg@10"]) == (1.0, 1.0)
    assert row(figures, SPLITS["beauty"]).startswith("| `transitions` | 1.0000 | 1.0000 | SASRec | 0.0605 | 0.0318 |")


def test_the_split_of_canvas_network_is_read_in_the_order_of_its_files(tmp_path: Path) -> None:
    (tmp_path / "train_valid_data_cnpc_v2.json").write_text(
        '{"user":0,"item":5}\n{"user":0,"item":2}\n', encoding="utf-8"
    )
    (tmp_path / "test_data_cnpc_v2.json").write_text('{"user":0,"item":7}\n', encoding="utf-8")

    train, test = SPLITS["cnpc"].read(tmp_path)

    assert [values.tolist() for values in (*train, *test)] == [[0, 0], [5, 2], [0], [7]]
    interactions = interactions_of(train, (1, 8), in_order=True)
    assert interactions.cells.sort_values("first_at")["item"].tolist() == [5, 2]


def test_ranker_lists_first_what_others_studied_next(tmp_path: Path) -> None:
    folder = tmp_path / "s3rec"
    folder.mkdir()
    lines = [f"{member} {' '.join(str(1 + (member + step) % 30) for step in range(7))}" for member in range(2_100)]
    (folder / "Beauty.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")

    figures = measured("ranker", SPLITS["beauty"], tmp_path)

    assert (figures["recall@10"], figures["ndcg@10"]) == (1.0, 1.0)
    chosen_by = measured("transitions", SPLITS["beauty"], tmp_path, validation=True)
    assert (chosen_by["recall@10"], chosen_by["ndcg@10"]) == (1.0, 1.0)
