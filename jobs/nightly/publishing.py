"""End of a night: its lists written and served in one transaction, or held; old runs removed."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pandas as pd
from sqlalchemy.orm import Session

from features.interactions import Interactions
from infra.db.engine import transaction
from infra.delivery import outbox
from infra.delivery.admin import counted_runs
from infra.errors import NoPublishedRunError
from infra.events.store import count_study_events
from infra.policy import curated_entries, fatigue, member_choices
from infra.reports import data_quality, required_study
from infra.reports.required_study import RunRequirements
from infra.reports.runs.difference import ranking_difference
from infra.runs import artefacts, experiments, list_contents, snapshots
from infra.runs import store as runs
from infra.training import examples
from jobs.nightly import gate
from jobs.nightly.incremental import IncrementalState
from jobs.nightly.lists import NightlyLists
from jobs.nightly.steps import RunInProgress
from jobs.nightly.training_data import TrainingData, data_digest
from recommender.content.open_items import OpenItems
from recommender.explanations.earlier_roles import FITS_EARLIER
from recommender.policy.registry import REASONS as POLICY_REASONS

HISTORY = "history"


def served_run(run: RunInProgress) -> dict[str, Any] | None:
    """Return the run that is served, None where there is none yet."""
    with transaction(run.engine) as session:
        try:
            return runs.latest(session, run.organisation_key)
        except NoPublishedRunError:
            return None


def check(
    run: RunInProgress,
    data: TrainingData,
    interactions: Interactions,
    lists: NightlyLists,
    earlier: list[dict[str, Any]],
) -> gate.GateResult:
    """Return earlier checks and those of a night's lists, by themselves and against the lists that are served."""
    limits, before = run.settings.nightly, served_run(run)
    owners = lists.owners[~lists.owners.isin(list(lists.failed))]
    open_items = OpenItems(interactions, data.taxonomies)
    changes, n_listed = gate.check_change(
        _change(run, lists, before), open_items, data.items, data.n_events, before, limits, as_of=data.as_of
    )
    length = run.settings.models.list_length
    own = gate.check_lists(open_items, lists.computed, owners, limits, length=length)
    return gate.GateResult([*earlier, *own, *_quality(run, data, before), *changes], n_listed)


def _quality(run: RunInProgress, data: TrainingData, before: dict[str, Any] | None) -> list[dict[str, Any]]:
    """Return the check of the ranking beside the served one; only the figures of these two stay stored."""
    if before is None:
        return []
    own, served = run.id, before["run_id"]
    folder = examples.figures_folder(run.examples_folder)
    examples.discard_others(folder, {own, served})
    if data.changed is not None:  # the ranking is the served one
        figures = examples.read(folder, served)
        if figures is not None:
            examples.store(folder, own, figures)
    return gate.check_quality(ranking_difference(run.settings.artefacts_folder, before, run.run), run.settings.nightly)


def _change(run: RunInProgress, lists: NightlyLists, before: dict[str, Any] | None) -> gate.ListChange:
    """Return the lists of all members now, and those of the served run of members who had history then as well."""
    now = lists.lists.set_index("member_id")
    hashes = pd.DataFrame({"now": now["entries_hash"], "then": pd.Series(dtype="str")}, index=now.index)
    with transaction(run.engine) as session:
        if before is not None:
            rows = list_contents.list_rows(session, before).set_index("member_id")
            then = rows.loc[rows["strategy"] == HISTORY, "entries_hash"].reindex(now.index[now["strategy"] == HISTORY])
            hashes["then"] = then.reindex(hashes.index)
        computed = lists.entries.set_index("entries_hash")["entries"]
        stored_hashes = (set(hashes["now"]) | set(hashes["then"].dropna())) - set(computed.index)
        stored = list_contents.entries_by_hash(session, run.organisation_key, sorted(stored_hashes))
    return gate.ListChange(hashes, pd.concat([computed, stored]))


