"""The one check whether a member may be offered an item now, alone and as a run asks it of all at once."""

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_matrix

from content_catalog.audience import AudienceMask, available
from content_catalog.prerequisites import PrerequisiteMask
from content_catalog.taxonomy import shipped
from infra.serving.eligibility import Recipient, offer_rules

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
TICK = timedelta(microseconds=1)
TAXONOMIES = {"role": shipped("isco08"), "industry": shipped("gbt4754_2017")}
OPEN: dict[str, Any] = {
    "hidden": None,
    "published_at": None,
    "available_from": None,
    "available_until": None,
    "ends_at": None,
    "audience": None,
    "target_roles": None,
    "target_industries": None,
    "target_units": None,
    "prerequisites": None,
    "format": None,
}


def offered(item: dict[str, Any], others: dict[str, dict[str, Any]] | None = None, **recipient: Any) -> bool:
    """Return whether a recipient may be offered an item now."""
    rules = {item_id: offer_rules(OPEN | other) for item_id, other in (others or {}).items()}
    return Recipient(TAXONOMIES, **recipient).may_be_offered(offer_rules(OPEN | item), rules, NOW)


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        ({}, True),
        ({"hidden": True}, False),
        ({"hidden": False}, True),
        ({"published_at": NOW}, True),
        ({"published_at": NOW + TICK}, False),
        ({"available_from": NOW}, True),
        ({"available_from": NOW + TICK}, False),
        ({"published_at": NOW + TICK, "available_from": NOW - TICK}, False),
        ({"available_until": NOW}, False),
        ({"available_until": NOW + TICK}, True),
        ({"ends_at": NOW}, False),
        ({"available_until": NOW + TICK, "ends_at": NOW + TICK}, True),
        ({"available_until": NOW, "ends_at": NOW + TICK}, False),
    ],
)
def test_an_item_is_offered_within_its_time(item: dict[str, Any], expected: bool) -> None:
    assert offered(item) is expected


@pytest.mark.parametrize(
    ("targets", "recipient", "expected"),
    [
        ({}, {"role": "83", "industry": "54", "units": "North"}, False),
        ({"target_roles": "83"}, {}, False),
        ({"target_roles": "83"}, {"role": "83"}, True),
        ({"target_roles": "8"}, {"role": "83"}, True),
        ({"target_roles": "83"}, {"role": "8"}, False),
        ({"target_roles": "41;83"}, {"role": "83"}, True),
        ({"target_roles": "83"}, {"role": "no such code"}, False),
        ({"target_roles": "83", "target_industries": "54"}, {"role": "83"}, False),
        ({"target_roles": "83", "target_industries": "54"}, {"role": "83", "industry": "54"}, True),
        ({"target_units": "North"}, {"units": "North/Depot 3"}, True),
        ({"target_units": "North/Depot 3"}, {"units": "North"}, False),
        ({"target_units": "South"}, {"units": "North;South/Pier"}, True),
    ],
)
def test_an_item_of_a_restricted_audience_is_offered_within_it(
    targets: dict[str, Any], recipient: dict[str, Any], expected: bool
) -> None:
    assert offered(targets | {"audience": "restricted"}, **recipient) is expected
    assert offered(targets | {"audience": "open"}, **recipient)


@pytest.mark.parametrize(
    ("others", "finished", "expected"),
    [
        ({"a": {}, "b": {}}, set(), False),
        ({"a": {}, "b": {}}, {"a"}, False),
        ({"a": {}, "b": {}}, {"a", "b"}, True),
        ({"a": {}}, {"a"}, True),
        ({}, set(), True),
        ({"a": {"hidden": True}, "b": {"available_until": NOW}}, set(), True),
        ({"a": {"available_from": NOW + TICK}}, set(), False),
    ],
    ids=["none", "one", "both", "one is unknown", "both are unknown", "none can be finished", "not open yet"],
)
def test_an_item_is_offered_after_its_prerequisites_that_can_be_finished(
    others: dict[str, Any], finished: set[str], expected: bool
) -> None:
    assert offered({"prerequisites": "a;b"}, others, finished=finished) is expected


@pytest.mark.parametrize(
    ("name", "devices", "expected"),
    [("vr", {"vr"}, True), ("vr", {"ar"}, False), ("ar", set(), False), ("video", set(), True), (None, set(), True)],
)
def test_an_item_that_needs_a_device_is_offered_to_members_who_have_it(
    name: str | None, devices: set[str], expected: bool
) -> None:
    assert offered({"format": name}, devices=devices) is expected


MOMENTS = st.none() | st.sampled_from([NOW - TICK, NOW, NOW + TICK])
CODES = st.none() | st.sampled_from(["8", "83", "832", "4", "83;4"])
UNITS = st.none() | st.sampled_from(["North", "North/Depot", "South", "North/Depot;South"])
ITEMS = st.fixed_dictionaries(
    {
        "hidden": st.none() | st.booleans(),
        "published_at": MOMENTS,
        "available_from": MOMENTS,
        "available_until": MOMENTS,
        "ends_at": MOMENTS,
        "audience": st.sampled_from([None, "open", "restricted"]),
        "target_roles": CODES,
        "target_industries": st.none() | st.sampled_from(["54", "G"]),
        "target_units": UNITS,
        "prerequisites": st.none() | st.sampled_from(["a", "a;b", "gone", "b;gone"]),
        "format": st.sampled_from([None, "video"]),
    }
)


@given(
    items=st.lists(ITEMS, min_size=1, max_size=6),
    profile=st.fixed_dictionaries(
        {
            "role": st.none() | st.sampled_from(["8", "83", "8321", "4", "?"]),
            "industry": st.none() | st.sampled_from(["G", "54", "60"]),
            "units": UNITS,
        }
    ),
    finished=st.sets(st.sampled_from(["a", "b"])),
)
def test_a_run_answers_the_same_for_all_members_and_items(
    items: list[dict[str, Any]], profile: dict[str, Any], finished: set[str]
) -> None:
    rows = {"a": OPEN, "b": OPEN} | {f"i{number}": item for number, item in enumerate(items)}
    frame = pd.DataFrame.from_dict(rows, orient="index", dtype=object)
    for name in ("published_at", "available_from", "available_until", "ends_at"):
        frame[name] = pd.to_datetime(frame[name], utc=True)
    frame["hidden"] = frame["hidden"].astype("boolean")
    member = pd.DataFrame([profile], dtype=object)
    _, [within] = AudienceMask(frame, roles=TAXONOMIES["role"], industries=TAXONOMIES["industry"]).groups(member)
    done = csr_matrix([[item_id in finished for item_id in rows]], dtype=np.float32)
    of_run = (
        available(frame, pd.Timestamp(NOW))
        & np.asarray(within)
        & ~PrerequisiteMask(frame, pd.Timestamp(NOW)).blocked(done)[0]
    )

    rules = {item_id: offer_rules(row) for item_id, row in rows.items()}
    recipient = Recipient(TAXONOMIES, finished=finished, **profile)
    assert [recipient.may_be_offered(rules[item_id], rules, NOW) for item_id in rows] == of_run.tolist()
