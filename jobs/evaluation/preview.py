"""A dry run of other settings: who would gain and lose which items."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime
from typing import Any, Final, NamedTuple

import numpy as np
import orjson
import pandas as pd
from sqlalchemy import Engine

from infra.catalog import organisations
from infra.catalog import store as catalog
from infra.db.engine import transaction
from infra.policy.required_entries import list_rules
from infra.runs import store as runs
from infra.runs.list_contents import RunLists
from infra.runs.store import ANYONE
from infra.serving import display_metadata, list_query
from infra.serving.display_metadata import DisplayNames
from infra.serving.list_json import MAX_LIST_LENGTH, ListRequest, render
from infra.serving.list_query import NON_PERSONAL, StoredList
from infra.settings.settings import Settings
from infra.training import examples
from jobs.evaluation.diff import Ranks, changes_of
from jobs.nightly import learned_ranking, lists, training_data

BLOCK_MEMBERS: Final = 2_000
SEED: Final = 0


class PreviewedList(NamedTuple):
    """A member's list as it is shown, and as other settings would give it; items with rank and reason."""

    member_id: str
    strategy: str
    before: list[dict[str, Any]]
    after: list[dict[str, Any]]


def preview(engine: Engine, settings: Settings, changed: Settings) -> list[dict[str, Any]]:
    """Return the items that members would gain and lose under other settings, as :func:`previewed_lists` compares.

    The rows are those of :func:`jobs.evaluation.diff.changes_of`, in order of the members; what is shown after a night
    under the other settings as of the same moment differs in exactly them, as long as nothing else changes.
    """
    shown = previewed_lists(engine, settings, changed)
    return [row for each in shown for row in changes_of(each.member_id, _ranks(each.before), _ranks(each.after))]


def previewed_lists(
    engine: Engine, settings: Settings, changed: Settings, *, sample: int | None = None
) -> Iterator[PreviewedList]:
    """Yield the lists that are shown and those that other settings would give at the same moment, by member.

    Nothing is written. Compared are lists of full length as they are shown at the moment of the served run, so rules
    that hold when a list is shown count, too.

    Parameters
    ----------
    sample : int, optional
        Most members, drawn with a fixed seed; by default all. Models learn from all in any case.

    Raises
    ------
    NoPublishedRunError
        No lists are served yet.
    """
    with transaction(engine) as session:
        key = organisations.key_of(session, settings.organisation)
        served = runs.latest(session, key)
        member_ids = sampled(catalog.existing_ids(session, key)["member_id"], sample)
    wanted = None if sample is None else member_ids
    computed = lists_by(engine, changed, key, as_of=served["as_of"], member_ids=wanted).as_run_lists()
    before, after = (
        ListRequest(min(each.models.list_length, MAX_LIST_LENGTH), served["as_of"], rules=list_rules(each))
        for each in (settings, changed)
    )
    with transaction(engine) as session:
        for start in range(0, len(member_ids), BLOCK_MEMBERS):
            block = member_ids[start : start + BLOCK_MEMBERS]
            stored, as_changed = (
                list_query.read(session, key, block, shown_times=each.policy.fatigue_shown)
                for each in (settings, changed)
            )
            replaced = {member_id: _replaced(row, computed) for member_id, row in as_changed.items()}
            item_ids = {item_id for row in (*stored.values(), *replaced.values()) for item_id in row.item_ids}
            names = display_metadata.current(session, key, sorted(item_ids))
            for member_id, row in sorted(stored.items()):
                then, now = _items(row, names, before), _items(replaced[member_id], names, after)
                yield PreviewedList(member_id, row.strategy or NON_PERSONAL, then, now)


def sampled(member_ids: Iterable[str], sample: int | None) -> list[str]:
    """Return members in order, no more than the size of a sample: the same ones each time.

    >>> sampled(["b", "a"], None), len(sampled("abcdef", 4)), sampled("abcdef", 4) == sampled("fedcba", 4)
    (['a', 'b'], 4, True)
    """
    ordered = sorted(member_ids)
    if sample is None or len(ordered) <= sample:
        return ordered
    chosen = np.random.default_rng(SEED).choice(len(ordered), sample, replace=False)
    return [ordered[number] for number in sorted(chosen.tolist())]


def lists_by(
    engine: Engine,
    settings: Settings,
    organisation_key: int,
    *,
    as_of: datetime,
    member_ids: list[str] | None = None,
) -> lists.NightlyLists:
    """Return the lists as a night under some settings would make them as of a moment, of some members or of all.

    Models learn from all members in any case. The list for anyone is among them.
    """
    data = training_data.read(engine, organisation_key, as_of=as_of)
    interactions = training_data.interactions(data, settings)
    folder = examples.folder_of(settings.artefacts_folder, organisation_key)
    ranker = learned_ranking.learn(settings, data, folder)
    pipeline = lists.fit(settings, data, interactions, ranker)
    if member_ids is not None:
        data = replace(data, changed=pd.Index([*member_ids, ANYONE]))
    return lists.make_lists(engine, lists.model_of(settings, data, interactions, pipeline), data, interactions)


def _replaced(stored: StoredList, computed: RunLists) -> StoredList:
    """Return a member's stored list with the entries that were computed; without own ones with those for anyone."""
    own = stored.member_id in computed.hashes.index and (stored.wants_personal or stored.strategy == NON_PERSONAL)
    name = stored.member_id if own else ANYONE
    entries = computed.entries[computed.hashes[name]] if name in computed.hashes.index else None
    return stored._replace(entries=entries)


def _items(stored: StoredList, names: DisplayNames, request: ListRequest) -> list[dict[str, Any]]:
    """Return the items of a list as it is shown."""
    items: list[dict[str, Any]] = orjson.loads(render(stored, names, request))["items"]
    return items


def _ranks(items: list[dict[str, Any]]) -> Ranks:
    return {item["item_id"]: item["rank"] for item in items}
