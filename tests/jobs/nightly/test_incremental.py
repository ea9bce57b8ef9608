"""Nights that keep the fitted models remake lists of members with changes only, and make what a full night would."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pandas as pd
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy import Engine, text

from content_catalog.audience import available
from infra.catalog import organisations
from infra.db.engine import make_engine, transaction
from infra.runs import artefacts, steps
from infra.runs.list_contents import entries_hashes as all_contents
from infra.runs.list_contents import lists_of
from infra.serving.online_model import ONLINE_MODEL, OnlineModel
from infra.settings.settings import Settings
from jobs.nightly import lists, training_data
from jobs.nightly.artefacts import STATE
from jobs.nightly.incremental import IncrementalState, hashed
from jobs.nightly.night import nightly
from tests.conftest import FAR, NEAR, ON_SQLITE, SMALL_MODELS, SMALL_RANKER, WEEKLY, SqliteStates, Take

DAY = timedelta(days=1)
MEMBERS = [f"{kind}{number}" for kind in "cd" for number in range(10)] + ["new-driver", "unknown", "private"]


def saved_by(engine: Engine, settings: Settings, run: dict[str, Any]) -> OnlineModel:
    """Return the model that a run saved."""
    with transaction(engine) as session:
        digest = steps.of_run(session, run)[ONLINE_MODEL]["artefact_digest"]
    model = artefacts.load(settings.artefacts_folder / run["run_id"], ONLINE_MODEL, digest)
    assert isinstance(model, OnlineModel)
    return model


def contents(engine: Engine, run: dict[str, Any]) -> dict[str, str]:
    """Return the content of every member's list."""
    with transaction(engine) as session:
        return dict(all_contents(session, run))


def items_of(engine: Engine, run: dict[str, Any], member_id: str) -> list[str]:
    """Return the items of a member's list as the run stored it."""
    with transaction(engine) as session:
        run_lists = lists_of(session, run)
    return [entry["item_id"] for entry in orjson.loads(run_lists.entries[run_lists.hashes[member_id]])]


def in_full(engine: Engine, settings: Settings, run: dict[str, Any]) -> dict[str, str]:
    """Return the hash of every member's entries as the run's models make the lists of everybody."""
    model = saved_by(engine, settings, run)
    with transaction(engine) as session:
        key = organisations.key_of(session, settings.organisation)
    data = training_data.read(engine, key, as_of=run["as_of"])
    everybody = lists.make_lists(engine, model, data, model.interactions_of(data.members, data.events))
    return dict(everybody.lists.set_index("member_id")["entries_hash"])


@pytest.fixture
def weekly(settings: Settings) -> Settings:
    """Return settings under which models serve for a week."""
    return settings.model_copy(update={"nightly": WEEKLY})


@pytest.fixture
def first(served_weekly: dict[str, Any]) -> dict[str, Any]:
    """Return the run of a first night, which fits."""
    return served_weekly


@ON_SQLITE
def test_without_changes_no_list_is_made_again(
    couriers: Engine, weekly: Settings, first: dict[str, Any], now: datetime
) -> None:
    assert "remade" not in first["counts"]
    second = nightly(couriers, weekly, now=now + timedelta(hours=1))
    assert (second["status"], second["counts"]["remade"], second["counts"]["events"]) == ("published", 0, 61)
    assert second["models_as_of"] == first["models_as_of"] == first["as_of"], "what reasons say about time is of then"
    assert contents(couriers, second) == contents(couriers, first)
    assert contents(couriers, second) == in_full(couriers, weekly, second)


@ON_SQLITE
def test_a_member_who_studied_gets_a_new_list_and_nobody_else(
    couriers: Engine, weekly: Settings, first: dict[str, Any], take: Take, now: datetime
) -> None:
    take("events", "member_id,item_id,verb,occurred_at\nd1,v5,completed,2026-03-02T01:40:00Z\n")
    second = nightly(couriers, weekly, now=now + timedelta(hours=1))
    assert (second["counts"]["remade"], second["counts"]["events"]) == (1, 62)
    before, after = contents(couriers, first), contents(couriers, second)
    assert {member for member in before if before[member] != after[member]} == {"d1"}
    assert after == in_full(couriers, weekly, second)


