"""Items that need a device are for members who registered or used it."""

from dataclasses import replace

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from features.interactions import Interactions
from recommender.content.devices import has_device, lack_device
from tests.recommender.builders import Organisation, fitted_pipeline, items_of, make_interactions

ITEMS = {"walk": {"format": "vr"}, "guide": {"format": "ar"}, "film": {"format": "video"}}


def with_devices(known: Interactions, formats: dict[str, str], devices: dict[str, str]) -> Interactions:
    """Return interactions with other formats of items and devices of members."""
    items = known.items.assign(format=pd.Series(formats, dtype="str").reindex(known.items.index))
    members = known.members.assign(devices=pd.Series(devices, dtype="str").reindex(known.members.index))
    return replace(known, items=items, members=members, item_cache={})


def test_a_device_is_registered_or_used_and_of_one_format() -> None:
    known = make_interactions(
        [("used", "walk"), ("off", "walk")],
        members={"registered": {"devices": "vr;ar"}, "none": {}, "off": {"personalised": "false"}},
        items=ITEMS,
    )
    rows = known.members.index.get_indexer(["registered", "used", "none", "off"])
    assert has_device(known, rows, "vr").tolist() == [True, True, False, False]
    assert has_device(known, rows, "ar").tolist() == [True, False, False, False]
    items = known.items.index.get_indexer(["guide", "walk", "film", "guide"])
    assert lack_device(known, rows, items).tolist() == [False, False, False, True]


def test_lists_hold_what_the_devices_of_their_members_show() -> None:
    studied = [(f"m{number}", item) for number in range(6) for item in ITEMS]
    known = make_interactions(studied, members={"new": {}, "owner": {"devices": "vr"}}, items=ITEMS)
    pipeline = fitted_pipeline(known)
    lists = pipeline.recommend(known, pd.Index(["new", "owner"]), k=3)
    assert set(items_of(lists, "new")) == {"film"}
    assert set(items_of(lists, "owner")) == {"film", "walk"}
    shared = pipeline.representatives(known)
    assert shared["new"] != shared["owner"]


@given(data=st.data())
@settings(max_examples=8)
def test_no_list_has_an_item_without_its_device(organisation: Organisation, data: st.DataObject) -> None:
    kinds, owned = st.sampled_from(["vr", "ar", "video", None]), st.sampled_from([None, "vr", "ar", "ar;vr"])
    plain = organisation.interactions
    known = with_devices(
        plain,
        {name: data.draw(kinds) for name in plain.items.index},
        {name: data.draw(owned) for name in plain.members.index},
    )
    pipeline = fitted_pipeline(known)
    lists = pipeline.recommend(known, known.members.index, k=10)
    for row in lists.itertuples():
        kind = known.items["format"][row.item_id]
        if kind in {"vr", "ar"}:
            member = known.members.index.get_loc(row.member_id)
            used = known.items["format"].iloc[known.seen[member].indices]
            assert kind in str(known.members["devices"][row.member_id]) or (used == kind).any()
    of_members = known.members.index.get_indexer(lists["member_id"]), known.items.index.get_indexer(lists["item_id"])
    assert not lack_device(known, *map(np.asarray, of_members)).any()
