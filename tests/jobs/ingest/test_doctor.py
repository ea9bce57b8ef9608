"""Whether an organisation's data is sound enough to learn from."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine

from infra.errors import ImportRefusedError, UnknownOrganisationError
from infra.settings.settings import Settings
from jobs.ingest.doctor import examine
from tests.conftest import Take

LOG = "event_id,member_id,item_id,verb,occurred_at\n"

FUTURE = LOG + "x,d1,v1,viewed,2030-01-01\n"
STRANGERS = LOG + "".join(f"x{number},nobody,v1,viewed,2026-02-01T08:00:0{number}Z\n" for number in range(5))
ONE_MOMENT = LOG + "".join(f"x{number},d1,v1,viewed,2026-02-01\n" for number in range(70))
NONSENSE = "member_id,role\n" + "".join(f"x{number},nonsense\n" for number in range(10))


def test_sound_data_has_figures_and_no_findings(couriers: Engine, settings: Settings, now: datetime) -> None:
    report = examine(couriers, settings, now=now)
    assert (report["organisation"], report["sound"], report["findings"]) == ("default", True, [])
    assert report["figures"]["events"] == 61


@pytest.mark.parametrize(
    ("kind", "content", "expected"),
    [
        ("events", FUTURE, "share of events in the future is 1.6%, at most 1.0% is sound (doctor.max_future_share): "),
        ("events", STRANGERS, "share of events of unknown members or items is 7.6%, at most 5.0% is sound "),
        (
            "events",
            ONE_MOMENT,
            "share of events at the same moment is 53.4%, at most 50.0% is sound (doctor.max_one_timestamp_share): ",
        ),
        ("members", NONSENSE, "share of bad lines is 9.0%, at most 5.0% is sound (doctor.max_reject_share): "),
    ],
)
def test_what_is_not_sound_is_found_with_its_figure_its_threshold_and_what_to_do(
    couriers: Engine, settings: Settings, take: Take, now: datetime, kind: str, content: str, expected: str
) -> None:
    take(kind, content, max_reject_share=1.0)
    report = examine(couriers, settings, now=now)
    assert not report["sound"]
    [finding] = report["findings"]
    assert finding.startswith(expected)
    assert len(finding) > len(expected)


def test_the_settings_say_what_is_sound(couriers: Engine, settings: Settings, take: Take, now: datetime) -> None:
    take("events", FUTURE)
    lenient = settings.doctor.model_copy(update={"max_future_share": 0.5})
    strict = settings.doctor.model_copy(
        update={"max_future_share": 0.5, "min_events": 1_000, "max_thin_member_share": 0.1}
    )
    assert examine(couriers, settings.model_copy(update={"doctor": lenient}), now=now)["findings"] == []
    findings = examine(couriers, settings.model_copy(update={"doctor": strict}), now=now)["findings"]
    assert [finding.partition(" is ")[0].partition(",")[0] for finding in findings] == [
        "62 events",
        "share of members with fewer than two events",
    ]


def test_events_are_in_the_future_as_of_the_moment_asked_for(
    couriers: Engine, settings: Settings, now: datetime
) -> None:
    last = datetime(2026, 2, 27, 8, 7, tzinfo=UTC)
    moments = (now, last, last - timedelta(microseconds=1), last.replace(day=21, hour=0, minute=0))
    assert [examine(couriers, settings, now=moment)["figures"]["future_events"] for moment in moments] == [0, 0, 2, 53]


def test_an_organisation_of_which_only_a_refused_file_is_known_is_not_sound(
    engine: Engine, settings: Settings, take: Take, now: datetime
) -> None:
    with pytest.raises(ImportRefusedError):
        take("members", NONSENSE)
    report = examine(engine, settings, now=now)
    assert report["findings"][0] == "0 events, at least 1 are sound: ingest study logs"


def test_an_organisation_nobody_knows_is_an_error(couriers: Engine, settings: Settings, now: datetime) -> None:
    with pytest.raises(UnknownOrganisationError, match="known: default"):
        examine(couriers, settings.model_copy(update={"organisation": "bakers"}), now=now)
