"""Figures of groups over HTTP: one member more or less of a small group changes nothing that is shown of it."""

from typing import Any, get_args

import pytest
from sqlalchemy import Engine, select
from starlette.testclient import TestClient

from infra.db.core_tables import lists
from infra.db.engine import transaction
from infra.reports.push_rates import Slice
from tests.conftest import ON_SQLITE, Take

SMALLEST = 10
MEMBER_HEAD = "member_id,units,role,industry,region,language\n"
WINDOWS = ("", "since=2026-03-01&until=2026-03-08", "since=2026-02-20", "until=2026-03-03", "since=2026-03-05")
FIGURES = [
    *(f"rates?by={name}&{window}" for name, window in zip(get_args(Slice), ("", *WINDOWS[1:] * 2), strict=True)),
    *(f"activity?by={name}&{window}" for name in ("week", "month") for window in WINDOWS[2:4]),
    "coverage?",
]


def published(client: TestClient) -> dict[tuple[str, str | None], dict[str, Any]]:
    """Return every row of figures that is not suppressed, by route and value."""
    rows: dict[tuple[str, str | None], dict[str, Any]] = {}
    for route in FIGURES:
        body = client.get(f"/v1/analytics/{route}").json()
        rows |= {
            (route, row["value"]): row for row in body.get("rows", body.get("by_strategy")) if not row["suppressed"]
        }
    return rows


@ON_SQLITE
@pytest.mark.usefixtures("served")
def test_a_member_of_a_small_group_cannot_be_seen_in_any_figures(
    client: TestClient, engine: Engine, take: Take
) -> None:
    with transaction(engine) as session:
        list_of = dict(session.execute(select(lists.c.member_id, lists.c.list_id)).all())

    def add(member_id: str, item_id: str) -> str:
        list_id = list_of.get(member_id, list_of[""])
        return "".join(
            f"{member_id},{item_id},{verb},2026-03-0{day}T08:00:00Z,{list_id}\n"
            for verb, day in (("shown", 2), ("viewed", 2), ("completed", 4))
        )

    head = "member_id,item_id,verb,occurred_at,push_list_id\n"
    large = "".join(add(f"{kind}{number}", item) for kind, item in (("d", "v5"), ("c", "o4")) for number in range(10))
    take("events", head + large)

    def add_members(numbers: range) -> dict[tuple[str, str | None], dict[str, Any]]:
        names = [f"s{number}" for number in numbers]
        take("members", MEMBER_HEAD + "".join(f"{name},Small,81,A,west,fr\n" for name in names))
        take("events", head + "".join(add(name, "v1") for name in names))
        return published(client)

    before = add_members(range(SMALLEST - 2))
    after = add_members(range(SMALLEST - 2, SMALLEST - 1))
    assert all(row["members"] >= SMALLEST for row in after.values())
    changed = {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)}
    assert changed
    assert all(before[key]["members"] >= 2 * SMALLEST for key in changed)
    shown: dict[str, int] = {}
    for (route, _), row in after.items():
        shown[route.partition("&")[0]] = shown.get(route.partition("&")[0], 0) + row.get("shown", 0)
    assert shown["rates?by=run_id"] == 29
    for name in get_args(Slice):
        rest = 29 - shown.get(f"rates?by={name}", 0)
        assert rest == 0 or rest >= SMALLEST, name


@pytest.mark.usefixtures("couriers")
def test_a_month_is_not_shown_where_its_weeks_would_reveal_a_few_days(client: TestClient, take: Take) -> None:
    # June 2026 begins on a Monday; its last two days, the 29th and 30th, are in a week of July's.
    def month() -> bool:
        rows = client.get("/v1/analytics/activity?by=month&since=2026-06-01&until=2026-07-01").json()["rows"]
        return bool(rows[0]["suppressed"])

    head = "member_id,item_id,verb,occurred_at\n"
    take("events", head + "".join(f"d{n},v1,viewed,2026-06-0{day}T08:00:00Z\n" for n in range(10) for day in (2, 9)))
    assert not month()
    take("events", head + "d1,v1,viewed,2026-06-29T08:00:00Z\n")
    assert month(), "June less its four weeks would be of one member"
    take("events", head + "".join(f"d{n},v1,viewed,2026-06-30T08:00:00Z\n" for n in range(10)))
    assert not month()
