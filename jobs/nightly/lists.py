"""Lists of a night: computed by the models, or carried over from the served run."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import orjson
import pandas as pd
import structlog
from sqlalchemy import Engine

from content_catalog.taxonomy import Taxonomy
from features.interactions import Interactions
from infra.db.engine import transaction
from infra.runs import list_contents
from infra.runs.isolation import isolated
from infra.runs.list_contents import RunLists, hash_of_entries
from infra.serving.online_model import OnlineList, OnlineModel, online_model_of
from infra.settings.policy import LIST_RULES, PIPELINE_RULES
from infra.settings.settings import Settings
from jobs.nightly.incremental import IncrementalState
from jobs.nightly.similar_items import similar_entries
from jobs.nightly.training_data import TrainingData
from recommender.evaluation.cut_offs import ExampleRules
from recommender.pipeline import Pipeline
from recommender.policy.registry import PolicyParameters, make_policies
from recommender.ranking.examples import OUTCOMES
from recommender.ranking.prior import shipped_prior
from recommender.ranking.ranker import Ranker
from recommender.registry import DEFAULT_MODELS, ModelParameters, make_models, names_of

BLOCK_MEMBERS = 5_000
Columns = tuple[pd.DataFrame, pd.DataFrame]
log = structlog.get_logger("xuelu.nightly")


@dataclass(frozen=True)
class NightlyLists:
    """Lists of a run, and the similar items.

    Attributes
    ----------
    computed : DataFrame
        ``member_id, item_id, reason`` (its code), best first: the lists that this night computed.
    owners : Series
        The member whose computed list a member has, by member; of the members whose lists were computed.
    lists : DataFrame
        ``member_id, strategy, language, entries_hash`` of every member.
    entries : DataFrame
        ``entries_hash, entries``: each entries of ``lists`` once.
    similar : DataFrame
        ``item_id, entries``.
    failed : dict
        The error of each member whose list could not be computed, by member.
    failed_texts : int
        Items without similar items by text, because their text cannot be read.
    failed_models : int
        Models that could not be fitted and proposed nothing.
    """

    computed: pd.DataFrame
    owners: pd.Series
    lists: pd.DataFrame
    entries: pd.DataFrame
    similar: pd.DataFrame
    failed: dict[str, str]
    failed_texts: int = 0
    failed_models: int = 0

    @property
    def failures(self) -> dict[str, int]:
        """Numbers of what was left out of the run because of a fault, without zeros."""
        numbers = {
            "failed_lists": len(self.failed),
            "failed_texts": self.failed_texts,
            "failed_models": self.failed_models,
        }
        return {name: number for name, number in numbers.items() if number}

    def as_run_lists(self) -> RunLists:
        """Return the lists as they come back from the database."""
        return RunLists(
            self.lists.set_index("member_id")["entries_hash"].sort_index(),
            self.entries.set_index("entries_hash")["entries"].sort_index(),
        )


def fit(
    settings: Settings,
    data: TrainingData,
    interactions: Interactions,
    ranker: Ranker | None = None,
    reused: IncrementalState | None = None,
) -> Pipeline:
    """Return the fitted pipeline with the ranker, or the one of the served run where it is reused."""
    if reused is not None:
        return reused.model.pipeline
    pipeline = replace(make_pipeline(settings, data.taxonomies), ranker=ranker, unfitted={})
    pipeline.fit(interactions)
    for name, error in (pipeline.unfitted or {}).items():
        log.warning("a model is not fitted and proposes nothing", model=name, error=error)
    return pipeline


def model_of(
    settings: Settings,
    data: TrainingData,
    interactions: Interactions,
    pipeline: Pipeline,
    reused: IncrementalState | None = None,
) -> OnlineModel:
    """Return the model of the lists, by the fitted pipeline or by the reused one."""
    if reused is not None:
        return reused.model_as_of(data.members, data.items, data.as_of, data.all_event_digests)
    length, digests = settings.models.list_length, data.all_event_digests
    return online_model_of(pipeline, interactions, data.members, event_digests=digests, length=length)


def make_lists(
    engine: Engine,
    model: OnlineModel,
    data: TrainingData,
    interactions: Interactions,
    reused: IncrementalState | None = None,
) -> NightlyLists:
    """Return everybody's list and every item's similar items; those without changes come from the served run."""
    owners = model.representatives(interactions)
    if data.changed is not None:
        owners = owners[owners.index.isin(data.changed)]
    failed: dict[str, str] = {}
    blocks = isolated(
        pd.Index(owners.unique(), dtype="str"),
        lambda members: _columns(model.lists(interactions, members)),
        failed,
        block_members=BLOCK_MEMBERS,
    )
    lists, entries, items = _frames(blocks, owners, data.members["language"])
    for member_id, error in failed.items():
        log.warning("no list", member_id=member_id, error=error)
    if reused is None or data.changed is None:
        similar, failed_texts = similar_entries(model.pipeline, interactions, data.texts)
        failed_models = len(model.pipeline.unfitted or {})
        return NightlyLists(items, owners, lists, entries, similar, failed, failed_texts, failed_models)
    with transaction(engine) as session:
        served = list_contents.list_rows(session, reused.run)
        similar = list_contents.similar_rows(session, reused.run)
    stay = served[served["member_id"].isin(data.members.index.difference(data.changed))]
    lists = pd.concat([stay, lists], ignore_index=True).sort_values("member_id", ignore_index=True)
    return NightlyLists(items, owners, lists, entries, similar, failed)


def _columns(computed: Iterable[OnlineList]) -> Columns:
    """Return ``member_id, strategy, entries_hash, entries`` of computed lists, and :attr:`NightlyLists.computed`."""
    lists, rows = [], []
    for each in computed:
        lists.append((each.member_id, each.strategy, hash_of_entries(each.entries), each.entries))
        entries = orjson.loads(each.entries)
        rows += [(each.member_id, entry["item_id"], entry["reason"]["code"]) for entry in entries]
    return (
        pd.DataFrame(lists, columns=["member_id", "strategy", "entries_hash", "entries"], dtype="str"),
        pd.DataFrame(rows, columns=["member_id", "item_id", "reason"], dtype="str"),
    )


def _frames(
    blocks: Iterable[Columns], owners: pd.Series, language: pd.Series
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Return ``lists, entries, computed`` as :class:`NightlyLists` has them, of blocks of computed lists."""
    own, items = (pd.concat(parts, ignore_index=True) for parts in zip(_columns(()), *blocks, strict=True))
    row = pd.Index(own["member_id"]).get_indexer(owners)
    has_list = row >= 0
    lists = own[["member_id", "strategy", "entries_hash"]].take(row[has_list])
    lists = lists.assign(member_id=owners.index[has_list].astype("str")).sort_values("member_id", ignore_index=True)
    lists["language"] = language.reindex(lists["member_id"]).to_numpy()
    return lists, own[["entries_hash", "entries"]].drop_duplicates("entries_hash", ignore_index=True), items