def publish(
    run: RunInProgress,
    data: TrainingData,
    interactions: Interactions,
    lists: NightlyLists | None,
    gated: gate.GateResult,
    reused: IncrementalState | None = None,
) -> dict[str, Any]:
    """Write a night's lists and serve them from now on, or hold them where a check fails; return the run.

    All is one transaction: the lists of before are served until it ends, and nothing is left of it where it fails.
    """
    before = "" if reused is None else reused.run["data_digest"]
    # Models that are reused weight interactions as of the moment at which they were fitted.
    outcome: dict[str, Any] = {
        "data_digest": data_digest(data, interactions, before),
        "models_as_of": interactions.as_of.to_pydatetime(),
    }
    with transaction(run.engine) as session:  # before the writes: it takes long enough to keep other writers waiting
        figures = data_quality.measure(session, run.organisation_key, now=run.now)
        n_stored = count_study_events(session, run.organisation_key, before=run.as_of)
    outcome["data_quality"] = data_quality.numbers(figures)
    # What was removed on purpose during the night is not missed in the next one.
    data = replace(data, n_events=min(data.n_events, n_stored))
    with transaction(run.engine) as session:
        run.step_within(session, "publish", lambda: _write(session, run, data, lists, gated, outcome))
        run.step_within(session, "enqueue", lambda: _enqueue(session, run, gated))
    return run.finish()


def _write(
    session: Session,
    run: RunInProgress,
    data: TrainingData,
    lists: NightlyLists | None,
    gated: gate.GateResult,
    outcome: dict[str, Any],
) -> int:
    key, run_key = run.organisation_key, run.run["run_key"]
    counts: dict[str, Any] = {
        "events": data.n_events,
        "lists": 0,
        "similar_items": 0,
        "listed_items": gated.listed_items,
    }
    if data.changed is not None:
        counts["remade"] = len(data.changed)
    checks = gated.checks
    if lists is not None:
        required = required_study.of_run(session, key, run.settings, now=run.as_of)
        if required is not None:
            counts["required_entries"] = required.n_entries
            checks = [*checks, required.check()]
        beside = _beside_lists(session, run, required)
        member_ids = lists.lists["member_id"]
        frame = lists.lists.assign(**{name: member_ids.map(values) for name, values in beside.items() if values})
        if run.experiment is not None:
            frame = experiments.assigned(frame, run.experiment, data.members["personalised"])
        counts["lists"] = runs.store_lists(session, key, run_key, frame, lists.entries)
        counts["similar_items"] = runs.store_similar(session, key, run_key, lists.similar)
        counts |= lists.failures
        reasons = lists.computed["reason"]
        if of_policies := reasons[reasons.isin({*POLICY_REASONS, FITS_EARLIER})].value_counts().sort_index().to_dict():
            counts["policies"] = of_policies
        snapshots.store_display_metadata(session, key, run_key)
    runs.finish(session, run_key, status=gated.status, now=run.now, checks=checks, counts=counts, **outcome)
    return int(counts["lists"])


def _beside_lists(session: Session, run: RunInProgress, required: RunRequirements | None) -> dict[str, Any]:
    """Return what a run stores beside the entries of each member's list, by column and member."""
    key, now, policy = run.organisation_key, run.as_of, run.settings.policy
    return {
        "required": required and required.required,
        "pace_seconds": required and required.paces,
        "curated": curated_entries.of_run(session, key, now=now),
        "saved": member_choices.of_run(session, key),
        "resting": fatigue.of_run(session, key, times=policy.fatigue_shown, days=policy.fatigue_days, now=now),
    }


def _enqueue(session: Session, run: RunInProgress, gated: gate.GateResult) -> int:
    """Plan the pushes of a published run; return their number."""
    if gated.status != "published":
        return 0
    planned = outbox.enqueue(session, run.organisation_key, run.run["run_key"], run.settings, now=run.now)
    if planned.get("failed"):
        runs.set_counts(session, run.run["run_key"], {"failed_pushes": planned["failed"]})
    return planned.get("planned", 0)


def prune(run: RunInProgress) -> None:
    """Remove the runs that are older than ``nightly.keep_days``, unless their pushes still count."""
    before = run.now - timedelta(days=run.settings.nightly.keep_days)
    with transaction(run.engine) as session:
        counted = counted_runs(session, run.organisation_key, run.settings.policy, now=run.now)
        removed = runs.prune(session, run.organisation_key, before=before, stay=counted)
    for run_id in removed:
        artefacts.remove(run.settings.artefacts_folder / run_id)
