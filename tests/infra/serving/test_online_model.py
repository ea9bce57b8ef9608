"""An online list is the one that a batch makes by the same models from the same events."""

import tempfile
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy import Engine, text

from features.interactions import build_interactions
from infra.catalog import organisations, records
from infra.db.engine import make_engine, transaction
from infra.errors import UnknownMemberError
from infra.events import store as events
from infra.runs import artefacts, steps
from infra.serving.online_model import ONLINE_MODEL, OnlineList, OnlineModel
from infra.settings.policy import PolicySettings
from infra.settings.sections import NightlySettings
from infra.settings.settings import Settings
from infra.training import examples
from jobs.nightly import learned_ranking, lists, training_data
from jobs.nightly.night import nightly
from recommender.strategies import strategies
from tests.conftest import FAR, NEAR, ON_SQLITE, SMALL_MODELS, SqliteStates, Take

MEMBERS = [f"{kind}{number}" for kind in "cd" for number in range(10)] + ["new-driver", "unknown", "private"]
KEEPING = NightlySettings(refit_days=7.0, max_churn=1.0, max_event_loss=1.0, min_coverage=0.0, min_group_length=0.0)
"""Models serve for a week, so that what a batch needs is kept as well."""
STUDY = text(
    "INSERT INTO events (organisation_key, event_id, member_id, item_id, verb, occurred_at, duration_seconds) "
    "VALUES (1, :id, :member, :item, :verb, :at, :seconds)"
)


def kept_by(engine: Engine, settings: Settings, run: dict[str, Any], name: str) -> Any:
    """Return what a run kept under a name."""
    with transaction(engine) as session:
        digest = steps.of_run(session, run)[name]["artefact_digest"]
    artefact = artefacts.load(settings.artefacts_folder / run["run_id"], name, digest)
    assert artefact is not None
    return artefact


def computed(engine: Engine, online_model: OnlineModel, members: list[str], now: datetime) -> dict[str, OnlineList]:
    """Return the online lists of members."""
    with transaction(engine) as session:
        return {
            member_id: online_model.recommend(online_model.interactions(session, 1, member_id, now=now))
            for member_id in members
        }


def in_batch(
    engine: Engine, settings: Settings, run: dict[str, Any], members: list[str], now: datetime
) -> dict[str, OnlineList]:
    """Return the lists that one call of the run's models, fitted again, makes for members by all events until now."""
    with transaction(engine) as session:
        key = organisations.key_of(session, settings.organisation)
    training = training_data.read(engine, key, as_of=run["as_of"])
    fitted_on = training_data.interactions(training, settings)
    folder = examples.folder_of(settings.artefacts_folder, key)
    pipeline = lists.fit(settings, training, fitted_on, learned_ranking.learn(settings, training, folder))
    data = training_data.read(engine, key, as_of=now)
    interactions = build_interactions(
        data.events, members=data.members, items=data.items, as_of=fitted_on.as_of, rules=fitted_on.rules
    )
    listed = pipeline.recommend(interactions, interactions.members.index, k=settings.models.list_length)
    listed = pipeline.explain(interactions, listed, learned=fitted_on)
    strategy = strategies(interactions)
    entries = {member_id: listed.loc[listed["member_id"] == member_id, ["item_id", "reason"]] for member_id in members}
    return {
        member_id: OnlineList(
            member_id, strategy[member_id], orjson.dumps(entries[member_id].to_dict("records")).decode()
        )
        for member_id in members
    }


@pytest.fixture
def keeping(settings: Settings) -> Settings:
    """Return settings under which a night keeps what a batch and what the service needs, and lists follow new roles."""
    return settings.model_copy(update={"nightly": KEEPING, "policy": PolicySettings(transition_days=10)})


@pytest.fixture
def run(couriers: Engine, keeping: Settings, now: datetime) -> dict[str, Any]:
    """Return the run of a night, three days after a driver became a clerk."""
    with transaction(couriers) as session:
        key = organisations.key_of(session, keeping.organisation)
        driver = records.read(session, key, "members", "d3")
        records.write(session, key, "members", driver | {"role": "41"}, now=now - timedelta(days=3))
    return nightly(couriers, keeping, now=now)


@pytest.fixture
def online_model(couriers: Engine, keeping: Settings, run: dict[str, Any]) -> OnlineModel:
    """Return what the night kept for the service."""
    artefact = kept_by(couriers, keeping, run, ONLINE_MODEL)
    assert isinstance(artefact, OnlineModel)
    return artefact


def test_after_new_events_the_list_is_the_one_of_a_batch(
    couriers: Engine, keeping: Settings, run: dict[str, Any], online_model: OnlineModel, take: Take, now: datetime
) -> None:
    take(
        "events",
        "member_id,item_id,verb,occurred_at,duration_seconds\n"
        "d1,o3,completed,2026-03-02T01:40:00Z,60\n"
        "d1,o4,viewed,2026-03-02T01:50:00Z,\n"
        "c2,v5,liked,2026-03-02T01:45:00Z,20\n"
        "new-driver,v1,completed,2026-03-02T01:45:00Z,60\n"
        "unknown,o1,dismissed,2026-03-02T01:45:00Z,\n",
    )
    moment = now + timedelta(hours=1)
    batch = in_batch(couriers, keeping, run, MEMBERS, moment)
    online_lists = computed(couriers, online_model, MEMBERS, moment)
    assert online_lists == batch
    assert online_lists["new-driver"].strategy == "history"
    assert "o3" not in {entry["item_id"] for entry in orjson.loads(online_lists["d1"].entries)}


