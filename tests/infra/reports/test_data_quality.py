"""Figures on the quality of data, counted by hand."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pandas import DataFrame
from sqlalchemy import Engine, update

from infra.catalog import organisations, taxonomies
from infra.db.core_tables import items
from infra.db.engine import transaction
from infra.errors import ImportRefusedError
from infra.ingest import import_log
from infra.reports import data_quality
from tests.conftest import Take

Measure = Callable[..., dict[str, Any]]


@pytest.fixture
def measure(engine: Engine, now: datetime) -> Measure:
    """Return what measures an organisation's data."""

    def of(organisation: str = "default") -> dict[str, Any]:
        with transaction(engine) as session:
            return data_quality.measure(session, organisations.key_of(session, organisation), now=now)

    return of


EVENTS = """event_id,member_id,item_id,verb,occurred_at,voided_event_id
e1,m1,i1,viewed,2026-02-01T08:00:00Z,
e2,m1,i1,viewed,2026-02-01T08:00:00Z,
e3,m2,i1,viewed,2026-02-01T08:00:00Z,
e3,m2,i1,viewed,2026-02-01T08:00:00Z,
e4,m2,i9,viewed,2026-02-02T08:00:00.000001Z,
e5,m9,i2,viewed,2027-01-01T00:00:00Z,
v1,,,voided,2026-02-03T00:00:00Z,e2
"""


def test_the_figures_are_those_counted_by_hand(engine: Engine, take: Take, measure: Measure) -> None:
    take("items", "item_id\ni1\ni2\ni3\n")
    take("members", "member_id,role,industry\nm1,83,\nm2,,54\nm3,,\nm4,41,54\n")
    take("events", EVENTS)
    with transaction(engine) as session:
        key = organisations.key_of(session, "default")
        session.execute(update(items).where(items.c.item_id == "i1").values(target_roles="83;9x"))
        for kind, code in (("role", "83"), ("industry", "60")):
            taxonomies.replace(
                session, key, kind, DataFrame({"parent": "", "name_en": "A", "name_zh": ""}, index=[code])
            )
    figures = measure()
    assert figures == {
        "members": 4,
        "items": 3,
        "events": 6,
        "first_event": datetime(2026, 2, 1, 8, tzinfo=UTC),
        "last_event": datetime(2027, 1, 1, tzinfo=UTC),
        "voids": 1,
        "future_events": 1,
        "future_share": 1 / 6,
        "unresolved_events": 2,
        "unresolved_share": 2 / 6,
        "one_timestamp_share": 3 / 5,
        "thin_members": 2,
        "thin_member_share": 0.5,
        "items_never_studied": 1,
        "missing_role_share": 0.5,
        "missing_industry_share": 0.5,
        "missing_timezone_share": 1.0,
        "members_with_unknown_codes": 2,
        "items_with_unknown_codes": 1,
        "requirements_with_unknown_codes": 0,
        "curations_with_unknown_codes": 0,
        "unknown_codes": ["41", "54", "9x"],
        "imported_lines": 14,
        "duplicates": 1,
        "rejects": 0,
        "reject_share": 0.0,
        "rejects_by_reason": {},
    }


def test_an_organisation_with_nothing_but_a_name_has_figures_too(take: Take, measure: Measure) -> None:
    with pytest.raises(ImportRefusedError):
        take("members", "member_id,role\nm1,nonsense\n")
    figures = measure()
    assert (figures["members"], figures["items"], figures["events"]) == (0, 0, 0)
    assert (figures["first_event"], figures["last_event"]) == (None, None)
    assert {name for name, value in figures.items() if name.endswith("_share") and value} == {"reject_share"}
    assert (figures["rejects"], figures["imported_lines"]) == (1, 1)


def test_one_event_at_one_moment_is_no_log_without_times(take: Take, measure: Measure) -> None:
    take("events", "member_id,item_id,verb,occurred_at\nm1,i1,viewed,2026-02-01\n")
    assert measure()["one_timestamp_share"] == 0.0


def test_rejects_are_summed_by_reason_over_the_newest_import_of_each_file(
    take: Take, measure: Measure, tmp_path: Path
) -> None:
    lines = ["m1,83", *(f"x{number},nonsense {number}" for number in range(3)), f"{'y' * 300},83"]
    take("members", "member_id,role\n" + "\n".join(lines) + "\n", max_reject_share=1.0)
    again = tmp_path / "again.csv"
    again.write_text("member_id,role\nm2,x\n", encoding="utf-8")
    with pytest.raises(ImportRefusedError):
        take("members", again)
    again.write_text("member_id,role\nm2,83\nm3,82 3\nm3,41\n", encoding="utf-8")
    body = tmp_path / import_log.BODY
    body.write_text("member_id,role\nm2,83\nm3,41 4\n", encoding="utf-8")
    for path in (again, again, body, body):
        take("members", path, max_reject_share=1.0)
    figures = measure()
    assert figures["rejects_by_reason"] == {
        "role: unknown code": 6,
        "member_id: longer than 255 characters": 1,
    }
    assert list(figures["rejects_by_reason"].values()) == [6, 1]
    assert (figures["rejects"], figures["imported_lines"], figures["members"]) == (7, 12, 3)
