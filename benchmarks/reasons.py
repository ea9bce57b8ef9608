"""Reasons beside what they claim: the named source is the largest part of the score, the cited item its cause.

``XUELU_DATA=FOLDER python -m benchmarks.reasons --json FILE`` makes lists as the night does for 365 Data Science,
MARS-EN and a simulated organisation, draws entries of them, and prints for each organisation

- ``source_is_cause``: share of entries whose source has the largest contribution, computed again for the member alone;
- ``deletion``: share of entries that cite an item of the member's own whose score falls, or that leave the ranking,
  when the member's events of that item are taken away;
- ``strongest``: share of them, of a sample, where no other own item lowers the score more;
- ``own``: share of entries of members without history that speak of role, industry or topics;
- ``share_of_lists_step``: time for sources and reasons as a share of that for lists.
"""

import argparse
import json
import os
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from benchmarks.prior import Source, sources
from features.interactions import Interactions, build_interactions
from infra.catalog import organisations
from infra.db.engine import make_engine, transaction
from infra.db.migrate import migrate
from infra.serving.online_model import OnlineModel, online_model_of
from infra.settings.sections import RankerSettings
from infra.settings.settings import Settings
from jobs.ingest.ingest import FileOptions, ingest
from jobs.nightly import learned_ranking, lists, training_data
from recommender.breakdown import breakdown
from recommender.pipeline import Pipeline
from recommender.strategies import strategies

ORGANISATIONS: Final = ("simulated-7", "ds365", "mars-en")
OWN_CODES: Final = frozenset(
    {
        "fits_role",
        "fits_industry",
        "fits_role_and_industry",
        "studied_by_role",
        "studied_in_industry",
        "studied_in_segment",
        "fits_your_topics",
        "new_on_topic",
    }
)
LENGTH: Final = 10
MAX_OWN_ITEMS: Final = 30
"""Own items, the latest, that are taken away one by one to find the strongest."""
BLOCK: Final = 400
TIMED_MEMBERS: Final = 2_000
"""Members whose lists are timed: a night computes those of thousands at once."""
ROUNDS: Final = 5
"""Rounds of processor time: others on the machine make it differ by a third."""
Deletion = tuple[int, int, int]
"""Positions of a member, of a listed item, and of an own item that is taken away; -1: none."""


@dataclass(frozen=True)
class Organisation:
    """An organisation with its data, fitted models and lists."""

    data: training_data.TrainingData
    interactions: Interactions
    model: OnlineModel
    entries: pd.DataFrame

    @property
    def pipeline(self) -> Pipeline:
        """The fitted pipeline."""
        return self.model.pipeline


def organisation_of(source: Source, scratch: Path, *, nights: int) -> Organisation:
    """Return an organisation with the lists of its last cut-off, ranked by examples of some nights before."""
    settings = Settings(
        database_url=f"sqlite:///{scratch / source.name}.db",
        rejects_folder=scratch / "rejects",
        artefacts_folder=scratch / "artefacts",
        auto_create=source.auto_create,
        ranker=RankerSettings(window_days=nights),
    )
    end = source.cuts[-1].to_pydatetime()
    engine = make_engine(settings.database_url)
    migrate(engine)
    for name, kind, mapping in source.files:
        ingest(engine, settings, source.folder / name, kind, now=end, options=FileOptions(mapping))
    with transaction(engine) as session:
        key = organisations.key_of(session, settings.organisation)
    data = training_data.read(engine, key, as_of=end)
    engine.dispose()
    interactions = training_data.interactions(data, settings)
    ranker = learned_ranking.learn(settings, data, scratch / "examples" / "0")
    pipeline = lists.fit(settings, data, interactions, ranker)
    model = online_model_of(pipeline, interactions, data.members, event_digests=None, length=LENGTH)
    return Organisation(data, interactions, model, entries_of(model, interactions))


def entries_of(model: OnlineModel, interactions: Interactions) -> pd.DataFrame:
    """Return the entries of all members: ``member, item, source, strategy, code, cause`` (-1 where none is cited)."""
    strategy = strategies(interactions).to_numpy()
    parts = []
    for block in model.pipeline.listed(interactions, interactions.members.index, k=LENGTH):
        causes = model.pipeline.causes(interactions, block)
        reasons = model.reasons.of(interactions, block.member, block.item, block.source, causes)
        cited = [reason["arguments"].get("item_id") for reason in reasons]
        parts.append(
            pd.DataFrame(
                {
                    "member": block.member,
                    "item": block.item,
                    "source": block.source,
                    "strategy": strategy[block.member],
                    "code": [reason["code"] for reason in reasons],
                    "cause": interactions.items.index.get_indexer(pd.Index(cited, dtype="object")),
                }
            )
        )
    return pd.concat(parts, ignore_index=True)


def scores_without(organisation: Organisation, deletions: Sequence[Deletion]) -> np.ndarray:
    """Return the score of each listed item after an own item was taken away; ``-inf`` where it is proposed no more."""
    scores = [_scores(organisation, deletions[start : start + BLOCK]) for start in range(0, len(deletions), BLOCK)]
    return np.concatenate(scores) if scores else np.zeros(0)