def pipeline_models(settings: Settings) -> tuple[str, ...]:
    """Return the names of the models that take part in the pipeline."""
    return tuple(dict.fromkeys([*DEFAULT_MODELS, *settings.models.in_pipeline]))


def make_pipeline(settings: Settings, taxonomies: dict[str, Taxonomy], models: Sequence[str] | None = None) -> Pipeline:
    """Return an unfitted pipeline of some models, by default those of the settings."""
    rules = settings.models
    own = {name: getattr(rules, name) for name in ModelParameters.__dataclass_fields__ if hasattr(rules, name)}
    smallest = settings.privacy.smallest_group
    parameters = ModelParameters(**own, half_life_days=settings.weights.half_life_days, smallest_group=smallest)
    roles, industries = taxonomies["role"], taxonomies["industry"]
    names = pipeline_models(settings) if models is None else models
    chosen = make_models(parameters, roles=roles, industries=industries, names=names)
    of_rules = settings.policy.model_dump(exclude={*LIST_RULES, *PIPELINE_RULES})
    return Pipeline(
        chosen,
        roles=roles,
        industries=industries,
        depth=rules.retrieval_depth,
        min_group_size=smallest,
        policies=make_policies(PolicyParameters(**of_rules), seed=rules.seed),
        transition_days=settings.policy.transition_days,
    )


def make_ranker(settings: Settings) -> Ranker:
    """Return the unfitted ranker of the settings."""
    rules = settings.ranker
    return Ranker(
        shipped_prior(names_of(pipeline_models(settings))),
        objective=settings.objective.model_dump(),
        max_iter=rules.max_iter,
        max_leaf_nodes=rules.max_leaf_nodes,
        learning_rate=rules.learning_rate,
        min_samples_leaf=rules.min_samples_leaf,
        l2_regularization=rules.l2_regularization,
        seed=settings.models.seed,
    )


def make_example_rules(settings: Settings, horizon_days: int = 1) -> ExampleRules:
    """Return the rules of training examples that the settings give."""
    rules = settings.ranker
    return ExampleRules(
        window_days=rules.window_days,
        refit_days=rules.backtest_refit_days,
        sampling_rate=rules.negative_sampling_rate,
        max_lists=rules.max_lists,
        horizon_days=horizon_days,
        outcomes=tuple(name for name in OUTCOMES[1:] if getattr(settings.objective, name) > 0),
    )
