"""The end of a night: its lists written and served in one transaction, or held; old runs removed."""

from datetime import timedelta
from typing import Any

import pandas as pd
from sqlalchemy.orm import Session

from features.interactions import Interactions
from infra.db.engine import transaction
from infra.delivery import outbox
from infra.errors import NoPublishedRunError
from infra.runs import list_contents, snapshots
from infra.runs import store as runs
from infra.training import examples
from jobs.nightly import gate, learned_ranking
from jobs.nightly.lists import Made
from jobs.nightly.steps import Night
from jobs.nightly.training_data import Study


def served(night: Night) -> dict[str, Any] | None:
    """Return the run that is served, None where there is none yet."""
    with transaction(night.engine) as session:
        try:
            return runs.latest(session, night.organisation_key)
        except NoPublishedRunError:
            return None


def check(night: Night, study: Study, known: Interactions, made: Made) -> list[dict[str, Any]]:
    """Return the checks of a night's lists, by themselves and against those that are served."""
    limits, before = night.settings.nightly, served(night)
    return [
        *gate.check(known, made.listed, made.shared, study.taxonomies, limits),
        *_quality(night, study, before),
        *gate.check_change(_change(night, made, before), known.items.index, before, limits, as_of=study.as_of),
    ]


def _quality(night: Night, study: Study, before: dict[str, Any] | None) -> list[dict[str, Any]]:
    """Return the check of the ranking beside the one that is served; keep only the figures of these two."""
    if before is None:
        return []
    own, other = night.run["run_id"], before["run_id"]
    folder = examples.figures_folder(night.examples_folder)
    examples.discard_others(folder, {own, other})
    if study.changed is not None:  # the ranking is the served one
        figures = examples.read(folder, other)
        if figures is not None:
            examples.store(folder, own, figures)
    return gate.check_quality(learned_ranking.difference(night.examples_folder, own, other), night.settings.nightly)


def _change(night: Night, made: Made, before: dict[str, Any] | None) -> gate.Change | None:
    if before is None:
        return None
    now = made.as_run_lists()
    with transaction(night.engine) as session:
        pairs = pd.concat({"now": now.hashes, "then": list_contents.entries_hashes(session, before)}, axis=1).dropna()
        differ = pairs[pairs["now"] != pairs["then"]]
        others = (set(differ["now"]) | set(differ["then"])) - set(now.entries.index)
        there = list_contents.entries_by_hash(session, night.organisation_key, sorted(others))
    return gate.Change(pairs, pd.concat([now.entries, there]))


def publish(
    night: Night, study: Study, known: Interactions, made: Made | None, checks: list[dict[str, Any]]
) -> dict[str, Any]:
    """Write a night's lists and serve them from now on, or hold them where a check fails; return the run.

    All is one transaction: the lists of before are served until it ends, and nothing is left of it where it fails.
    """
    with transaction(night.engine) as session:
        night.step_within(session, "publish", lambda: _write(session, night, study, known, made, checks))
        night.step_within(session, "enqueue", lambda: _enqueue(session, night, checks))
    return night.end()


def _write(
    session: Session, night: Night, study: Study, known: Interactions, made: Made | None, checks: list[dict[str, Any]]
) -> int:
    key, run_key = night.organisation_key, night.run["run_key"]
    counts = {"events": study.n_events, "lists": 0, "similar_items": 0}
    if study.changed is not None:
        counts["remade"] = len(study.changed)
    if made is not None:
        counts["lists"] = runs.store_lists(session, key, run_key, made.lists, made.entries)
        counts["similar_items"] = runs.store_similar(session, key, run_key, made.similar)
        snapshots.store_display_metadata(session, key, run_key)
    runs.finish(
        session,
        run_key,
        status=gate.verdict(checks),
        now=night.now,
        checks=checks,
        counts=counts,
        data_digest=known.digest(),
    )
    return counts["lists"]


def _enqueue(session: Session, night: Night, checks: list[dict[str, Any]]) -> int:
    """Plan the pushes of a night that publishes; return how many."""
    if gate.verdict(checks) != "published":
        return 0
    settings = night.settings
    made = outbox.enqueue(
        session,
        night.organisation_key,
        night.run["run_key"],
        settings.delivery,
        now=night.now,
        timezone=settings.timezone,
    )
    return made.get("planned", 0)


def prune(night: Night) -> list[str]:
    """Remove the runs that are older than what is kept; return their ids."""
    before = night.now - timedelta(days=night.settings.nightly.keep_days)
    with transaction(night.engine) as session:
        return runs.prune(session, night.organisation_key, before=before)
