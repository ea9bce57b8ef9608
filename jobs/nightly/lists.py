"""Lists as the night makes and stores them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import orjson
import pandas as pd
from numpy.typing import NDArray

from content_catalog.taxonomy import Taxonomy
from content_catalog.text import text_vectors, texts_of
from features.interactions import Interactions
from infra.runs.list_contents import RunLists, hash_of_entries
from infra.settings.settings import Settings
from jobs.nightly.incremental import Kept
from jobs.nightly.training_data import Study
from recommender.evaluation.cut_offs import ExampleRules
from recommender.linalg.topk import Positions, Scores, top_k
from recommender.pipeline import Pipeline
from recommender.ranking.ranker import BaseScore, Ranker
from recommender.registry import DEFAULT_MODELS, ModelParameters, feature_names, make_models

SIMILAR_ITEMS = 20
LEAST_COSINE = 0.2
BLOCK_ITEMS = 2_000
BLOCK_LISTS = 20_000


@dataclass(frozen=True)
class Made:
    """What a night made.

    Attributes
    ----------
    listed : DataFrame
        ``member_id, item_id``, best first, of the members whose lists others share.
    shared : Series
        For every member the one whose list it has.
    lists : DataFrame
        ``member_id, strategy, language, entries_hash`` of every member.
    entries : DataFrame
        ``entries_hash, entries``: what the lists hold, each hash once.
    similar : DataFrame
        ``item_id, entries``.
    """

    listed: pd.DataFrame
    shared: pd.Series
    lists: pd.DataFrame
    entries: pd.DataFrame
    similar: pd.DataFrame

    def as_run_lists(self) -> RunLists:
        """Return the lists as they come back from the database."""
        return RunLists(
            self.lists.set_index("member_id")["entries_hash"].sort_index(),
            self.entries.set_index("entries_hash")["entries"].sort_index(),
        )


def fit(settings: Settings, study: Study, known: Interactions, kept: Kept | None = None) -> Pipeline:
    """Return the pipeline, fitted on what is known, or as an earlier night kept it."""
    if kept is not None and study.changed is not None:
        return kept.pipeline
    pipeline = make_pipeline(settings, study.taxonomies)
    pipeline.fit(known)
    return pipeline


def make(settings: Settings, pipeline: Pipeline, study: Study, known: Interactions, kept: Kept | None = None) -> Made:
    """Return everybody's list and every item's similar items; of members without changes, those that were kept."""
    shared = pipeline.representatives(known)
    if kept is None or study.changed is None:
        lists, entries, listed = _made(settings, pipeline, known, shared, learned=known)
        return Made(listed, shared, lists, entries, similar_entries(pipeline, study.texts))
    changed = known.members.index.isin(study.changed)
    lists, entries, listed = _made(settings, pipeline, known, shared[changed], learned=kept.learned)
    shared = shared.where(changed, kept.shared.reindex(shared.index))
    stay = kept.lists[~kept.lists["member_id"].isin(study.changed)]
    others = kept.listed[~kept.listed["member_id"].isin(listed["member_id"]) & kept.listed["member_id"].isin(shared)]
    return Made(
        pd.concat([others, listed], ignore_index=True),
        shared,
        pd.concat([stay, lists], ignore_index=True).sort_values("member_id", ignore_index=True),
        entries,
        kept.similar,
    )


def _made(
    settings: Settings, pipeline: Pipeline, known: Interactions, shared: pd.Series, *, learned: Interactions
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Return ``lists, entries, listed`` as :class:`Made` has them, for the members that ``shared`` names."""
    listed = pipeline.recommend(known, pd.Index(shared.unique(), dtype="str"), k=settings.models.list_length)
    reasons = pipeline.reasons(learned)
    stored = [as_stored(part.assign(reason=reasons.of(part, known)), shared) for part in in_parts(listed)]
    lists, entries = (pd.concat(frames, ignore_index=True) for frames in zip(*stored, strict=True))
    lists = lists.sort_values("member_id", ignore_index=True)
    lists["language"] = known.members["language"].reindex(lists["member_id"]).to_numpy()
    return lists, entries.drop_duplicates("entries_hash", ignore_index=True), listed[["member_id", "item_id"]]