@ON_SQLITE
def test_an_item_that_a_member_began_since_leaves_its_list_though_the_models_stay(
    couriers: Engine, weekly: Settings, first: dict[str, Any], take: Take, now: datetime
) -> None:
    listed, fitted_at = items_of(couriers, first, "d1"), saved_by(couriers, weekly, first).as_of
    take("events", f"member_id,item_id,verb,occurred_at\nd1,{listed[0]},started,2026-03-02T01:40:00Z\n")

    second = nightly(couriers, weekly, now=now + timedelta(hours=1))

    assert saved_by(couriers, weekly, second).as_of == fitted_at, "the models are those of before"
    assert listed[0] not in items_of(couriers, second, "d1")
    assert contents(couriers, second) == in_full(couriers, weekly, second)


@ON_SQLITE
@pytest.mark.parametrize(
    ("change", "remade"),
    [
        ("UPDATE members SET role = '41' WHERE member_id = 'd2'", {"d2"}),
        ("UPDATE items SET hidden = true WHERE item_id = 'drivers'", {f"d{number}" for number in range(10)}),
        ("DELETE FROM events WHERE event_id = 'c3-1'", {"c3"}),
    ],
)
def test_profile_catalogue_and_events_taken_back_count_as_changes(
    couriers: Engine, weekly: Settings, first: dict[str, Any], now: datetime, change: str, remade: set[str]
) -> None:
    with couriers.begin() as connection:
        connection.execute(text(change))
    second = nightly(couriers, weekly, now=now + timedelta(hours=1))
    before, after = contents(couriers, first), contents(couriers, second)
    assert {member for member in before if before[member] != after[member]} <= remade | {"new-driver", "private", ""}
    assert len(remade) <= second["counts"]["remade"] < 24
    assert contents(couriers, second) == in_full(couriers, weekly, second)
    assert first["run_id"] != second["run_id"]


DRIVERS = {f"d{number}" for number in range(10) if number != 2} | {"new-driver", "private"}
EFFECTS: list[tuple[str, set[str] | None]] = [
    ("UPDATE members SET role = '41' WHERE member_id = 'd2'", {"d2"}),
    ("UPDATE items SET hidden = true WHERE item_id = 'drivers'", DRIVERS),
    ("DELETE FROM events WHERE event_id = 'c3-1'", {"c3"}),
    ("UPDATE events SET verb = 'voided', voided_event_id = 'c4-1' WHERE event_id = 'c4-2'", {"c4"}),
    ("UPDATE items SET title = 'Renamed' WHERE item_id = 'v1'", None),
    ("UPDATE items SET text = 'Words that similar items are found by' WHERE item_id = 'v1'", None),
    ("UPDATE members SET joined_on = joined_on WHERE member_id = 'd3'", set()),
    ("UPDATE members SET joined_on = NULL WHERE member_id = 'd3'", None),
    ("UPDATE members SET personalised = false WHERE member_id = 'd3'", None),
    ("INSERT INTO taxonomy_codes VALUES (1, 'role', 'R1', '', 'Riders', '骑手')", None),
    ("DELETE FROM items WHERE item_id = 'v1'", None),
    ("DELETE FROM members WHERE member_id = 'unknown'", None),
]
"""Changes one after the other, with the members whose lists they change; None: the models are fitted again."""


def test_every_change_of_stored_data_counts_on_every_database(
    couriers: Engine, weekly: Settings, first: dict[str, Any], now: datetime
) -> None:
    later, model = now + timedelta(hours=1), saved_by(couriers, weekly, first)
    before = training_data.read(couriers, 1, as_of=later, reused=True)
    for change, expected in EFFECTS:
        assert before.event_digests is not None
        offered, texts = available(before.items, before.as_of), hashed(before.texts)
        state = IncrementalState(
            before.members, before.items, texts, offered, before.taxonomies, before.event_digests, model
        )
        with couriers.begin() as connection:
            connection.execute(text(change))
        before = training_data.read(couriers, 1, as_of=later, reused=True, state=state)
        assert (None if before.changed is None else {*before.changed}) == expected, change


