"""Quality of a run's ranking by group, from the figures that its night stored."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sqlalchemy import Engine

from infra.db.engine import transaction
from infra.reports.runs.quality import ranking_by_group
from infra.training import examples

DRIVERS = [f"d{number}" for number in range(10)]
CLERKS = [f"c{number}" for number in range(10)]


def store(folder: Path, run: dict[str, Any], ndcg: dict[str, float]) -> None:
    """Store figures of a run as its night does: a list of each member, named by hash."""
    hashes = pd.util.hash_array(np.array([*ndcg], dtype=object))
    columns = {"objective": np.ones(len(ndcg)), "cut": np.ones(len(ndcg)), "member": hashes, "ndcg": [*ndcg.values()]}
    examples.store(examples.figures_folder(examples.folder_of(folder, run["organisation_key"])), run["run_id"], columns)


def test_the_group_that_is_served_worst_comes_first(engine: Engine, served: dict[str, Any], tmp_path: Path) -> None:
    ndcg = dict.fromkeys(DRIVERS, 0.25) | dict.fromkeys(CLERKS, 0.75) | {"gone": 0.0, "new-driver": 0.0}
    store(tmp_path, served, ndcg)
    with transaction(engine) as session:
        slices = ranking_by_group(session, tmp_path, served, min_group_size=5)
    assert slices is not None
    [whole] = slices["all"]
    assert (whole["members"], whole["lists"]) == (21, 21), "who is no member any more is left out"
    assert round(whole["ndcg"], 4) == round((10 * 0.25 + 10 * 0.75 + 0.0) / 21, 4)
    assert whole["low"] < whole["ndcg"] < whole["high"]
    drivers, clerks = slices["role"]
    assert (drivers["value"], drivers["members"], clerks["value"]) == ("83", 11, "41")
    assert (clerks["ndcg"], clerks["low"], clerks["high"]) == (0.75, 0.75, 0.75)
    assert {row["value"] for row in slices["unit"]} == {"North/Depot 0", "North/Depot 1", "North"}
    assert [row["value"] for row in slices["unit"] if row["suppressed"]] != [], "one member is alone in the North"


def test_a_run_without_figures_has_none(engine: Engine, served: dict[str, Any], tmp_path: Path) -> None:
    with transaction(engine) as session:
        assert ranking_by_group(session, tmp_path, served, min_group_size=5) is None
    store(tmp_path, served, {"gone": 0.5})
    with transaction(engine) as session:
        assert ranking_by_group(session, tmp_path, served, min_group_size=5) is None
