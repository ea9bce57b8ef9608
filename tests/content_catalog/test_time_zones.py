from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from content_catalog.io.validation import TextRows, check_rows
from content_catalog.time_zones import resolve_zone, unknown_zone, zone_of
from features.schema import MEMBERS


@pytest.mark.parametrize(
    ("written", "zone"),
    [
        ("Asia/Shanghai", "Asia/Shanghai"),
        ("asia/shanghai", "Asia/Shanghai"),
        (" ASIA/SHANGHAI ", "Asia/Shanghai"),
        ("America/New York", "America/New_York"),
        ("Asia/Beijing", "Asia/Shanghai"),
        ("北京时间", "Asia/Shanghai"),
        ("中国标准时间", "Asia/Shanghai"),
        ("China Standard Time", "Asia/Shanghai"),
        ("PRC", "PRC"),
        ("EST", "EST"),
        ("GMT+8", "Etc/GMT-8"),
        ("UTC+8", "Etc/GMT-8"),
        ("utc + 08:00", "Etc/GMT-8"),
        ("UTC\uff0b8", "Etc/GMT-8"),  # full-width, as Chinese keyboards write it
        ("+08:00", "Etc/GMT-8"),
        ("+0800", "Etc/GMT-8"),
        ("-5", "Etc/GMT+5"),
        ("UTC−5", "Etc/GMT+5"),
        ("Etc/GMT+8", "Etc/GMT+8"),
        ("+05:30", "Asia/Kolkata"),
        ("Z", "UTC"),
        ("UTC+0", "UTC"),
    ],
)
def test_names_that_people_write_are_understood(written: str, zone: str) -> None:
    assert resolve_zone(written) == zone


@pytest.mark.parametrize(
    ("written", "nearest"),
    [
        ("Asia", "Asia/Shanghai"),
        ("US", "US/Eastern"),
        ("Etc", "Etc/UTC"),
        ("CST", "Asia/Shanghai or America/Chicago"),
        ("Asia/Shanghia", "Asia/Shanghai"),
        ("Shangai", "Asia/Shanghai"),
        ("Europe/Parris", "Europe/Paris"),
    ],
)
def test_a_name_of_no_zone_is_refused_with_the_nearest(written: str, nearest: str) -> None:
    assert resolve_zone(written) is None
    assert unknown_zone(written) == f"no time zone of the IANA database; nearest: {nearest}"


@pytest.mark.parametrize(
    "written",
    [
        "",
        "Mars/Olympus",
        "UTC+25",
        "+08:20",
        "Factory",
        "localtime",
        "../zones",
        "\0",
        "8",
        "GMT-13",
        "UTC8",
        "Etc/GMT+15",
    ],
)
def test_nothing_else_is_a_zone(written: str) -> None:
    assert resolve_zone(written) is None
    assert unknown_zone(written).endswith("use a name such as Asia/Shanghai")


@given(hours=st.integers(-12, 14))
def test_an_offset_has_the_sign_that_people_give_it(hours: int) -> None:
    zone = zone_of(f"UTC{hours:+d}")

    assert datetime(2026, 6, 1, tzinfo=zone).utcoffset() == timedelta(hours=hours)


@pytest.mark.parametrize("offset", ["+04:30", "+05:30", "+05:45", "+06:30", "+08:45", "+09:30", "-09:30"])
@pytest.mark.parametrize("month", [1, 7])
def test_an_offset_of_half_hours_is_the_same_all_year(offset: str, month: int) -> None:
    assert datetime(2026, month, 1, tzinfo=zone_of(offset)).isoformat()[-6:] == offset


@given(st.text())
def test_any_text_names_a_zone_with_data_or_none(text: str) -> None:
    zone = resolve_zone(text)

    assert zone is None or ZoneInfo(zone).utcoffset(datetime(2026, 1, 1, tzinfo=UTC)) is not None


def test_the_first_zone_that_is_one_counts() -> None:
    assert [zone_of(*names).key for names in ((None, "Asia", "PRC", "UTC"), (float("nan"),), ())] == [
        "PRC",
        "UTC",
        "UTC",
    ]


def test_a_column_of_zones_is_stored_by_iana_names_and_unknown_ones_are_rejects() -> None:
    rows = TextRows(
        {"member_id": ["a", "b", "c", "d"], "timezone": ["gmt+8", "Asia", None, "Europe/Paris"]},
        pd.Index([2, 3, 4, 5], name="line"),
    )

    good, rejects = check_rows(rows, MEMBERS)

    assert good["timezone"].fillna("").tolist() == ["Etc/GMT-8", "", "Europe/Paris"]
    assert rejects.to_numpy().tolist() == [
        [3, "timezone", "Asia", "no time zone of the IANA database; nearest: Asia/Shanghai"]
    ]
