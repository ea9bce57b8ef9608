"""A dry run of other settings: who would gain and lose which items."""

from typing import Any

from sqlalchemy import Engine

from infra.catalog import organisations
from infra.db.engine import transaction
from infra.runs import list_contents
from infra.runs import store as runs
from infra.settings.settings import Settings
from infra.training import examples
from jobs.evaluation.diff import between
from jobs.nightly import learned_ranking, lists, training_data


def preview(engine: Engine, settings: Settings, changed: Settings) -> list[dict[str, Any]]:
    """Return the difference from the lists that are served to those that other settings would make at the same moment.

    Nothing is written. The rows are those of :func:`jobs.evaluation.diff.between` for the run that is served and a
    night
    under the other settings as of the same moment, as long as nothing else changes.

    Raises
    ------
    NoPublishedRunError
        No lists are served yet.
    """
    with transaction(engine) as session:
        key = organisations.key_of(session, settings.organisation)
        served = runs.latest(session, key)
        before = list_contents.lists_of(session, served)
    data = training_data.read(engine, key, as_of=served["as_of"])
    interactions = training_data.interactions(data, changed)
    folder = examples.folder_of(settings.artefacts_folder, key)
    pipeline = learned_ranking.learn(changed, data, lists.fit(changed, data, interactions), folder)
    model = lists.model_of(changed, data, interactions, pipeline)
    return between(before, lists.make_lists(engine, model, data, interactions).as_run_lists())
