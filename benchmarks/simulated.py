"""Lists for members and items without history, in an organisation with known truth.

``python -m benchmarks.simulated --json FILE`` simulates the organisation, imports its logs and makes lists as the
night does. Members without study but with a role and an industry are evaluated by what they would study next, beside
an oracle that knows the mean interest of their role and industry. Items published in the seven days before a night are
evaluated by what members first studied on the day after it, beside the same pipeline where open items have only their
dates: no title, topics, targets, format, language or length.
"""

import argparse
import json
import tempfile
import time
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from sqlalchemy import Engine

from features.interactions import Interactions
from infra.catalog import organisations
from infra.db.engine import make_engine, transaction
from infra.db.migrate import migrate
from infra.settings.sections import RankerSettings
from infra.settings.settings import Settings
from infra.training.data import weighting_rules
from jobs.ingest.ingest import ingest
from jobs.nightly import learned_ranking, lists, training_data
from recommender.evaluation.backtest import Backtest
from recommender.evaluation.cut_offs import DEFAULT, EvaluatedCut
from recommender.evaluation.log import Log
from recommender.evaluation.summary import summarise
from recommender.models.base import Eligibility
from recommender.profile_groups import audience_mask
from recommender.ranking.candidate_generation import eligible
from simulator.organisation.role_changes import ROLE_CHANGES_FILE
from simulator.organisation.study_rules import REQUIREMENTS_FILE
from simulator.simulate import simulate

UNTIL: Final = datetime(2026, 3, 2, tzinfo=UTC)
NEW_DAYS: Final = 7
K: Final = 10
DESCRIPTIVE_COLUMNS: Final = ("title", "topics", "format", "language", "difficulty", "duration_seconds", "provider")
TARGETS: Final = ("target_roles", "target_industries", "target_units")
Gains = dict[tuple[str, str], float]


@dataclass(frozen=True)
class Size:
    """Size of the organisation, and numbers of training and evaluated nights."""

    members: int = 3_000
    items: int = 3_000
    days: int = 90
    seed: int = 11
    training: int = 30
    evaluated: int = 14


def take_in(folder: Path, size: Size, *, study_rules: bool = False) -> tuple[Settings, training_data.TrainingData]:
    """Return the settings and all training data of a simulated organisation."""
    settings = Settings(
        database_url=f"sqlite:///{folder / 'xuelu.db'}",
        rejects_folder=folder / "rejects",
        artefacts_folder=folder / "artefacts",
        ranker=RankerSettings(window_days=size.training),
    )
    engine = make_engine(settings.database_url)
    fill(engine, settings, folder, size, study_rules=study_rules)
    with transaction(engine) as session:
        key = organisations.key_of(session, settings.organisation)
    read = training_data.read(engine, key, as_of=UNTIL)
    engine.dispose()
    return settings, read


def fill(engine: Engine, settings: Settings, folder: Path, size: Size, *, study_rules: bool = False) -> None:
    """Simulate an organisation in a folder, and import its files into a new database."""
    simulate(
        folder,
        members=size.members,
        items=size.items,
        days=size.days,
        seed=size.seed,
        until=UNTIL,
        bad_lines_share=0.0,
        study_rules=study_rules,
    )
    migrate(engine)
    for name in ("units.csv", "items.csv", "members.csv", "events.csv.gz"):
        ingest(engine, settings, folder / name, name.partition(".")[0], now=UNTIL)
    if study_rules:
        ingest(engine, settings, folder / ROLE_CHANGES_FILE, "members", now=UNTIL)
        ingest(engine, settings, folder / REQUIREMENTS_FILE, "requirements", now=UNTIL)


# -- members without history


def newcomers(settings: Settings, read: training_data.TrainingData, folder: Path) -> dict[str, Any]:
    """Return how good the lists are of members of whom only a role and an industry are known."""
    interactions = training_data.interactions(read, settings)
    ranker = learned_ranking.learn(settings, read, folder / "examples" / "0")
    pipeline = lists.fit(settings, read, interactions, ranker)
    members = interactions.members
    described = members["role"].notna() & members["industry"].notna() & interactions.personalised
    asked = members.index[described.to_numpy(dtype=bool) & (np.diff(interactions.seen.indptr) == 0)]
    own, segment = truths(folder, members.loc[asked])
    rows = interactions.members.index.get_indexer(asked)
    may = eligible(interactions, rows, audience_mask(interactions, pipeline.roles, pipeline.industries))
    lists_of = {
        "oracle": best(interactions, asked, segment, may),
        DEFAULT: pipeline.recommend(interactions, asked, k=K),
        "fused": replace(pipeline, ranker=None).recommend(interactions, asked, k=K),
        **{
            name: pipeline.models[name].recommend(asked, k=K, allowed=may)
            for name in ("popularity", "segment", "content")
        },
    }
    ideal = best(interactions, asked, own, may)
    figures: dict[str, Any] = {
        "members": len(asked),
        "ranking": learned_ranking.check(ranker, read.n_events)["state"],
    }
    for gain, truth, top in (("own", own, ideal), ("segment", segment, lists_of["oracle"])):
        ndcg = {name: ndcg_of(listed, truth, top, asked) for name, listed in lists_of.items()}
        figures[f"ndcg_by_{gain}_interest"] = {name: round(value, 4) for name, value in ndcg.items()}
        figures[f"vs_oracle_by_{gain}_interest"] = round(ndcg[DEFAULT] / ndcg["oracle"], 4)
        figures[f"vs_popularity_by_{gain}_interest"] = round(ndcg[DEFAULT] / ndcg["popularity"], 4)
    return figures


