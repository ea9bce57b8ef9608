"""Figures from which nobody's own study can be told."""

from datetime import date
from typing import Any

import pytest
from sqlalchemy import Engine, select, update

from infra.catalog import organisations
from infra.db.core_tables import lists, runs
from infra.db.engine import transaction
from infra.errors import UnknownRunError
from infra.reports import analytics
from tests.conftest import Take

HEAD = "member_id,item_id,verb,occurred_at,progress\n"


def test_activity_counts_weeks_and_months(engine: Engine, couriers: Engine, take: Take) -> None:
    del couriers
    take("members", "member_id\n" + "".join(f"m{n}\n" for n in range(6)))
    lines = [f"m{n},v{n % 2 + 1},viewed,2026-01-05T0{n}:00:00Z,0.97\n" for n in range(6)]
    lines += [f"m{n},v1,viewed,2026-01-1{n}T00:00:00Z,\n" for n in range(6)]
    take("events", HEAD + "".join(lines) + "m1,v1,shown,2026-01-05,\n")
    period = {"since": date(2026, 1, 1), "until": date(2026, 2, 1)}
    with transaction(engine) as session:
        key = organisations.key_of(session, "default")
        months = analytics.activity(session, key, by="month", min_group_size=5, **period)
        weeks = analytics.activity(session, key, by="week", min_group_size=5, **period)
        assert (
            analytics.activity(session, key, by="week", since=period["until"], until=period["since"], min_group_size=5)
            == []
        )
    assert months == [
        {"value": "2026-01-01", "members": 6, "events": 12, "items": 2, "finished": 6, "suppressed": False},
    ]
    assert [(row["value"], row["members"], row["suppressed"]) for row in weeks] == [
        ("2026-01-05", 6, False) if not weeks[0]["suppressed"] else ("2026-01-05", None, True),
        ("2026-01-12", None, True),
    ]


def test_rates_are_withheld_where_few_members_are_behind_them(
    engine: Engine, served: dict[str, Any], take: Take
) -> None:
    with transaction(engine) as session:
        key = organisations.key_of(session, "default")
        assert analytics.rates(session, key, by="strategy", since=None, until=None, zone="UTC", min_group_size=5) == []
        of_run = select(lists.c.member_id, lists.c.list_id, lists.c.strategy).where(
            lists.c.run_key == served["run_key"]
        )
        member_lists = [row for row in session.execute(of_run.order_by(lists.c.member_id)) if row.member_id]
    history = [row for row in member_lists if row.strategy == "history"][:6]
    others = [row for row in member_lists if row.strategy != "history"][:1]
    lines = [
        f"{row.member_id},v1,{verb},2026-03-02T09:00:00Z,{row.list_id}\n"
        for row in history + others
        for verb in ("shown", "viewed")
    ]
    take("events", "member_id,item_id,verb,occurred_at,push_list_id\n" + "".join(lines))
    with transaction(engine) as session:
        by_run = analytics.rates(session, key, by="run_id", since=None, until=None, zone="UTC", min_group_size=5)
        by_strategy = analytics.rates(session, key, by="strategy", since=None, until=None, zone="UTC", min_group_size=5)
    assert [(row["members"], row["opened_rate"], row["suppressed"]) for row in by_run] == [(7, 1.0, False)]
    assert len(by_strategy) == 2
    assert all(row["suppressed"] and row["shown"] is None for row in by_strategy), "seven less six would tell of one"


def test_runs_come_newest_first_without_the_members_that_checks_name(engine: Engine, served: dict[str, Any]) -> None:
    with transaction(engine) as session:
        key = organisations.key_of(session, "default")
        checks = [{"name": "a", "passed": False, "detail": "1 fail, such as c1"}]
        session.execute(update(runs).values(checks=checks))
        page = analytics.run_page(session, key, before=None, limit=5)
        assert [run["run_id"] for run in page] == [served["run_id"]]
        assert page[0]["checks"] == [{"name": "a", "passed": False, "detail": "1 fail"}]
        assert analytics.run_page(session, key, before=served["run_key"], limit=5) == []
        detail = analytics.run_detail(session, key, served["run_id"])
        assert (detail["run_id"], "name" in detail["steps"][0]) == (served["run_id"], True)
        with pytest.raises(UnknownRunError):
            analytics.run_detail(session, key, "\x00nope")


@pytest.mark.usefixtures("couriers")
def test_activity_of_any_window_is_that_of_whole_periods(engine: Engine, take: Take) -> None:
    take("members", "member_id\n" + "".join(f"m{n}\n" for n in range(7)))
    take("events", HEAD + "".join(f"m{n},v1,viewed,2026-01-0{n % 4 + 5}T08:00:00Z,\n" for n in range(6)))
    with transaction(engine) as session:
        key = organisations.key_of(session, "default")
        [whole] = analytics.activity(
            session, key, by="month", since=date(2026, 1, 1), until=date(2026, 2, 1), min_group_size=5
        )
        for since, until in ((date(2026, 1, 6), date(2026, 1, 7)), (date(2026, 1, 31), date(2026, 1, 5))):
            assert analytics.activity(session, key, by="month", since=since, until=until, min_group_size=5) == [whole]


@pytest.mark.usefixtures("couriers")
def test_unresolved_events_make_up_no_group(engine: Engine, take: Take) -> None:
    take("events", HEAD + "".join(f"invented{n},v1,viewed,2026-01-05T08:00:00Z,\n" for n in range(9)))
    take("events", HEAD + "c1,v1,viewed,2026-01-05T08:00:00Z,\n")
    with transaction(engine) as session:
        key = organisations.key_of(session, "default")
        rows = analytics.activity(
            session, key, by="week", since=date(2026, 1, 5), until=date(2026, 1, 6), min_group_size=5
        )
    assert [(row["suppressed"], row["members"]) for row in rows] == [(True, None)]


@pytest.mark.usefixtures("couriers")
def test_a_month_begins_at_midnight_in_the_zone(engine: Engine, take: Take) -> None:
    take("members", "member_id\n" + "".join(f"m{n}\n" for n in range(6)))
    take("events", HEAD + "".join(f"m{n},v1,viewed,2026-01-31T16:30:00Z,\n" for n in range(6)))
    window = {"since": date(2026, 1, 1), "until": date(2026, 3, 1)}
    with transaction(engine) as session:
        key = organisations.key_of(session, "default")
        in_utc, in_shanghai = (
            [
                row["value"]
                for row in analytics.activity(session, key, by="month", zone=zone, min_group_size=5, **window)
            ]
            for zone in ("UTC", "Asia/Shanghai")
        )
    assert "2026-01-01" in in_utc
    assert "2026-01-01" not in in_shanghai