def test_lists_that_go_over_to_a_new_role_are_made_again_each_day_until_they_have(
    couriers: Engine, weekly: Settings, first: dict[str, Any], now: datetime
) -> None:
    data = training_data.read(couriers, 1, as_of=now)
    model = saved_by(couriers, weekly, first)
    model = replace(model, pipeline=replace(model.pipeline, transition_days=10))

    def remade(before: float, after: float) -> list[str]:
        then, today = (
            data.members.assign(moved_days=[days if name == "d2" else float("nan") for name in data.members.index])
            for days in (before, after)
        )
        digests = pd.Series("", index=data.members.index)
        offered = available(data.items, data.as_of)
        state = IncrementalState(then, data.items, hashed(data.texts), offered, data.taxonomies, digests, model)
        changed = state.changed_members(today, data.items, data.texts, data.taxonomies, digests, as_of=data.as_of)
        assert changed is not None
        return changed.tolist()

    assert remade(3.0, 4.0) == remade(9.0, 10.0) == ["d2"]
    assert remade(4.0, 4.0) == remade(10.0, 11.0) == []


@ON_SQLITE
def test_a_member_who_came_since_gets_a_list_without_a_new_fit(
    couriers: Engine, weekly: Settings, first: dict[str, Any], take: Take, now: datetime
) -> None:
    take("members", "member_id,role,industry,language,joined_on\nlate,83,54,en,2026-03-02\n")
    second = nightly(couriers, weekly, now=now + timedelta(hours=1))
    assert second["counts"]["remade"] == 1
    assert set(contents(couriers, second)) == {*contents(couriers, first), "late"}
    assert contents(couriers, second) == in_full(couriers, weekly, second)


@ON_SQLITE
@pytest.mark.parametrize(
    "change",
    [
        "UPDATE items SET title = 'Renamed' WHERE item_id = 'v1'",
        "UPDATE items SET text = 'Words that similar items are found by' WHERE item_id = 'v1'",
        "DELETE FROM items WHERE item_id = 'v1'",
        "DELETE FROM members WHERE member_id = 'unknown'",
        "UPDATE members SET joined_on = 0 WHERE member_id = 'd2'",
        "UPDATE members SET personalised = false WHERE member_id = 'd2'",
    ],
)
@pytest.mark.usefixtures("first")
def test_models_are_fitted_again_where_what_they_learned_changed(
    couriers: Engine, weekly: Settings, now: datetime, change: str
) -> None:
    with couriers.begin() as connection:
        connection.execute(text(change))
    assert "remade" not in nightly(couriers, weekly, now=now + timedelta(hours=1))["counts"]


@ON_SQLITE
@pytest.mark.usefixtures("first")
def test_models_are_fitted_again_under_other_settings_when_they_are_old_and_when_nothing_is_kept(
    couriers: Engine, weekly: Settings, now: datetime
) -> None:
    models = weekly.models.model_copy(update={"list_length": 3})
    assert "remade" not in nightly(couriers, weekly.model_copy(update={"models": models}), now=now)["counts"]
    assert "remade" not in nightly(couriers, weekly, now=now)["counts"]
    assert "remade" in nightly(couriers, weekly, now=now + 5 * DAY)["counts"]
    assert "remade" not in nightly(couriers, weekly, now=now + 8 * DAY)["counts"]
    assert "remade" not in nightly(couriers, weekly, now=now + 7 * DAY)["counts"], "not of a later moment"
    for file in weekly.artefacts_folder.glob("*-*/*"):
        file.unlink()
    assert "remade" not in nightly(couriers, weekly, now=now + 7 * DAY)["counts"]


