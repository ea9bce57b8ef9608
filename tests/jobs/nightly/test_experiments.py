"""Nights with an experiment: each variant's members get its lists, everywhere, and nobody else does."""

from datetime import datetime, timedelta
from typing import Any

import orjson
import pytest
from sqlalchemy import Engine, select

from infra.catalog import organisations
from infra.db.core_tables import lists as list_table
from infra.db.engine import transaction
from infra.explanations import explained_lists
from infra.runs import experiments
from infra.serving.list_json import ListRequest
from infra.serving.online_model import models_of
from infra.settings.settings import Settings
from jobs.nightly.night import nightly
from tests.conftest import ON_SQLITE, OPEN, WEEKLY, Take

MIXED = {"share": 0.5, "settings": {"policy": {"max_per_format": 1}}}
SAME = {"share": 0.5, "settings": {}}


def start(engine: Engine, now: datetime, **variants: dict[str, Any]) -> experiments.Experiment:
    """Start an experiment."""
    with transaction(engine) as session:
        key = organisations.key_of(session, "default")
        return experiments.start(session, key, "spring", variants, now=now)


def rows_of(engine: Engine, run: dict[str, Any]) -> dict[str, Any]:
    """Return the rows of a run's lists by member."""
    query = select(list_table).where(list_table.c.run_key == run["run_key"])
    with transaction(engine) as session:
        return {row.member_id: row for row in session.execute(query)}


def test_members_of_a_variant_get_its_lists_and_all_others_those_of_the_settings(
    engine: Engine, settings: Settings, now: datetime, served_online: dict[str, Any]
) -> None:
    settings = settings.model_copy(update={"nightly": OPEN})
    experiment = start(engine, now, mixed=MIXED)

    run = nightly(engine, settings, now=now + timedelta(seconds=1), as_of=now)

    before, after = rows_of(engine, served_online), rows_of(engine, run)
    assert run["settings_digest"] != served_online["settings_digest"]
    assert {after[name].variant for name in ("", "private")} == {None}
    assert {row.experiment for name, row in after.items() if name not in {"", "private"}} == {"spring"}
    split = {name: row.variant for name, row in after.items() if row.variant}
    assert split == {name: experiment.split.variant_of(name) for name in split}
    unchanged = {name for name in after if after[name].entries_hash == before[name].entries_hash}
    assert {name for name in after if split.get(name) != "mixed"} <= unchanged
    assert set(split) - unchanged, "the variant makes other lists"

    # The model that the service and explanations use makes the same list.
    with transaction(engine) as session:
        member_id = min(set(split) - unchanged)
        listed = explained_lists.listed(
            session,
            lambda within, of_run: models_of(within, settings.artefacts_folder, of_run),
            organisations.key_of(session, "default"),
            member_id,
            ListRequest(20, now, None),
        )
        again = listed.model.recommend(listed.interactions)
        stored = explained_lists.listed(
            session,
            lambda within, of_run: models_of(within, settings.artefacts_folder, of_run),
            organisations.key_of(session, "default"),
            member_id,
            ListRequest(20, now, None),
            now.date(),
        )
    assert listed.model.split is None, "it is the model of the variant"
    assert orjson.loads(again.entries) == orjson.loads(stored.stored.entries or "")


@ON_SQLITE
def test_an_a_a_test_changes_no_list_and_stopping_ends_the_split(
    engine: Engine, settings: Settings, now: datetime, served_online: dict[str, Any]
) -> None:
    settings = settings.model_copy(update={"nightly": OPEN})
    start(engine, now, same=SAME)

    run = nightly(engine, settings, now=now + timedelta(seconds=1), as_of=now)

    before, after = rows_of(engine, served_online), rows_of(engine, run)
    assert {name: row.entries_hash for name, row in after.items()} == {
        name: row.entries_hash for name, row in before.items()
    }
    assert {row.variant for row in after.values()} == {None, "same", "control"}
    with transaction(engine) as session:
        key = organisations.key_of(session, "default")
        experiments.stop(session, key, "spring", now=now)
    run = nightly(engine, settings, now=now + timedelta(seconds=2), as_of=now)
    assert {row.variant for row in rows_of(engine, run).values()} == {None}
    assert run["settings_digest"] == served_online["settings_digest"]


@ON_SQLITE
def test_nights_that_reuse_models_reuse_those_of_the_variants(
    engine: Engine, settings: Settings, now: datetime, take: Take, served_weekly: dict[str, Any]
) -> None:
    del served_weekly
    settings = settings.model_copy(update={"nightly": WEEKLY})
    experiment = start(engine, now, mixed=MIXED)
    first = nightly(engine, settings, now=now + timedelta(seconds=1), as_of=now)
    assert "remade" not in first["counts"], "an experiment that starts makes all lists"
    member_id = next(f"d{n}" for n in range(10) if experiment.split.variant_of(f"d{n}") == "mixed")
    take("events", f"member_id,item_id,verb,occurred_at\n{member_id},o1,completed,2026-03-01T10:00:00Z\n")

    second = nightly(engine, settings, now=now + timedelta(minutes=1), as_of=now + timedelta(seconds=30))

    assert second["counts"]["remade"] == 1
    rows = rows_of(engine, second)
    assert rows[member_id].entries_hash != rows_of(engine, first)[member_id].entries_hash
    assert rows[member_id].variant == "mixed"
    assert {row.variant for name, row in rows.items()} == {None, "mixed", "control"}
    full = settings.model_copy(update={"nightly": OPEN})
    whole = nightly(engine, full, now=now + timedelta(minutes=2), as_of=now + timedelta(seconds=30))
    assert len(rows_of(engine, whole)) == len(rows)


@pytest.mark.parametrize(
    ("name", "variants", "message"),
    [
        ("Spring!", {"b": SAME}, "no name"),
        ("spring", {"control": SAME}, "control"),
        ("spring", {"b": {"share": 1.0, "settings": {}}}, "what is left of 1"),
        ("spring", {"b": {"share": -0.1, "settings": {}}}, "above 0"),
    ],
)
def test_what_is_no_experiment_is_refused(
    engine: Engine, now: datetime, couriers: Engine, name: str, variants: dict[str, Any], message: str
) -> None:
    del couriers
    with transaction(engine) as session, pytest.raises(experiments.ExperimentError, match=message):
        experiments.start(session, organisations.key_of(session, "default"), name, variants, now=now)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"weights": {"half_life_days": 3}}, "cannot change weights"),
        ({"models": {"list_length": 3}}, "list_length"),
        ({"models": {"nonsense": 3}}, "models.nonsense"),
        ({"models": {"als_factors": 0}}, "models.als_factors = 0"),
        ({"models": 3}, "cannot change models"),
    ],
)
def test_what_a_variant_cannot_change_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(experiments.SettingsError, match=message):
        experiments.changed(Settings(), changes)