def test_only_members_whose_events_are_others_have_new_events(
    couriers: Engine, online_model: OnlineModel, take: Take, now: datetime
) -> None:
    def with_new_events() -> set[str]:
        with transaction(couriers) as session:
            traces = events.event_digests(session, 1, before=now)["all"]
        return {
            member_id for member_id in MEMBERS if online_model.is_outdated(member_id, traces.get(member_id, ""), "")
        }

    assert with_new_events() == set()
    take("events", "member_id,item_id,verb,occurred_at\nd1,v5,completed,2026-03-02T01:40:00Z\n")
    take("events", "member_id,item_id,verb,occurred_at\nc1,o1,shown,2026-03-02T01:40:00Z\n")
    take("events", "event_id,verb,occurred_at,voided_event_id\nw1,voided,2026-03-02T01:40:00Z,c3-1\n")
    assert with_new_events() == {"d1", "c3"}


@ON_SQLITE
def test_a_member_who_came_after_the_night_gets_an_online_list_behind_all_others(
    couriers: Engine, online_model: OnlineModel, take: Take, now: datetime
) -> None:
    take("members", "member_id,role,industry,language\nlate,83,54,en\n")
    take("events", "member_id,item_id,verb,occurred_at\nlate,v1,completed,2026-03-02T01:40:00Z\n")
    online_list = computed(couriers, online_model, ["late"], now + timedelta(hours=1))["late"]
    listed = [entry["item_id"] for entry in orjson.loads(online_list.entries)]
    assert online_list.strategy == "history"
    assert "v1" not in listed
    assert set(listed) & set(NEAR)
    with pytest.raises(UnknownMemberError, match="no member 'nobody'"):
        computed(couriers, online_model, ["nobody"], now)


@ON_SQLITE
def test_what_is_kept_for_the_service_holds_no_events(online_model: OnlineModel) -> None:
    for model in online_model.pipeline.models.values():
        assert len(model._interactions.cells) == len(model._interactions.members) == 0
    assert len(online_model.reasons._interactions.cells) == 0


Studied = tuple[str, str, str, int]
NEWS = st.lists(
    st.tuples(
        st.sampled_from(MEMBERS),
        st.sampled_from([*NEAR, *FAR, "new", "drivers", "closing"]),
        st.sampled_from(["completed", "viewed", "liked", "disliked", "dismissed", "answered"]),
        st.integers(0, 3_000),
    ),
    min_size=1,
    max_size=20,
)


@pytest.fixture(scope="module")
def night(sqlite_states: SqliteStates) -> Iterator[Callable[[datetime], tuple[Engine, Settings, dict[str, Any]]]]:
    """Return what opens the organisation after its night, without the news of the time before."""
    url = sqlite_states.new("online_model", "couriers")
    engine = make_engine(url)
    folder = Path(tempfile.mkdtemp(dir=Path(url.removeprefix("sqlite:///")).parent))
    settings = Settings(database_url=url, artefacts_folder=folder, models=SMALL_MODELS, nightly=KEEPING)
    runs: list[dict[str, Any]] = []

    def opened(now: datetime) -> tuple[Engine, Settings, dict[str, Any]]:
        if not runs:
            runs.append(nightly(engine, settings, now=now))
        with engine.begin() as connection:
            connection.execute(text("DELETE FROM events WHERE event_id LIKE 'news-%'"))
        return engine, settings, runs[0]

    yield opened
    engine.dispose()


@given(news=NEWS)
@hypothesis_settings(max_examples=4, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_whatever_members_do_their_online_lists_are_those_of_a_batch(
    night: Callable[[datetime], tuple[Engine, Settings, dict[str, Any]]], now: datetime, news: list[Studied]
) -> None:
    engine, settings, run = night(now)
    moment = now + timedelta(hours=1)
    with engine.begin() as connection:
        for number, (member, item, verb, seconds) in enumerate(news):
            at = int((now.timestamp() + seconds) * 1_000_000)
            event = {"id": f"news-{number}", "member": member, "item": item, "verb": verb}
            connection.execute(STUDY, {**event, "at": at, "seconds": seconds % 100})
    members = sorted({member for member, *_ in news})
    online_model = kept_by(engine, settings, run, ONLINE_MODEL)
    assert computed(engine, online_model, members, moment) == in_batch(engine, settings, run, members, moment)


@ON_SQLITE
def test_members_who_are_erased_one_after_the_other_leave_no_vector(online_model: OnlineModel) -> None:
    first, second = "c0", "d5"
    rows = online_model.training_rows[first], online_model.training_rows[second]
    left = online_model.without_member(first).without_member(second)
    similarity = left.pipeline.models["user_knn"]._similarity  # type: ignore[attr-defined] - of this model alone
    places = [list(similarity.active).index(row) for row in rows]
    assert [similarity._unit[:, place].nnz for place in places] == [0, 0]
    assert not left.knows(first)
    assert not left.knows(second)
    assert {first, second}.isdisjoint(left.profiles.index)