@ON_SQLITE
def test_earlier_runs_keep_their_models_alone_and_only_where_asked(
    couriers: Engine, weekly: Settings, settings: Settings, first: dict[str, Any], now: datetime
) -> None:
    def artefacts_by_run() -> dict[str, set[str]]:
        folders = weekly.artefacts_folder.glob("*-*")
        return {folder.name: {path.stem for path in folder.iterdir()} for folder in folders}

    assert artefacts_by_run() == {first["run_id"]: {ONLINE_MODEL, STATE}}
    second = nightly(couriers, weekly, now=now)
    assert artefacts_by_run() == {first["run_id"]: {ONLINE_MODEL}, second["run_id"]: {ONLINE_MODEL, STATE}}
    nothing = {"online_lists": False, "keep_models_days": 0}
    nightly(couriers, settings.model_copy(update={"nightly": settings.nightly.model_copy(update=nothing)}), now=now)
    assert artefacts_by_run() == {}


Change = tuple[str, ...]
study_of = st.tuples(
    st.just("study"),
    st.sampled_from(MEMBERS),
    st.sampled_from([*NEAR, *FAR, "new", "drivers"]),
    st.sampled_from(["completed", "viewed", "liked", "disliked"]),
)
CHANGES = st.lists(
    st.one_of(
        study_of,
        st.tuples(st.just("take back"), st.sampled_from([f"{member}-1" for member in MEMBERS[:20]])),
        st.tuples(st.just("role"), st.sampled_from(MEMBERS), st.sampled_from(["83", "41", ""])),
        st.tuples(st.just("hide"), st.sampled_from([*NEAR, *FAR, "drivers", "hidden"]), st.booleans().map(str)),
    ),
    min_size=1,
    max_size=5,
)
STATEMENTS: dict[str, str] = {
    "study": "INSERT INTO events (organisation_key, event_id, member_id, item_id, verb, occurred_at) "
    "VALUES (1, :id, :a, :b, :c, :at)",
    "take back": "DELETE FROM events WHERE event_id = :a",
    "role": "UPDATE members SET role = CASE WHEN :b = '' THEN NULL ELSE :b END WHERE member_id = :a",
    "hide": "UPDATE items SET hidden = (:b = 'True') WHERE item_id = :a",
}


@pytest.fixture(scope="module")
def fresh(sqlite_states: SqliteStates) -> Iterator[Callable[[], tuple[Engine, Settings]]]:
    """Return what opens a new database of the organisation after its first night each time."""
    engines = []

    def opened() -> tuple[Engine, Settings]:
        url = sqlite_states.new(f"incremental{len(engines)}", "served_weekly")
        engines.append(make_engine(url))
        folder = Path(url.removeprefix("sqlite:///")).with_suffix(".artefacts")
        shutil.copytree(sqlite_states.artefacts("served_weekly"), folder)
        return engines[-1], Settings(
            database_url=url, artefacts_folder=folder, models=SMALL_MODELS, ranker=SMALL_RANKER, nightly=WEEKLY
        )

    yield opened
    for engine in engines:
        engine.dispose()


@given(nights=st.lists(CHANGES, min_size=1, max_size=2))
@hypothesis_settings(max_examples=4, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_whatever_changes_a_night_makes_what_a_full_one_would(
    fresh: Callable[[], tuple[Engine, Settings]], now: datetime, nights: list[list[Change]]
) -> None:
    engine, settings = fresh()
    for night, changes in enumerate(nights, 1):
        moment = now + timedelta(hours=night)
        with engine.begin() as connection:
            for number, (kind, *values) in enumerate(changes):
                change_values = dict(zip("abc", values, strict=False))
                at = (moment.timestamp() - 1_800 + number) * 1_000_000
                parameters = {"id": f"{night}-{number}", "at": int(at), **change_values}
                statement = STATEMENTS[kind]
                wanted = {name: value for name, value in parameters.items() if f":{name}" in statement}
                connection.execute(text(statement), wanted)
        run = nightly(engine, settings, now=moment)
        assert "remade" in run["counts"]
        assert contents(engine, run) == in_full(engine, settings, run)