def truths(folder: Path, members: pd.DataFrame) -> tuple[Gains, Gains]:
    """Return each member's interest in items: its own, and the mean of its role and industry."""
    own = pd.read_parquet(folder / "truth.parquet")
    segments = pd.read_parquet(folder / "truth_segments.parquet")
    codes = members[["role", "industry"]].rename_axis("member_id").reset_index()
    mean = codes.merge(segments, on=["role", "industry"])
    return gains(own[own["member_id"].isin(members.index)]), gains(mean)


def gains(interests: pd.DataFrame) -> Gains:
    """Return interests by member and item."""
    pairs = zip(interests["member_id"], interests["item_id"], strict=True)
    return dict(zip(pairs, interests["interest"], strict=True))


def best(interactions: Interactions, asked: pd.Index, truth: Gains, may: Eligibility) -> pd.DataFrame:
    """Return the ideal lists: the items of highest gain that a member may be offered."""
    ranked = pd.DataFrame([(*pair, gain) for pair, gain in truth.items()], columns=["member_id", "item_id", "gain"])
    group = may.group_of[asked.get_indexer(ranked["member_id"])]
    ranked = ranked[may.masks[group, interactions.items.index.get_indexer(ranked["item_id"])]]
    ranked = ranked.sort_values(["member_id", "gain", "item_id"], ascending=[True, False, True])
    ranked["rank"] = ranked.groupby("member_id").cumcount() + 1
    return ranked[ranked["rank"] <= K]


def ndcg_of(listed: pd.DataFrame, truth: Gains, ideal: pd.DataFrame, asked: pd.Index) -> float:
    """Return the mean NDCG@10 with interests as gains, beside the ideal lists."""
    reached, most = (discounted(top, truth).reindex(asked, fill_value=0.0) for top in (listed, ideal))
    return float((reached / most).mean())


def discounted(listed: pd.DataFrame, truth: Gains) -> pd.Series:
    """Return the discounted gain of each member's list."""
    pairs = zip(listed["member_id"], listed["item_id"], strict=True)
    gain = np.array([truth.get(pair, 0.0) for pair in pairs]) / np.log2(listed["rank"].to_numpy() + 1.0)
    return pd.Series(gain, index=listed["member_id"].to_numpy()).groupby(level=0).sum()


# -- items without history


def new_items(settings: Settings, read: training_data.TrainingData, size: Size) -> dict[str, Any]:
    """Return how many of the new items that members went on to study stood on their lists."""
    figures: dict[str, Any] = {}
    for name, items in (("described", read.items), ("bare", without_descriptions(read.items))):
        evaluated = nights(settings, replace(read, items=items), size)
        new = [cut.true & is_new(read.items, cut.cut) for cut in evaluated]
        slices = {"new": new, "warm": [cut.warm for cut in evaluated], "cold": [~cut.warm for cut in evaluated]}
        rows = summarise(evaluated, slices, vectors=csr_matrix((len(items), 1)), n_members=len(read.members))
        for row in rows:
            if row["model"] == DEFAULT:
                picked = {
                    figure: row[figure] for figure in ("lists", "recall", "recall_interval", "ndcg", "ndcg_interval")
                }
                figures.setdefault(row["slice"], {})[name] = picked
    figures["items_a_night"] = float(np.mean([is_new(read.items, cut.cut).sum() for cut in evaluated]))
    figures["vs_bare"] = round(figures["new"]["described"]["recall"] / figures["new"]["bare"]["recall"], 4)
    return figures


def nights(settings: Settings, read: training_data.TrainingData, size: Size) -> list[EvaluatedCut]:
    """Return the evaluated lists of the last nights, ranked by the nights before."""
    log = Log(read.events, read.members, read.items, weighting_rules(settings))
    day = pd.Timedelta(days=1)
    backtest = Backtest(
        log,
        list(pd.date_range(read.as_of - (size.training + size.evaluated) * day, read.as_of - day, freq="D")),
        make=lambda: lists.make_pipeline(settings, read.taxonomies),
        rules=lists.make_example_rules(settings),
        k=K,
        evaluate_from=read.as_of - size.evaluated * day,
        models=(DEFAULT,),
    )
    return list(backtest.run(lists.make_ranker(settings)))


def without_descriptions(items: pd.DataFrame) -> pd.DataFrame:
    """Return items without anything but their availability and audience."""
    silent = items.copy()
    for name in DESCRIPTIVE_COLUMNS:
        silent[name] = pd.Series(None, index=items.index, dtype=items[name].dtype)
    for name in TARGETS:
        silent[name] = items[name].where(items["audience"] == "restricted")
    return silent


def is_new(items: pd.DataFrame, cut: pd.Timestamp) -> NDArray[np.bool_]:
    """Return which items were published in the week before a moment."""
    published = items["published_at"]
    return ((published <= cut) & (published > cut - pd.Timedelta(days=NEW_DAYS))).to_numpy(dtype=bool)


def measured(folder: Path, size: Size) -> dict[str, Any]:
    """Return all figures of an organisation made in a folder."""
    start = time.perf_counter()
    settings, read = take_in(folder, size)
    figures = {
        "size": asdict(size),
        "newcomers": newcomers(settings, read, folder),
        "new_items": new_items(settings, read, size),
    }
    return figures | {"seconds": round(time.perf_counter() - start, 1)}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    for size in fields(Size):
        parser.add_argument(f"--{size.name}", type=int, default=size.default)
    parser.add_argument("--json", type=Path)
    options = vars(parser.parse_args())
    target = options.pop("json")
    with tempfile.TemporaryDirectory() as temporary:
        figures = measured(Path(temporary), Size(**options))
    print(json.dumps(figures, indent=2))
    if target:
        target.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
