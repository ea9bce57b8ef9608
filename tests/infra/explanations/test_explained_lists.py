"""Served, online and past lists with the breakdown of their scores, and what is not on them."""

from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Any

import orjson
import pytest
from sqlalchemy import Engine, text
from sqlalchemy.orm import Session

from infra.db.engine import transaction
from infra.errors import ModelsGoneError, NotFoundError
from infra.explanations import explained_lists
from infra.runs import artefacts
from infra.serving import push_lists
from infra.serving.list_json import ListRequest
from infra.serving.online_model import OnlineModel, models_of
from infra.settings.settings import Settings
from jobs.nightly.night import nightly
from tests.conftest import ON_SQLITE, OPEN, Take

Explain = Callable[..., dict[str, Any]]


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Return settings under which nothing holds lists back."""
    return settings.model_copy(update={"nightly": OPEN})


@pytest.fixture
def run(couriers: Engine, settings: Settings, now: datetime) -> dict[str, Any]:
    """Return the run of a night."""
    return nightly(couriers, settings, now=now)


@pytest.fixture
def explain(engine: Engine, settings: Settings, now: datetime) -> Explain:
    """Return what explains a member's list, or one item of it."""

    def models(session: Session, of_run: dict[str, Any]) -> OnlineModel:
        return models_of(session, settings.artefacts_folder, of_run)

    def explained(
        member_id: str,
        item_id: str | None = None,
        *,
        day: date | None = None,
        after: timedelta = timedelta(hours=1),
        exclude: frozenset[str] = frozenset(),
    ) -> dict[str, Any]:
        request = ListRequest(20, now + after, exclude=exclude)
        with transaction(engine) as session:
            listed = explained_lists.listed(session, models, 1, member_id, request, day)
            if item_id is not None:
                return explained_lists.explained_item(session, 1, listed, request, item_id)
            return explained_lists.explained(session, 1, listed, request)

    return explained


def adds_up(shown: dict[str, Any]) -> bool:
    """Return whether every entry has a breakdown that adds up, with the reason of its largest part."""
    breakdowns = [item["breakdown"] for item in shown["items"]]
    return bool(breakdowns) and all(
        abs(sum(each["contributions"].values()) - each["score"]) < 1e-5
        and each["contributions"][each["source"]]
        == max(value for name, value in each["contributions"].items() if name != "constant")
        for each in breakdowns
    )


def causes(shown: dict[str, Any]) -> dict[str, str]:
    """Return why each item is not on a list."""
    return {item["item_id"]: item["cause"] for item in shown["filtered"]}


@ON_SQLITE
@pytest.mark.usefixtures("run")
@pytest.mark.parametrize("member_id", ["d1", "new-driver", "unknown", "private"])
def test_a_batch_list_is_explained_by_the_models_of_its_run(
    engine: Engine, explain: Explain, now: datetime, member_id: str
) -> None:
    shown = explain(member_id)
    with transaction(engine) as session:
        stored = push_lists.shown(session, 1, member_id, ListRequest(n=20, now=now + timedelta(hours=1)))

    assert {name: shown[name] for name in stored if name != "items"} | {"items": stored["items"]} == stored
    assert [{**item, "breakdown": 0} for item in shown["items"]] == [
        {**item, "breakdown": 0} for item in stored["items"]
    ]
    assert shown["reproduced"]
    assert adds_up(shown)
    scores = [item["breakdown"]["score"] for item in shown["items"]]
    assert scores == pytest.approx(sorted(scores, reverse=True), rel=1e-12)
    orjson.dumps(shown)


@ON_SQLITE
@pytest.mark.usefixtures("run")
def test_what_filters_the_next_best_items_out_is_named(engine: Engine, explain: Explain, take: Take) -> None:
    with engine.begin() as connection:
        connection.execute(text("UPDATE items SET hidden = true WHERE item_id = 'v5'"))
        connection.execute(text("UPDATE items SET prerequisites = 'v6' WHERE item_id = 'new'"))
        connection.execute(
            text("UPDATE items SET audience = 'restricted', target_roles = '41' WHERE item_id = 'closing'")
        )
    take("events", "member_id,item_id,verb,occurred_at\nd1,o2,dismissed,2026-03-02T01:40:00Z\n")
    left_out = causes(explain("d1", exclude=frozenset({"o1"})))

    assert left_out.items() >= {"v5": "not_available", "o2": "dismissed", "o1": "excluded"}.items()
    assert "studied" in left_out.values()
    assert left_out["new"] == "prerequisites"
    assert left_out["closing"] == "audience"
    hidden, studied = (explain("d1", name) for name in ("v5", next(iter(set(left_out) - {"v5"}))))
    assert (hidden["cause"], hidden["rank"]) == ("not_available", None)
    assert all(each["breakdown"] for each in (hidden, studied)), "what `filtered` ranks has a score"


@pytest.mark.usefixtures("run")
def test_an_online_list_and_the_past_one_are_explained_by_the_events_of_each(explain: Explain, take: Take) -> None:
    before = explain("d1")
    take("events", "member_id,item_id,verb,occurred_at\nd1,o3,completed,2026-03-02T01:40:00Z\n")
    online, past = explain("d1"), explain("d1", day=date(2026, 3, 2))

    assert (before["generated_by"], online["generated_by"], past["generated_by"]) == ("batch", "online", "batch")
    assert online["reproduced"]
    assert adds_up(online)
    assert causes(online)["o3"] == "studied"
    assert past["items"] == before["items"]
    assert past["reproduced"]
    assert "o3" not in causes(past)
    entry = explain("d1", online["items"][0]["item_id"])
    assert (entry["rank"], entry["breakdown"]) == (1, online["items"][0]["breakdown"])


@ON_SQLITE
def test_lists_of_earlier_runs_are_explained_while_their_models_are_stored(
    engine: Engine, settings: Settings, run: dict[str, Any], explain: Explain, now: datetime
) -> None:
    past = explain("d1")
    nightly(engine, settings, now=now + timedelta(days=3))
    assert explain("d1", day=date(2026, 3, 2))["items"] == past["items"]

    artefacts.remove(settings.artefacts_folder / run["run_id"])
    with pytest.raises(ModelsGoneError, match="models of the run of 2026-03-02 are not stored"):
        explain("d1", day=date(2026, 3, 2))
    assert adds_up(explain("d1"))
    nightly(engine, settings, now=now + timedelta(days=30))
    model_folders = [path.name for path in settings.artefacts_folder.glob("*-*") if path.is_dir()]
    assert len(model_folders) == 1, "models older than `keep_models_days` are removed"


@pytest.mark.usefixtures("run")
def test_a_list_whose_events_were_voided_since_says_that_it_cannot_be_reproduced(explain: Explain, take: Take) -> None:
    take("events", "event_id,verb,occurred_at,voided_event_id\nw1,voided,2026-03-02T01:40:00Z,d1-0\n")
    past = explain("d1", day=date(2026, 3, 2))

    assert not past["reproduced"]
    with pytest.raises(NotFoundError):
        explain("d1", "no such item")


@ON_SQLITE
@pytest.mark.usefixtures("run")
def test_the_list_for_anyone_and_an_empty_list_are_explained_too(engine: Engine, explain: Explain, take: Take) -> None:
    take("members", "member_id,role,industry\nlate,83,54\n")
    late = explain("late")
    assert (late["strategy"], late["reproduced"]) == ("popular", True)
    assert adds_up(late)

    with engine.begin() as connection:
        connection.execute(text("UPDATE items SET hidden = true"))
    empty = explain("d1")
    assert empty["items"] == []
    assert set(causes(empty).values()) == {"studied", "not_available"}