def _scores(organisation: Organisation, deletions: Sequence[Deletion]) -> np.ndarray:
    data, pipeline = organisation.data, organisation.pipeline
    member, item, gone = (np.array(column) for column in zip(*deletions, strict=True))
    by_member = data.events.groupby("member")
    empty = data.events.iloc[:0]
    parts = []
    for number, (row, without) in enumerate(zip(member.tolist(), gone.tolist(), strict=True)):
        own = by_member.get_group(row) if row in by_member.groups else empty
        parts.append(own[own["item"] != without].assign(member=number))
    profiles = organisation.model.profiles.iloc[member].reset_index(drop=True)
    positions = [organisation.model.join_positions[name] for name in organisation.interactions.members.index[member]]
    ids = pd.Index([f"{number:06d}" for number in range(len(member))], name="member_id")
    interactions = build_interactions(
        pd.concat(parts, ignore_index=True),
        members=profiles.set_axis(ids).assign(position=positions),
        items=organisation.interactions.items,
        as_of=organisation.interactions.as_of,
        rules=organisation.interactions.rules,
    )
    scores = np.full(len(member), -np.inf)
    for rows, candidates in pipeline.proposals(interactions, ids, k=LENGTH):
        listed = candidates.at(np.flatnonzero(candidates.item == item[rows][candidates.row]))
        scores[rows[listed.row]] = pipeline.rank(interactions, rows, listed)
    return scores


def figures_of(organisation: Organisation, *, entries: int, sample: int) -> dict[str, Any]:
    """Return the figures of an organisation."""
    rng = np.random.default_rng(0)
    drawn = organisation.entries.sample(min(entries, len(organisation.entries)), random_state=0)
    cited = drawn[drawn["cause"] >= 0]
    before = scores_without(organisation, [(row.member, row.item, -1) for row in cited.itertuples()])
    after = scores_without(organisation, [(row.member, row.item, row.cause) for row in cited.itertuples()])
    few = cited.iloc[rng.permutation(len(cited))[:sample]]
    own = organisation.entries[organisation.entries["strategy"] == "segment"]
    own = own.sample(min(entries, len(own)), random_state=0)
    return {
        "entries": len(drawn),
        "sources": drawn["source"].value_counts(normalize=True).round(3).to_dict(),
        "source_is_cause": _share(_sources_agree(organisation, drawn)),
        "cited": len(cited),
        "deletion": _share(after < before),
        "strongest": _share(_strongest(organisation, few)),
        "segment_entries": len(own),
        "own": _share(own["code"].isin(OWN_CODES)),
        "share_of_lists_step": round(share_of_lists_step(organisation), 3),
    }


def _share(values: Iterable[bool] | pd.Series | np.ndarray) -> float | None:
    values = list(values)
    return round(float(np.mean(values)), 4) if values else None


def _sources_agree(organisation: Organisation, drawn: pd.DataFrame) -> list[bool]:
    agree = []
    for member, rows in drawn.groupby("member"):
        name = organisation.interactions.members.index[member]
        parts = breakdown(organisation.pipeline, organisation.interactions, name, k=LENGTH)
        place_of = {item: place for place, item in enumerate(parts.item.tolist())}
        agree += [
            parts.of_place(place_of[row.item])["source"] == row.source
            for row in rows.itertuples()
            if row.item in place_of
        ]
    return agree


def _strongest(organisation: Organisation, cited: pd.DataFrame) -> list[bool]:
    """Return for each entry whether no other own item lowers its score more than the cited one."""
    seen = organisation.interactions.seen
    strongest = []
    for row in cited.itertuples():
        own = organisation.data.events.loc[organisation.data.events["member"] == row.member]
        latest = own.sort_values("occurred_at")["item"].drop_duplicates(keep="last").iloc[-MAX_OWN_ITEMS:].tolist()
        others = [item for item in latest if item != row.cause and item in seen[row.member].indices]
        scores = scores_without(organisation, [(row.member, row.item, item) for item in (row.cause, *others)])
        strongest.append(bool(scores[0] <= scores.min() + 1e-9))
    return strongest


def share_of_lists_step(organisation: Organisation) -> float:
    """Return the processor time of sources and reasons as a share of that of lists, the median of some rounds."""
    interactions, pipeline = organisation.interactions, organisation.pipeline
    members = interactions.members.index[:TIMED_MEMBERS]
    list(organisation.model.lists(interactions, members[:10]))  # what is computed once for all lists
    shares = []
    for _ in range(ROUNDS):
        start = time.process_time()
        for rows, candidates in pipeline.proposals(interactions, members, k=LENGTH):
            pipeline.ranked(interactions, rows, candidates, pipeline.rank(interactions, rows, candidates), k=LENGTH)
        middle = time.process_time()
        list(organisation.model.lists(interactions, members))
        shares.append(1.0 - (middle - start) / (time.process_time() - middle))
    return float(np.median(shares))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--organisations", nargs="*", default=ORGANISATIONS, choices=ORGANISATIONS)
    parser.add_argument("--entries", type=int, default=1_000)
    parser.add_argument("--sample", type=int, default=200, help="Entries of which the strongest own item is searched.")
    parser.add_argument("--nights", type=int, default=14, help="Nights that the ranker learns from.")
    options = parser.parse_args()
    data = Path(os.environ.get("XUELU_DATA", "../shared/data"))
    figures = {}
    with tempfile.TemporaryDirectory() as folder:
        for source in sources(data, Path(folder)):
            if source.name in options.organisations:
                organisation = organisation_of(source, Path(folder), nights=options.nights)
                figures[source.name] = figures_of(organisation, entries=options.entries, sample=options.sample)
                print(source.name, json.dumps(figures[source.name]), flush=True)
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
