"""Training of the prior ranking that ships with xuelu, from public logs, purchases and simulated organisations.

``python -m benchmarks.prior`` reads the folder that ``XUELU_DATA`` names (default ``../shared/data``), simulates three
organisations, and writes ``recommender/ranking/prior.txt``: the same bytes each time. ``-o FILE`` writes elsewhere.
"""

import argparse
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks.published_splits import read_canvas_network, read_histories
from infra.catalog import organisations
from infra.db.engine import make_engine, transaction
from infra.db.migrate import migrate
from infra.settings.settings import Settings
from infra.training.data import read_training_frames, weighting_rules
from jobs.ingest.ingest import FileOptions, ingest
from jobs.nightly.lists import make_pipeline
from recommender.evaluation.cut_offs import ExampleRules, prepare_cut, seed_of
from recommender.evaluation.log import Log
from recommender.ranking.examples import TrainingExamples
from recommender.ranking.prior import PRIOR_FILE, fit_prior
from recommender.registry import feature_names
from simulator.simulate import simulate

MAX_LISTS: Final = 1_200
"""Lists of one organisation, so that none outweighs the others."""
MAX_SIMULATED_LISTS: Final = 600
"""Lists of a simulated one: they are alike, and together count no more than two others."""
SAMPLING_RATE: Final = 0.25
SHOP_ITEMS: Final = 600
"""Items of a shop: those most bought."""
SHOP_HISTORY: Final = 4
"""Fewest of them that a member of a shop bought."""
SIMULATED: Final = ((7, 600, 400), (11, 1_500, 1_200), (5, 300, 300))
"""Seed, members and items of each simulated organisation."""


@dataclass(frozen=True)
class Source:
    """Logs of one organisation: files with their kinds and mappings, and the cut-offs that examples are taken at.

    Where only the order of study is known, who begins when is made up: lists of members without history are left out.
    """

    name: str
    folder: Path
    files: tuple[tuple[str, str, str | None], ...]
    cuts: pd.DatetimeIndex
    auto_create: bool = False
    max_lists: int = MAX_LISTS
    order_alone: bool = False


def sources(data: Path, scratch: Path) -> Iterator[Source]:
    """Yield the organisations, those that need files of their own with these written to ``scratch``."""
    watch = ("explicit_ratings_fr.csv", "events", "mars-watch")
    yield Source(
        "mars-fr",
        data / "mars",
        (("users_fr.csv", "members", "mars-members"), watch),
        _days("2020-05-05", "2021-03-20", 20),
        auto_create=True,
    )
    english = (
        ("items_en.csv", "items", "mars-items"),
        ("users_en.csv", "members", "mars-members"),
        ("explicit_ratings_en.csv", "events", "mars-watch"),
        ("implicit_ratings_en.csv", "events", "mars-views"),
    )
    yield Source("mars-en", data / "mars", english, _days("2018-06-01", "2021-09-22", 30))
    ds365 = (
        ("365_course_info.csv", "items", "ds365-items"),
        ("365_student_info.csv", "members", "ds365-members"),
        ("365_student_learning.csv", "events", "ds365-learning"),
    )
    yield Source("ds365", data / "ds365", ds365, _days("2022-03-01", "2022-10-19", 10), auto_create=True)
    (user, item), _ = read_canvas_network(data / "cnpc")
    yield _in_order("canvas-network", pd.DataFrame({"user": user, "item": item}), scratch)
    simulated = (("items.csv", "items", None), ("members.csv", "members", None), ("events.csv.gz", "events", None))
    until = datetime(2026, 3, 2, tzinfo=UTC)
    for seed, members, items in SIMULATED:
        folder = scratch / f"simulated-{seed}"
        simulate(folder, members=members, items=items, days=120, seed=seed, until=until, bad_lines_share=0.0)
        cuts = _days("2025-12-10", "2026-03-01", 8)
        yield Source(folder.name, folder, simulated, cuts, max_lists=MAX_SIMULATED_LISTS)


def _days(first: str, last: str, step: int) -> pd.DatetimeIndex:
    return pd.date_range(first, last, freq=f"{step}D", tz="UTC")


