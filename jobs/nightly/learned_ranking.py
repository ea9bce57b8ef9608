"""Learned ranking of a night: a ranker fitted on candidates of past nights, each evaluated once."""

import hashlib
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.histories import joining_order
from infra.runs.code_version import code_version
from infra.runs.memory import trim
from infra.settings.settings import Settings
from infra.training import examples
from infra.training.data import weighting_rules
from jobs.nightly.lists import make_example_rules, make_pipeline, make_ranker
from jobs.nightly.training_data import TrainingData
from recommender.evaluation.cut_offs import ExampleRules, prepare_cut
from recommender.evaluation.log import Log
from recommender.ranking.examples import BEGAN_ALONE, TrainingExamples, gains, ndcg_of_lists
from recommender.ranking.ranker import LEARNED_POSITIVES, Ranker
from recommender.registry import own_sources

CHECK: Final = "ranking"
HOLDOUT_LISTS: Final = 300
"""Lists of a holdout night on which rankings are compared, with all of their candidates."""


def learn(settings: Settings, data: TrainingData, folder: Path, run_id: str = "") -> Ranker | None:
    """Return a ranker fitted on past nights, the shipped prior having weight where they are few.

    None before anybody studied. Examples of a night are stored in the folder and reused by later runs, unless earlier
    events, members, items or settings changed. Figures on the holdout nights are stored under the id of the run.
    Without one nothing is stored.
    """
    if data.events.empty:
        return None  # without any study the prior has nothing to go by: the newest items come first
    log = Log(data.events, data.members, data.items, weighting_rules(settings))
    rules = make_example_rules(settings)
    nights = PastNights(settings, data, log, folder, stored=bool(run_id))
    cuts = past_cuts(log, data.as_of, rules, settings.ranker.max_interactions)
    holdout = cuts[max(0, len(cuts) - settings.nightly.holdout_nights) :]
    past = {cut: night for cut in cuts if (night := nights.at(cut, holdout=cut in holdout))}
    if run_id:
        nights.discard_unused()
    training = [night.examples for night in past.values()]
    if run_id:
        figures = holdout_figures(settings, past)
        if len(figures):
            columns = {name: figures[name].to_numpy() for name in figures}
            examples.store(examples.figures_folder(folder), run_id, columns)
    return make_ranker(settings).fit(training)


@dataclass(frozen=True, slots=True)
class PastNight:
    """Training examples of a past night, and for a holdout night all candidates of some of its lists."""

    examples: TrainingExamples
    holdout: TrainingExamples | None


def holdout_figures(settings: Settings, past: Mapping[pd.Timestamp, PastNight]) -> pd.DataFrame:
    """Return the NDCG of lists of the holdout nights, by a ranker fitted on the nights before.

    Returns
    -------
    DataFrame
        ``objective, cut, member, ndcg``: members are hashes of their ids, the objective by whose weights items gain is
        one of its weights. Empty where the nights before are too few to fit a ranker.
    """
    holdout = {cut: night.holdout for cut, night in past.items() if night.holdout is not None}
    before = [night.examples for night in past.values() if night.holdout is None]
    if not holdout or not before:
        return pd.DataFrame(columns=["objective", "cut", "member", "ndcg"])
    ranker, weights = make_ranker(settings).fit(before), settings.objective.model_dump()
    gain = gains((), weights)
    parts = [
        pd.DataFrame(
            {
                "objective": pd.util.hash_array(np.array([repr(weights)], dtype=object))[0],
                "cut": cut.value,
                "member": candidates.members,
                "ndcg": ndcg_of_lists(ranker.score(candidates.features), candidates, gain),
            }
        )
        for cut, candidates in holdout.items()
    ]
    return pd.concat(parts, ignore_index=True).dropna()


