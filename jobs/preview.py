"""A dry run of other settings: who would gain and lose which items."""

from typing import Any

from sqlalchemy import Engine

from infra import contents, lessons, organisations, runs
from infra.db import transaction
from infra.settings import Settings
from jobs import blend, lists, study
from jobs.differences import between


def preview(engine: Engine, settings: Settings, changed: Settings) -> list[dict[str, Any]]:
    """Return the difference from the lists that are served to those that other settings would make at the same moment.

    Nothing is written. The rows are those of :func:`jobs.differences.between` for the run that is served and a night
    under the other settings as of the same moment, as long as nothing else changes.

    Raises
    ------
    NoPublishedRunError
        No lists are served yet.
    """
    with transaction(engine) as session:
        key = organisations.key_of(session, settings.organisation)
        served = runs.latest(session, key)
        before = contents.lists_of(session, served)
    read = study.read(engine, key, as_of=served["as_of"])
    known = study.interactions(read, changed)
    folder = lessons.folder_of(settings.artefacts_folder, key)
    pipeline = blend.ranked(changed, read, lists.fit(changed, read, known), folder)
    made = lists.make(changed, pipeline, read, known)
    return between(before, made.by_content())