def shops(data: Path, scratch: Path) -> Iterator[Source]:
    """Yield purchases of shops as organisations of which only the order is known, their files written to ``scratch``.

    They teach what the order of items alone tells, and are no organisations that a prior is evaluated on.
    """
    for name in ("Beauty", "Toys_and_Games", "Sports_and_Outdoors"):
        pairs = pd.DataFrame(dict(zip(("user", "item"), read_histories(data / "s3rec" / f"{name}.txt"), strict=True)))
        pairs = pairs[pairs["item"].isin(pairs["item"].value_counts().index[:SHOP_ITEMS])]
        pairs = pairs[pairs.groupby("user")["item"].transform("size") >= SHOP_HISTORY]
        yield _in_order(name.lower(), pairs, scratch)


def _in_order(name: str, pairs: pd.DataFrame, scratch: Path) -> Source:
    """Return an organisation whose members study one item a day, the last on one day: only their order is known."""
    from_end = pairs.groupby("user").cumcount(ascending=False)
    number = np.random.default_rng(3).permutation(pairs["item"].max() + 1)  # ids in no order of their own
    at = pd.Timestamp("2015-04-11T10:00:00Z") - pd.to_timedelta(from_end, unit="D")
    events = pd.DataFrame(
        {
            "member_id": "m" + pairs["user"].astype("str"),
            "item_id": "c" + pd.Series(number[pairs["item"]], index=pairs.index).astype("str"),
            "verb": "completed",
            "occurred_at": at.dt.strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
    )
    events.to_csv(scratch / f"{name}.csv", index=False)
    cuts = _days("2015-04-06", "2015-04-10", 2)
    return Source(name, scratch, ((f"{name}.csv", "events", None),), cuts, auto_create=True, order_alone=True)


def cut_offs_of(source: Source, scratch: Path) -> Iterator[tuple[pd.Timestamp, TrainingExamples]]:
    """Yield the cut-offs of an organisation, each with all candidates of its lists."""
    settings = Settings(
        database_url=f"sqlite:///{scratch / source.name}.db",
        rejects_folder=scratch / "rejects",
        auto_create=source.auto_create,
    )
    end = source.cuts[-1] + pd.Timedelta(days=1)
    engine = make_engine(settings.database_url)
    migrate(engine)
    for name, kind, mapping in source.files:
        ingest(engine, settings, source.folder / name, kind, now=end.to_pydatetime(), options=FileOptions(mapping))
    with transaction(engine) as session:
        key = organisations.key_of(session, settings.organisation)
        taxonomies = organisations.taxonomies(session, key)
        events, members, items = read_training_frames(session, key, as_of=end.to_pydatetime())
    engine.dispose()
    log = Log(events, members, items, weighting_rules(settings))
    rules = ExampleRules(max_lists=max(1, source.max_lists // len(source.cuts)))
    for cut in source.cuts:
        prepared = prepare_cut(log, cut, make_pipeline(settings, taxonomies), rules=rules)
        if prepared is not None:
            examples = prepared.examples()
            yield cut, examples.at(are_warm(examples)[examples.row]) if source.order_alone else examples


def are_warm(examples: TrainingExamples) -> NDArray[np.bool_]:
    """Return which lists are of members with history."""
    warm = np.zeros(len(examples.members), dtype=bool)
    warm[examples.row[np.isfinite(examples.features[:, feature_names().index("member_tenure_days")])]] = True
    return warm


def sampled(cut: pd.Timestamp, examples: TrainingExamples) -> TrainingExamples:
    """Return the candidates of a cut-off that rankings are fitted on."""
    return examples.sampled(SAMPLING_RATE, seed=seed_of(cut))


def examples_by_organisation(data: Path) -> dict[str, list[TrainingExamples]]:
    """Return the training examples of every organisation."""
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        parts = {}
        for source in chain(sources(data, scratch), shops(data, scratch)):
            parts[source.name] = [sampled(*cut_off) for cut_off in cut_offs_of(source, scratch)]
            print(f"{source.name}: {sum(len(part.studied) for part in parts[source.name]):,} examples", flush=True)
        return parts


def main() -> None:
    """Fit the prior on all organisations and write it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-o", type=Path, default=PRIOR_FILE)
    options = parser.parse_args()
    data = Path(os.environ.get("XUELU_DATA", "../shared/data"))
    parts = [part for examples in examples_by_organisation(data).values() for part in examples]
    options.o.write_text(fit_prior(parts, feature_names()), encoding="utf-8")
    print(f"{options.o}: {options.o.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