def past_cuts(log: Log, as_of: pd.Timestamp, rules: ExampleRules, max_interactions: int) -> list[pd.Timestamp]:
    """Return the past nights to learn from, in order of time.

    They end before now by the days that outcomes take, and reach back over the window, or as far as the interactions
    before each, summed, stay within ``max_interactions``.
    """
    last = as_of.floor("D") - pd.Timedelta(days=rules.label_days)
    first = max(last - pd.Timedelta(days=rules.window_days), log.first_at)
    n_nights = max(1, max_interactions // max(log.n_pairs, 1))
    return list(pd.date_range(first.ceil("D"), last, freq="D"))[-n_nights:]


class PastNights:
    """Past nights, stored in a folder under the digest of everything they were computed from."""

    def __init__(self, settings: Settings, data: TrainingData, log: Log, folder: Path, *, stored: bool) -> None:
        self._settings, self._study, self._log, self._folder = settings, data, log, folder
        self._stored = stored
        self._rules = make_example_rules(settings)
        self._inputs = " ".join(
            [
                repr(settings.models.model_dump(exclude={"threads", "list_length"})),
                repr(settings.weights),
                repr(settings.privacy),
                settings.timezone,
                repr(self._rules),
                code_version(),
                *own_sources(settings.models.extra, settings.models.in_pipeline),
                *(_digest_of(taxonomy.table) for taxonomy in data.taxonomies.values()),
            ]
        )
        self._item_hashes = pd.util.hash_pandas_object(log.items).to_numpy()
        self._log_before = _running_hash(log, self._item_hashes)
        self._used: set[str] = set()
        self._used_holdout: set[str] = set()

    def at(self, cut: pd.Timestamp, *, holdout: bool) -> PastNight | None:
        """Return a past night; None where no member studied anything new after it."""
        name = self.name_of(cut)
        held = examples.holdout_folder(self._folder)
        columns, held_columns = _read(self._folder, name), _read(held, name) if holdout else {}
        if columns is None or held_columns is None:
            columns, held_columns = self._computed(cut)
            trim()
            if self._stored:
                examples.store(self._folder, name, columns)
                if holdout:
                    examples.store(held, name, held_columns)
        self._used.add(name)
        if holdout:
            self._used_holdout.add(name)
        if not columns:
            return None
        return PastNight(TrainingExamples(**columns), TrainingExamples(**held_columns) if holdout else None)

    def _computed(self, cut: pd.Timestamp) -> tuple[dict[str, Any], dict[str, Any]]:
        pipeline = replace(make_pipeline(self._settings, self._study.taxonomies), unfitted={})
        prepared = prepare_cut(self._log, cut, pipeline, rules=self._rules)
        if prepared is None:
            return {}, {}
        parts = prepared.sampled(self._rules.sampling_rate), prepared.of_lists(HOLDOUT_LISTS)
        sampled, held = (
            {name: getattr(part, name) for name in TrainingExamples.__dataclass_fields__} for part in parts
        )
        return sampled, held

    def discard_unused(self) -> None:
        """Remove the files of nights that have left the window, and those of former versions."""
        examples.discard_others(self._folder, self._used)
        examples.discard_others(examples.holdout_folder(self._folder), self._used_holdout)
        former = examples.former_folder_of(self._settings.artefacts_folder, int(self._folder.name))
        shutil.rmtree(former, ignore_errors=True)

    def name_of(self, cut: pd.Timestamp) -> str:
        """Return the digest of settings, taxonomies, code, and of all events, members and items up to the horizon."""
        end = cut + pd.Timedelta(days=self._rules.label_days)
        before = np.searchsorted(self._log.events["occurred_at"].to_numpy(), end.value // 1_000)
        published = self._item_hashes[(self._log.items["published_at"] <= end).to_numpy(dtype=bool)].sum(
            dtype=np.uint64
        )
        inputs = f"{cut.value} {self._log_before[before]} {published} {self._inputs}"
        return hashlib.sha256(inputs.encode()).hexdigest()


def _read(folder: Path, name: str) -> dict[str, Any] | None:
    """Return stored examples; None where there are none, or the file holds anything else."""
    columns = examples.read(folder, name)
    whole = columns is None or not columns or columns.keys() == TrainingExamples.__dataclass_fields__.keys()
    return columns if whole else None


def _digest_of(frame: pd.DataFrame) -> str:
    """Return the SHA-256 of a frame, in hexadecimal."""
    hashed = pd.util.hash_pandas_object(frame, index=True).to_numpy()
    return hashlib.sha256(hashed.tobytes()).hexdigest()


def _running_hash(log: Log, item_hashes: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return for every number of earliest events a hash of them, their members and their items, in any order."""
    # The order of joining comes from all members, those without an event included.
    members = log.members.assign(position=joining_order(log.members))
    hashes = {"member": pd.util.hash_pandas_object(members).to_numpy(), "item": item_hashes}
    events = log.events
    rows = pd.DataFrame({name: hashes[name][events[name].to_numpy()] for name in hashes})
    rest = events.drop(columns=["member", "item"]).assign(**rows)
    hashed = pd.util.hash_pandas_object(rest, index=False).to_numpy()
    return np.concatenate([np.zeros(1, dtype=np.uint64), np.cumsum(hashed, dtype=np.uint64)])


def check(ranker: Ranker | None, n_events: int) -> dict[str, Any]:
    """Return the run's check of its ranking, with ``state``: ``prior``, ``mixed`` or ``learned``.

    Only a learned ranking passes; the other states warn (``passed`` is None) and hold no run back. By another objective
    than items begun the items counted are those with an outcome of it; the prior is still one of items begun.
    ``n_events`` are stored, whether they count or not.
    """
    state = ranker.state if ranker else "prior"
    facts: dict[str, Any] = {"positives": 0, "enough": LEARNED_POSITIVES, "prior_weight": 0.0, "counted": ""}
    if ranker is None:
        facts |= {"case": "unstudied", "events": n_events}
        stored = f": {n_events:,} events are stored, but none of unknown members or items counts (`xuelu doctor`)"
        detail = f"nothing was studied yet{stored if n_events else ''}, so lists show the newest items first"
    else:
        weights = {name: weight for name, weight in ranker.objective.items() if weight}
        by_others = weights.keys() - BEGAN_ALONE.keys()
        counted = (
            f" that count by {' '.join(f'{name}={each:g}' for name, each in weights.items())}" if by_others else ""
        )
        detail = f"learned from {ranker.n_positives:,} items that members studied next in past nights{counted}"
        if state != "learned":
            weight = f"{ranker.prior_weight:.0%}"
            detail += (
                f"; until there are {LEARNED_POSITIVES:,} the ranking that ships with xuelu counts too, now by {weight}"
            )
            detail += "; nothing is to be done: each night learns from more"
        facts |= {"positives": ranker.n_positives, "prior_weight": ranker.prior_weight}
        facts |= {"counted": " ".join(f"{name}={each:g}" for name, each in weights.items()) if by_others else ""}
    passed = True if state == "learned" else None
    return {"name": CHECK, "passed": passed, "state": state, "detail": detail, "facts": facts}
