"""The learned blend: a ranker from what earlier nights teach, each night being gone through once."""

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from infra.runs.code_version import code_version
from infra.settings.settings import Settings
from infra.training import examples
from infra.training.data import weighting_rules
from jobs.nightly.incremental import Kept
from jobs.nightly.lists import make_learning, make_pipeline, make_ranker
from jobs.nightly.training_data import Study
from recommender.evaluation.backtest import Learning, Log, relive
from recommender.evaluation.comparison import Difference, compared, judged
from recommender.pipeline import Pipeline
from recommender.ranking.ranker import Lessons, enough

RANKED: Final = "ranked by a learned blend"


def ranked(
    settings: Settings, study: Study, pipeline: Pipeline, folder: Path, kept: Kept | None = None, *, run_id: str = ""
) -> Pipeline:
    """Return the pipeline with a ranker learned from the nights before, or with the reason why it has none.

    What a night teaches is kept in the folder and taken from there the next time; where events before it came late or
    were erased, it is learned anew. How the ranking is judged by the latest nights is kept as well, under the id of the
    run. Without one nothing in the folder changes.
    """
    if kept is not None and study.changed is not None:
        return pipeline
    log = Log(study.events, study.members, study.items, weighting_rules(settings))
    learning = make_learning(settings)
    known = Nights(settings, study, log, folder, keep=bool(run_id))
    over = cuts(log, study.as_of, learning, settings.blend.most_interactions)
    lived = {cut: one for cut in over if (one := known.of(cut))}
    if run_id:
        known.forget_others()
    nights = list(lived.values())
    reason = enough(nights)
    if reason:
        return replace(pipeline, ranker=None, unranked=reason)
    if run_id:
        figures = judge(settings, lived)
        if len(figures):
            examples.keep(examples.judged_in(folder), run_id, {name: figures[name].to_numpy() for name in figures})
    return replace(pipeline, ranker=make_ranker(settings).fit(nights), unranked="")


def judge(settings: Settings, lived: dict[pd.Timestamp, Lessons]) -> pd.DataFrame:
    """Return how good lists of the latest nights are by a ranker learned from those before: ``cut, member, ndcg``.

    Nothing where these are too few to learn from. Members are told by hashes of their ids.
    """
    latest = list(lived)[max(0, len(lived) - settings.nightly.holdout_nights) :]
    before = [lived[cut] for cut in lived if cut not in latest]
    if not latest or not before or enough(before):
        return pd.DataFrame(columns=["cut", "member", "ndcg"])
    ranker = make_ranker(settings).fit(before)
    share = settings.blend.negative_share
    parts = [
        pd.DataFrame({"cut": cut.value, "member": lived[cut].members, "ndcg": judged(ranker, lived[cut], share=share)})
        for cut in latest
    ]
    return pd.concat(parts, ignore_index=True)


def difference(folder: Path, run_id: str, before_id: str) -> Difference | None:
    """Return how much better a run ranks than another, on the lists by which both were judged; None without such."""
    figures = []
    for one in (run_id, before_id):
        found, columns = examples.read(examples.judged_in(folder), one)
        if not found:
            return None
        figures.append(pd.DataFrame(columns))
    return compared(*figures)


def cuts(log: Log, as_of: pd.Timestamp, learning: Learning, most_interactions: int) -> list[pd.Timestamp]:
    """Return the nights to learn from, in order of time.

    They end a horizon before now and reach back over the window, or as far as the interactions known in all of them
    together stay within ``most_interactions``.
    """
    last = as_of.floor("D") - pd.Timedelta(days=learning.horizon_days)
    first = max(last - pd.Timedelta(days=learning.window_days), log.first_at)
    many = max(1, most_interactions // max(log.n_pairs, 1))
    return list(pd.date_range(first.ceil("D"), last, freq="D"))[-many:]


class Nights:
    """What nights teach, kept in a folder under the digest of all that it was made from."""

    def __init__(self, settings: Settings, study: Study, log: Log, folder: Path, *, keep: bool) -> None:
        self._settings, self._study, self._log, self._folder = settings, study, log, folder
        self._keep = keep
        self._learning = make_learning(settings)
        self._made_by = f"{settings.models!r} {settings.weights!r} {self._learning!r} {code_version()}"
        self._so_far = _running_hash(log)
        self._used: set[str] = set()

    def of(self, cut: pd.Timestamp) -> Lessons | None:
        """Return what a night teaches; None where nobody studied anything new after it."""
        name = self._name(cut)
        self._used.add(name)
        found, columns = examples.read(self._folder, name)
        if not found:
            pipeline = make_pipeline(self._settings, self._study.taxonomies)
            lived = relive(self._log, cut, pipeline, learning=self._learning, wanted=("default",))
            columns = {} if lived is None else {one: getattr(lived[1], one) for one in Lessons.__dataclass_fields__}
            if self._keep:
                examples.keep(self._folder, name, columns)
        return Lessons(**columns) if columns else None

    def forget_others(self) -> None:
        """Remove what no night of this window teaches any more."""
        examples.discard_others(self._folder, self._used)

    def _name(self, cut: pd.Timestamp) -> str:
        end = cut + pd.Timedelta(days=self._learning.horizon_days)
        before = np.searchsorted(self._log.events["occurred_at"].to_numpy(), end.value // 1_000)
        known = f"{cut.value} {self._so_far[before]} {self._made_by}"
        return hashlib.sha256(known.encode()).hexdigest()


def _running_hash(log: Log) -> NDArray[np.uint64]:
    """Return for every number of earliest events a hash of these, whatever their order."""
    ids = {
        "member": pd.util.hash_array(log.members.index.to_numpy(dtype=object)),
        "item": pd.util.hash_array(log.items.index.to_numpy(dtype=object)),
    }
    events = log.events
    rows = pd.DataFrame({name: hashes[events[name].to_numpy()] for name, hashes in ids.items()})
    rest = events.drop(columns=["member", "item", "verb"]).assign(verb=events["verb"].astype("str"), **rows)
    hashed = pd.util.hash_pandas_object(rest, index=False).to_numpy()
    return np.concatenate([np.zeros(1, dtype=np.uint64), np.cumsum(hashed, dtype=np.uint64)])


def told(pipeline: Pipeline) -> dict[str, Any]:
    """Return how lists are ranked, in the form of a check."""
    return {"name": RANKED, "passed": True, "detail": pipeline.unranked}
