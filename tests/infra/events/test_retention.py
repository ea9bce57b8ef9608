"""Events older than an organisation keeps them: totals, or nothing."""

from datetime import datetime
from functools import partial

import pytest
from sqlalchemy import Engine, func, select

from infra.catalog import organisations
from infra.db.core_tables import events
from infra.db.engine import transaction
from infra.db.lrs_tables import statement_attachments, statement_terms
from infra.db.lrs_tables import statements as statement_table
from infra.events import retention
from infra.lrs import store as lrs
from infra.settings.settings import Settings
from tests.conftest import Take


@pytest.fixture
def old(take: Take, engine: Engine, settings: Settings, now: datetime) -> int:
    """Return the key of an organisation with old events, one of a small group, one voided, and young ones."""
    lines = [f"e{n},m{n},i1,completed,2025-01-1{n}T08:00:00Z,\n" for n in range(6)]
    lines += ["s1,m1,i2,viewed,2025-01-15T08:00:00Z,\n", "v1,m1,i1,completed,2025-01-16T08:00:00Z,\n"]
    lines += ["w1,,,voided,2025-02-01T08:00:00Z,v1\n", "y1,m1,i1,viewed,2026-03-01T08:00:00Z,\n"]
    lines += ["w2,,,voided,2025-02-01T08:00:00Z,y1\n"]
    take("events", "event_id,member_id,item_id,verb,occurred_at,voided_event_id\n" + "".join(lines))
    with transaction(engine) as session:
        key = organisations.key_of(session, settings.organisation)
        for moment, number in ((datetime(2025, 1, 1, tzinfo=now.tzinfo), 1), (now, 2)):
            statement = {
                "id": f"7e1c4a3c-2f10-4a3e-9d5b-0f4c1b7a9d1{number}",
                "actor": {"mbox": "mailto:a@b.example"},
                "verb": {"id": "http://example.org/none"},
                "object": {"id": "http://example.org/i"},
                "attachments": [
                    {"usageType": "u:1", "display": {}, "contentType": "text/plain", "length": 1, "sha2": "ab"}
                ],
            }
            vouching = {"mbox": "mailto:a@b.example"}
            contents = {"ab": b"a"}
            lrs.store(
                session,
                key,
                [statement],
                authority=vouching,
                home_page=None,
                clock=partial(lambda at: at, moment),
                contents=contents,
            )
    return key


def test_a_dry_run_tells_what_would_go_and_changes_nothing(engine: Engine, old: int, now: datetime) -> None:
    with transaction(engine) as session:
        report = retention.retain(session, old, days=90, now=now, min_group_size=5, apply=False)
        assert report == {
            "before": datetime(2025, 12, 2, tzinfo=now.tzinfo),
            "events": 9,
            "statements": 1,
            "totals": 1,
            "events_in_totals": 6,
        }
        assert session.scalar(select(func.count()).select_from(events)) == 11
        assert retention.totals(session, old) == []


def test_old_events_become_totals_of_enough_members_or_go(engine: Engine, old: int, take: Take, now: datetime) -> None:
    with transaction(engine) as session:
        retention.retain(session, old, days=90, now=now, min_group_size=5, apply=True)
        assert sorted(session.scalars(select(events.c.event_id))) == ["w2", "y1"], "a void stays with what it voids"
        assert session.scalar(select(func.count()).select_from(statement_table)) == 1
        assert session.scalar(select(func.count(statement_terms.c.stored_at.distinct()))) == 1
        assert session.scalar(select(func.count()).select_from(statement_attachments)) == 1
        expected = {"month": "2025-01", "item_id": "i1", "verb": "completed", "events": 6, "members": 6}
        assert retention.totals(session, old) == [expected]
        assert retention.retain(session, old, days=90, now=now, min_group_size=5, apply=True)["events"] == 0
        assert retention.totals(session, old) == [expected]
    late = [f"l{n},n{n},i1,completed,2025-01-2{n}T08:00:00Z\n" for n in range(7)]
    take("events", "event_id,member_id,item_id,verb,occurred_at\n" + "".join(late))
    with transaction(engine) as session:
        retention.retain(session, old, days=90, now=now, min_group_size=5, apply=True)
        assert retention.totals(session, old) == [expected | {"events": 13, "members": 7}]


def test_each_organisation_has_its_own_number_of_days(engine: Engine, old: int, take: Take, now: datetime) -> None:
    take("events", "event_id,member_id,item_id,verb,occurred_at\nb1,m1,i1,viewed,2025-01-01\n", organisation="bakers")
    with transaction(engine) as session:
        other = organisations.key_of(session, "bakers")
        retention.set_keep_days(session, old, 90)
        assert (retention.keep_days(session, old), retention.keep_days(session, other)) == (90, None)
        retention.retain(session, old, days=90, now=now, min_group_size=5, apply=True)
        assert session.scalar(select(func.count()).where(events.c.organisation_key == other)) == 1
        retention.set_keep_days(session, old, None)
        assert retention.keep_days(session, old) is None
