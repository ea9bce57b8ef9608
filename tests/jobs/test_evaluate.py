"""One cut in time: lists from before it, judged by what was studied after it."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Engine

from infra.errors import SettingsError, UnknownOrganisationError
from infra.settings import Settings
from jobs.evaluate import evaluate

Take = Callable[..., Any]
METRICS = ["recall", "ndcg", "hit_rate", "coverage"]
ON_SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
"""For what does not depend on the database."""

ITEMS = (
    "item_id,published_at\n"
    + "".join(f"i{number},2026-01-0{number + 1}\n" for number in range(5))
    + "late,2026-02-20\n"
)
MEMBERS = "member_id,role\n" + "".join(f"m{number},83\n" for number in range(6)) + "cold,83\n"
BEFORE = "".join(
    f"m{number},i{item},completed,2026-01-{number + 10}T08:0{item}:00Z\n"
    for number in range(6)
    for item in (0, 1)
    if number
)
LOG = (
    "member_id,item_id,verb,occurred_at\n"
    + BEFORE
    + "m0,i0,completed,2026-01-10T08:00:00Z\n"
    + "m0,i1,completed,2026-02-01T00:00:00Z\n"  # at the cut: it is what was studied next
    + "cold,i0,viewed,2026-02-02T09:00:00Z\n"
    + "m1,i0,viewed,2026-02-03T09:00:00Z\n"  # studied before: nothing new
    + "m2,i4,disliked,2026-02-03T09:00:00Z\n"  # disliked: not worth recommending
    + "m3,i3,viewed,2026-02-09T00:00:00Z\n"  # after the horizon
)


@pytest.fixture
def studied(engine: Engine, take: Take) -> Engine:
    """Return a database with a log around the cut of 2026-02-01."""
    take("items", ITEMS)
    take("members", MEMBERS)
    take("events", LOG)
    return engine


def test_there_is_a_row_for_each_model_and_for_warm_and_cold_members(studied: Engine, settings: Settings) -> None:
    rows = evaluate(studied, settings, cut="2026-02-01", horizon_days=8, k=3)
    assert [(row["model"], row["slice"]) for row in rows] == [
        (model, part)
        for model in ("popularity", "segment", "neighbours", "als", "newest", "default")
        for part in ("warm", "cold")
    ]
    assert all(list(row) == ["model", "slice", "lists", *METRICS] for row in rows)
    assert all(0 <= row[name] <= 1 for row in rows for name in METRICS)
    assert {(row["slice"], row["lists"]) for row in rows} == {("warm", 1.0), ("cold", 1.0)}


def test_what_was_studied_next_by_likeness_and_by_popularity_is_found(studied: Engine, settings: Settings) -> None:
    rows = {
        (row["model"], row["slice"]): row for row in evaluate(studied, settings, cut="2026-02-01", horizon_days=8, k=1)
    }
    for name in ("popularity", "neighbours", "default"):
        assert [rows[name, "warm"][metric] for metric in METRICS[:3]] == [1.0, 1.0, 1.0], name
    assert rows["neighbours", "cold"]["recall"] == 0.0, "it knows nothing of who has studied nothing"
    assert rows["newest", "warm"]["recall"] == 0.0
    assert rows["newest", "warm"]["coverage"] == 1 / 5


def test_a_longer_horizon_knows_more_of_what_was_studied_next(studied: Engine, settings: Settings) -> None:
    rows = evaluate(studied, settings, cut="2026-02-01", horizon_days=9, k=3)
    assert {(row["slice"], row["lists"]) for row in rows} == {("warm", 2.0), ("cold", 1.0)}


def test_items_that_nobody_could_know_of_at_the_cut_are_not_offered(
    studied: Engine, settings: Settings, take: Take
) -> None:
    take("items", "item_id\nundated\n")
    rows = {
        (row["model"], row["slice"]): row for row in evaluate(studied, settings, cut="2026-02-01", horizon_days=8, k=9)
    }
    # Of seven items one is published after the cut, and nothing tells of the undated one before it.
    assert rows["newest", "cold"]["coverage"] == 1.0
    assert rows["newest", "warm"]["coverage"] == 4 / 5, "all but what the member has studied"


@ON_SQLITE
def test_the_same_data_gives_the_same_figures(studied: Engine, settings: Settings) -> None:
    first, second = (evaluate(studied, settings, cut="2026-02-01", horizon_days=8, k=3) for _ in range(2))
    assert first == second


@pytest.mark.parametrize("cut", ["yesterday", "2026-13-01", "01.02.2026", "2026-02-01T00:00:00", ""])
@ON_SQLITE
def test_a_cut_that_is_no_day_is_refused(studied: Engine, settings: Settings, cut: str) -> None:
    with pytest.raises(SettingsError, match=f"cut '{cut}' is no date; write it as 2021-03-01"):
        evaluate(studied, settings, cut=cut, horizon_days=7, k=3)


@pytest.mark.parametrize(("cut", "horizon_days"), [("9999-12-31", 7), ("2026-02-01", 99_999_999), ("0001-01-01", 1)])
@ON_SQLITE
def test_a_cut_or_horizon_beyond_all_calendars_is_refused_in_one_line(
    studied: Engine, settings: Settings, cut: str, horizon_days: int
) -> None:
    with pytest.raises(SettingsError) as caught:
        evaluate(studied, settings, cut=cut, horizon_days=horizon_days, k=3)
    assert "\n" not in str(caught.value)


def test_a_cut_after_which_nobody_studied_anything_new_is_refused(studied: Engine, settings: Settings) -> None:
    with pytest.raises(SettingsError, match="nobody studied anything new between 2026-03-01 and 2026-03-08"):
        evaluate(studied, settings, cut="2026-03-01", horizon_days=7, k=3)


def test_an_organisation_nobody_knows_is_an_error(studied: Engine, settings: Settings) -> None:
    other = settings.model_copy(update={"organisation": "bakers"})
    with pytest.raises(UnknownOrganisationError, match="known: default"):
        evaluate(studied, other, cut="2026-02-01", horizon_days=7, k=3)
