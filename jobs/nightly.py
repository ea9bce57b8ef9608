"""The night: from study logs to published push lists, in one transaction."""

from collections.abc import Callable
from datetime import datetime
from importlib.metadata import version
from typing import Any

import pandas as pd
from sqlalchemy import Engine

from infra import organisations, runs
from infra.db import transaction
from infra.settings import Settings
from infra.study import item_texts, load_interactions
from jobs import gate, lists

Step = Callable[[str], None]


def nightly(
    engine: Engine, settings: Settings, *, now: datetime, as_of: datetime | None = None, step: Step = lambda _name: None
) -> dict[str, Any]:
    """Make everybody's push list from what is known and publish it, or hold it where a check fails; return the run.

    Parameters
    ----------
    as_of : datetime, optional
        The moment up to which events are known and items available; by default now.
    step : callable
        Told the name of each step as it begins.

    Raises
    ------
    XueluError
        Nothing was written; the lists published before stay served.
    """
    as_of = as_of or now
    with transaction(engine) as session:
        step("read")
        organisation_key = organisations.key_of(session, settings.organisation)
        taxonomies = organisations.taxonomies(session, organisation_key)
        known = load_interactions(session, organisation_key, settings, as_of=as_of)
        step("fit")
        pipeline = lists.make_pipeline(settings, taxonomies)
        pipeline.fit(known)
        step("lists")
        shared = pipeline.representatives(known)
        made = pipeline.recommend(known, pd.Index(shared.unique()), k=settings.models.list_length)
        step("explain")
        explained = pipeline.explain(known, made)
        step("similar items")
        similar = lists.similar_entries(pipeline, item_texts(session, organisation_key))
        step("gate")
        checks = gate.check(known, made, shared, taxonomies)
        status = gate.verdict(checks)
        step("publish")
        digests = {
            "settings_digest": settings.digest(),
            "data_digest": known.digest(),
            "code_version": version("xuelu"),
        }
        run_key = runs.start(session, organisation_key, as_of=as_of, now=now, digests=digests)
        counts = {
            "lists": runs.store_lists(session, organisation_key, run_key, *lists.as_stored(explained, shared)),
            "similar_items": runs.store_similar(session, organisation_key, run_key, similar),
        }
        runs.finish(session, run_key, status=status, counts=counts, checks=checks)
        return runs.get(session, run_key)