def in_parts(listed: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """Yield whole lists, some at a time: reasons take many times the memory that they take as text."""
    starts = np.flatnonzero((listed["rank"] == 1).to_numpy())[::BLOCK_LISTS]
    for start, end in pairwise([*starts, len(listed)] if len(starts) else [0, 0]):
        yield listed.iloc[start:end]


def make_pipeline(
    settings: Settings, taxonomies: dict[str, Taxonomy], models: Sequence[str] = DEFAULT_MODELS
) -> Pipeline:
    """Return the unfitted pipeline of the settings, by default of the default models."""
    given = settings.models
    own = {name: getattr(given, name) for name in ModelParameters.__dataclass_fields__ if hasattr(given, name)}
    parameters = ModelParameters(**own, half_life_days=settings.weights.half_life_days)
    roles, industries = taxonomies["role"], taxonomies["industry"]
    chosen = make_models(parameters, roles=roles, industries=industries, names=models)
    return Pipeline(chosen, roles=roles, industries=industries, depth=given.retrieval_depth)


def make_ranker(settings: Settings) -> Ranker:
    """Return the unfitted ranker of the settings."""
    given, names = settings.ranker, feature_names()
    return Ranker(
        max_iter=given.max_iter,
        max_leaf_nodes=given.max_leaf_nodes,
        learning_rate=given.learning_rate,
        min_samples_leaf=given.min_samples_leaf,
        l2_regularization=given.l2_regularization,
        seed=settings.models.seed,
        base_score=BaseScore(scores=names.index("content"), published_days=names.index("item_published_days")),
        sampling_rate=given.negative_sampling_rate,
    )


def make_example_rules(settings: Settings, horizon_days: int = 1) -> ExampleRules:
    """Return the rules of training examples that the settings give."""
    given = settings.ranker
    return ExampleRules(
        window_days=given.window_days,
        refit_days=given.backtest_refit_days,
        sampling_rate=given.negative_sampling_rate,
        max_lists=given.max_lists,
        horizon_days=horizon_days,
    )


def as_stored(explained: pd.DataFrame, shared: pd.Series) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return lists as stored: ``member_id, strategy, entries_hash`` of every member, and ``entries_hash, entries``.

    ``shared`` names for every member the one whose list it has.
    """
    pairs = zip(explained["item_id"], explained["reason"], strict=True)
    entries = [{"item_id": item_id, "reason": reason} for item_id, reason in pairs]
    starts = np.flatnonzero((explained["rank"] == 1).to_numpy())
    ends = np.append(starts, len(entries))[1:]
    texts = [orjson.dumps(entries[start:end]).decode() for start, end in zip(starts, ends, strict=True)]
    contents = np.array([hash_of_entries(text) for text in texts], dtype=object)
    heads = explained.iloc[starts]
    number = pd.Index(heads["member_id"]).get_indexer(shared)
    has_one = number >= 0
    strategies = heads["strategy"].to_numpy()[number[has_one]]
    made = {
        "member_id": shared.index[has_one].astype("str"),
        "strategy": strategies,
        "entries_hash": contents[number[has_one]],
    }
    stored = pd.DataFrame({"entries_hash": contents, "entries": pd.Series(texts, dtype="str")})
    return pd.DataFrame(made), stored.drop_duplicates("entries_hash", ignore_index=True)


def similar_entries(pipeline: Pipeline, texts: pd.DataFrame) -> pd.DataFrame:
    """Return each item's similar items as they are stored: ``item_id, entries``.

    First come items studied by the same members, then those whose ``texts`` are about the same, so that a new item has
    some too.
    """
    names = texts.index.to_numpy(dtype=object)
    found: dict[str, dict[str, dict[str, object]]] = {name: {} for name in names}
    by_text = similar_texts(text_vectors(texts_of(texts)), SIMILAR_ITEMS)
    for basis, (items, others, values) in (("study", pipeline.item_knn.similar(SIMILAR_ITEMS)), ("text", by_text)):
        for item, other, value in zip(names[items], names[others], values.astype(float).round(6).tolist(), strict=True):
            if len(found[item]) < SIMILAR_ITEMS:
                found[item].setdefault(other, {"item_id": other, "similarity": value, "basis": basis})
    entries = [orjson.dumps(list(one.values())).decode() for one in found.values()]
    return pd.DataFrame({"item_id": texts.index.astype("str"), "entries": pd.Series(entries, dtype="str")})


def similar_texts(vectors: NDArray[np.float32], k: int) -> tuple[Positions, Positions, Scores]:
    """Return each item's ``k`` items nearest in text as ``(items, nearest items, cosines)``, best first."""
    parts = []
    for start in range(0, len(vectors), BLOCK_ITEMS):
        cosines = (vectors[start : start + BLOCK_ITEMS].astype(np.float64) @ vectors.T).astype(np.float32)
        cosines[np.arange(len(cosines)), np.arange(start, start + len(cosines))] = -np.inf
        rows, others, values = top_k(np.where(cosines >= LEAST_COSINE, cosines, np.float32(-np.inf)), k)
        parts.append((rows + start, others, values))
    items, others, values = (np.concatenate(column) for column in zip(*parts, strict=True))
    return items, others, values
