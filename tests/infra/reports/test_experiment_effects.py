"""Effects of an experiment: outcomes per member from what lists led to, and what small groups may show."""

from datetime import datetime
from typing import Any

import pytest
from sqlalchemy import Engine, insert, select

from infra.catalog import organisations
from infra.db.core_tables import events, lists, members
from infra.db.engine import transaction
from infra.reports.experiment_effects import effects
from infra.runs import experiments
from infra.runs import store as runs


@pytest.fixture
def experiment(engine: Engine, served: dict[str, Any], now: datetime) -> experiments.Experiment:
    """Return an experiment of 80 members, of whom all of variant b open and a quarter of control."""
    with transaction(engine) as session:
        key = organisations.key_of(session, "default")
        started = experiments.start(session, key, "spring", {"b": {"share": 0.5, "settings": {}}}, now=now)
        content = session.scalar(select(lists.c.entries_hash).limit(1))
        names = {
            variant: [name for name in map(str, range(1_000)) if started.split.variant_of(name) == variant][:40]
            for variant in ("b", "control")
        }
        for variant, member_ids in names.items():
            for number, member_id in enumerate(member_ids):
                row = {"organisation_key": key, "member_id": member_id}
                session.execute(insert(members).values(row))
                session.execute(
                    insert(lists).values(
                        **row,
                        run_key=served["run_key"],
                        list_id=f"list {member_id}",
                        strategy="history",
                        entries_hash=content,
                        experiment="spring",
                        variant=variant,
                    )
                )
                verbs = ["shown"] + ["viewed"] * (variant == "b" or number < 10) + ["completed"] * (number < 4)
                for verb in verbs:
                    event = {"event_id": f"{member_id} {verb}", "item_id": "v1", "verb": verb, "occurred_at": now}
                    session.execute(insert(events).values(**row, **event, push_list_id=f"list {member_id}"))
    return started


def report_of(engine: Engine, experiment: experiments.Experiment, *, smallest: int = 10) -> dict[str, Any]:
    """Return the report."""
    with transaction(engine) as session:
        key = organisations.key_of(session, "default")
        return effects(session, key, experiment, min_group_size=smallest)


def test_outcomes_are_of_members_and_effects_are_decided_when_they_are_clear(
    engine: Engine, experiment: experiments.Experiment
) -> None:
    report = report_of(engine, experiment)

    assert (report["basis"], report["split_holds"]) == ("shown", True)
    assert [(row["variant"], row["members"], row["opened"], row["completed"]) for row in report["variants"]] == [
        ("control", 40, 0.25, 0.1),
        ("b", 40, 1.0, 0.1),
    ]
    opened, completed, passed = report["effects"]
    assert (opened["outcome"], opened["difference"], opened["decided"]) == ("opened", 0.75, True)
    assert (completed["difference"], completed["decided"]) == (0.0, False)
    assert (passed["outcome"], passed["difference"]) == ("passed", 0.0)
    assert opened["low"] < 0.75 < opened["high"]


def test_groups_that_are_too_small_have_no_figures(engine: Engine, experiment: experiments.Experiment) -> None:
    report = report_of(engine, experiment, smallest=50)

    assert {row["opened"] for row in report["variants"]} == {None}
    assert report["effects"] == []


def test_an_experiment_of_no_list_yet_has_no_effect(engine: Engine, served: dict[str, Any], now: datetime) -> None:
    del served
    with transaction(engine) as session:
        key = organisations.key_of(session, "default")
        started = experiments.start(session, key, "spring", {"b": {"share": 0.5, "settings": {}}}, now=now)

    report = report_of(engine, started)

    assert (report["basis"], report["split_holds"], report["effects"]) == ("lists", True, [])
    assert {row["suppressed"] for row in report["variants"]} == {True}


def test_all_lists_count_where_no_app_reports_what_it_shows(engine: Engine, experiment: experiments.Experiment) -> None:
    with transaction(engine) as session:
        session.execute(events.delete().where(events.c.verb == "shown"))

    report = report_of(engine, experiment)

    assert (report["basis"], [row["opened"] for row in report["variants"]]) == ("lists", [0.25, 1.0])


def test_lists_that_were_never_published_do_not_count(engine: Engine, experiment: experiments.Experiment) -> None:
    with transaction(engine) as session:
        run = runs.latest(session, organisations.key_of(session, "default"))
        session.execute(runs.update(runs.runs).where(runs.runs.c.run_key == run["run_key"]).values(published_at=None))

    assert report_of(engine, experiment)["effects"] == []
