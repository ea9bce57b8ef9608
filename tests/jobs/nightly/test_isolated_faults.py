"""Faults in the data of one member, item or model: each costs that alone, is counted, and the night goes on."""

import shutil
from collections.abc import Iterator
from dataclasses import fields
from datetime import datetime

import pandas as pd
from sqlalchemy import Engine, select, update

from features.interactions import Interactions
from infra.catalog import organisations
from infra.db.core_tables import items, members
from infra.db.delivery_tables import deliveries
from infra.db.engine import transaction
from infra.delivery import endpoints
from infra.runs import store as runs
from infra.serving.online_model import OnlineList, OnlineModel
from infra.settings.settings import Settings
from jobs.nightly import lists, training_data
from jobs.nightly.night import nightly
from jobs.nightly.similar_items import similar_entries
from jobs.progress import StepProgress
from tests.conftest import ON_SQLITE

TOO_MANY = 10**15
"""Factors that no memory holds."""


class OneListFails(OnlineModel):
    """Lists of everybody but d3."""

    def lists(self, interactions: Interactions, members: pd.Index) -> Iterator[OnlineList]:
        """Raise where d3 is among the members."""
        if "d3" in members:
            raise ZeroDivisionError
        yield from super().lists(interactions, members)


@ON_SQLITE
def test_hours_that_cannot_be_read_cost_the_members_push_and_a_model_that_cannot_be_fitted_its_proposals(
    couriers: Engine, settings: Settings, now: datetime
) -> None:
    with transaction(couriers) as session:
        key = organisations.key_of(session, "default")
        endpoints.add_endpoint(session, key, "webhook", "https://app.example/pushes", now=now)
        for member_id, column in (("d3", "study_hours"), ("c3", "quiet_hours")):
            session.execute(update(members).where(members.c.member_id == member_id).values({column: "whenever"}))
    models = settings.models.model_copy(update={"als_factors": TOO_MANY})
    run = nightly(couriers, settings.model_copy(update={"models": models}), now=now)
    assert run["status"] == "published"
    assert run["counts"]["lists"] == 24
    assert {name: count for name, count in run["counts"].items() if name.startswith("failed")} == {
        "failed_models": 1,
        "failed_pushes": 2,
    }
    with transaction(couriers) as session:
        planned = set(session.scalars(select(deliveries.c.member_id)))
        everybody = set(session.scalars(select(members.c.member_id)))
    assert everybody - planned == {"d3", "c3"}


@ON_SQLITE
def test_a_fault_in_one_list_leaves_all_others_as_they_are(couriers: Engine, settings: Settings, now: datetime) -> None:
    with transaction(couriers) as session:
        key = organisations.key_of(session, "default")
    data = training_data.read(couriers, key, as_of=now)
    interactions = training_data.interactions(data, settings)
    model = lists.model_of(settings, data, interactions, lists.fit(settings, data, interactions))
    faulty = OneListFails(**{field.name: getattr(model, field.name) for field in fields(model)})
    whole, without = (lists.make_lists(couriers, each, data, interactions) for each in (model, faulty))
    assert without.failed == {"d3": "ZeroDivisionError: "}
    assert without.failures == {"failed_lists": 1}
    assert whole.failures == {}
    pd.testing.assert_frame_equal(
        without.lists, whole.lists[whole.lists["member_id"] != "d3"].reset_index(drop=True), check_dtype=False
    )


@ON_SQLITE
def test_members_to_whom_nothing_can_be_offered_have_no_list_and_that_is_no_fault(
    couriers: Engine, settings: Settings, now: datetime
) -> None:
    with transaction(couriers) as session:
        key = organisations.key_of(session, "default")
        session.execute(update(items).values(audience="restricted", target_roles="12"))
    data = training_data.read(couriers, key, as_of=now)
    interactions = training_data.interactions(data, settings)
    model = lists.model_of(settings, data, interactions, lists.fit(settings, data, interactions))
    computed = lists.make_lists(couriers, model, data, interactions)
    assert (len(computed.lists), computed.failures) == (0, {})
    assert list(model.lists(interactions, interactions.members.index[:1])) == []


@ON_SQLITE
def test_a_text_that_cannot_be_read_costs_that_items_similar_texts_alone(
    couriers: Engine, settings: Settings, now: datetime
) -> None:
    with transaction(couriers) as session:
        key = organisations.key_of(session, "default")
    data = training_data.read(couriers, key, as_of=now)
    interactions = training_data.interactions(data, settings)
    pipeline = lists.fit(settings, data, interactions)
    texts = data.texts.assign(title="Knots and ropes").astype(object)
    texts.loc["drivers", "title"] = b"\xff"
    similar, failed = similar_entries(pipeline, interactions, texts)
    by_text = similar.set_index("item_id")["entries"].str.count('"text"')
    assert failed == 1
    assert by_text["drivers"] == 0
    assert (by_text.drop("drivers") > 0).all()


@ON_SQLITE
def test_models_that_cannot_be_saved_are_counted_and_the_lists_are_served(
    couriers: Engine, settings: Settings, now: datetime
) -> None:
    def take_the_place(progress: StepProgress) -> None:
        if (progress.step, progress.state) == ("enqueue", "finished"):
            (folder,) = settings.artefacts_folder.glob("*-*")
            shutil.rmtree(folder)
            folder.touch()

    run = nightly(couriers, settings, now=now, progress=take_the_place)
    assert (run["status"], run["counts"]["failed_artefacts"]) == ("published", 1)
    with transaction(couriers) as session:
        assert runs.get(session, run["run_key"])["counts"] == run["counts"]
