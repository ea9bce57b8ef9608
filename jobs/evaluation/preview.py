"""A dry run of other settings: who would gain and lose which items."""

from datetime import datetime
from typing import Any, Final

import orjson
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
from infra.serving.list_json import LONGEST, ListRequest, render
from infra.serving.list_query import NON_PERSONAL, StoredList
from infra.settings.settings import Settings
from infra.training import examples
from jobs.evaluation.diff import Ranks, changes_of
from jobs.nightly import learned_ranking, lists, training_data

BLOCK_MEMBERS: Final = 2_000


def preview(engine: Engine, settings: Settings, changed: Settings) -> list[dict[str, Any]]:
    """Return the difference from the lists that are shown to those that other settings would give at the same moment.

    Nothing is written. Compared are lists of full length as they are shown at the moment of the served run, so rules
    that hold when a list is shown count, too. The rows are those of :func:`jobs.evaluation.diff.changes_of`, in order
    of the members; what is shown after a night under the other settings as of the same moment differs in exactly them,
    as long as nothing else changes.

    Raises
    ------
    NoPublishedRunError
        No lists are served yet.
    """
    with transaction(engine) as session:
        key = organisations.key_of(session, settings.organisation)
        served = runs.latest(session, key)
    computed = lists_by(engine, changed, key, as_of=served["as_of"]).as_run_lists()
    before, after = (
        ListRequest(min(each.models.list_length, LONGEST), served["as_of"], explain=False, rules=list_rules(each))
        for each in (settings, changed)
    )
    rows: list[dict[str, Any]] = []
    with transaction(engine) as session:
        member_ids = sorted(catalog.existing_ids(session, key)["member_id"])
        for start in range(0, len(member_ids), BLOCK_MEMBERS):
            stored = list_query.read(session, key, member_ids[start : start + BLOCK_MEMBERS])
            replaced = {member_id: _replaced(row, computed) for member_id, row in stored.items()}
            item_ids = {item_id for row in (*stored.values(), *replaced.values()) for item_id in row.item_ids}
            names = display_metadata.current(session, key, sorted(item_ids))
            for member_id, row in stored.items():
                old, new = _ranks(row, names, before), _ranks(replaced[member_id], names, after)
                rows += changes_of(member_id, old, new)
    return sorted(rows, key=lambda row: row["member_id"])


def lists_by(engine: Engine, settings: Settings, organisation_key: int, *, as_of: datetime) -> lists.NightlyLists:
    """Return everybody's list as a night under some settings would make it as of a moment."""
    data = training_data.read(engine, organisation_key, as_of=as_of)
    interactions = training_data.interactions(data, settings)
    folder = examples.folder_of(settings.artefacts_folder, organisation_key)
    pipeline = learned_ranking.learn(settings, data, lists.fit(settings, data, interactions), folder)
    return lists.make_lists(engine, lists.model_of(settings, data, interactions, pipeline), data, interactions)


def _replaced(stored: StoredList, computed: RunLists) -> StoredList:
    """Return a member's stored list with the entries that were computed; without own ones with those for anyone."""
    own = stored.member_id in computed.hashes.index and (stored.wants_personal or stored.strategy == NON_PERSONAL)
    name = stored.member_id if own else ANYONE
    entries = computed.entries[computed.hashes[name]] if name in computed.hashes.index else None
    return stored._replace(entries=entries)


def _ranks(stored: StoredList, names: DisplayNames, request: ListRequest) -> Ranks:
    """Return the rank of each item of a list as it is shown."""
    return {item["item_id"]: item["rank"] for item in orjson.loads(render(stored, names, request))["items"]}
