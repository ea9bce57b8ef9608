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


def with_devices(interactions: Interactions, formats: dict[str, str], devices: dict[str, str]) -> Interactions:
    """Return interactions with other formats of items and devices of members."""
    items = interactions.items.assign(format=pd.Series(formats, dtype="str").reindex(interactions.items.index))
    members = interactions.members.assign(devices=pd.Series(devices, dtype="str").reindex(interactions.members.index))
    return replace(interactions, items=items, members=members, item_cache={})


def test_a_device_is_registered_or_used_and_of_one_format() -> None:
    interactions = make_interactions(
        [("used", "walk"), ("off", "walk")],
        members={"registered": {"devices": "vr;ar"}, "none": {}, "off": {"personalised": "false"}},
        items=ITEMS,
    )
    rows = interactions.members.index.get_indexer(["registered", "used", "none", "off"])
    assert has_device(interactions, rows, "vr").tolist() == [True, True, False, False]
    assert has_device(interactions, rows, "ar").tolist() == [True, False, False, False]
    items = interactions.items.index.get_indexer(["guide", "walk", "film", "guide"])
    assert lack_device(interactions, rows, items).tolist() == [False, False, False, True]


def test_lists_hold_what_the_devices_of_their_members_show() -> None:
    studied = [(f"m{number}", item) for number in range(6) for item in ITEMS]
    interactions = make_interactions(studied, members={"new": {}, "owner": {"devices": "vr"}}, items=ITEMS)
    pipeline = fitted_pipeline(interactions)
    lists = pipeline.recommend(interactions, pd.Index(["new", "owner"]), k=3)
    assert set(items_of(lists, "new")) == {"film"}
    assert set(items_of(lists, "owner")) == {"film", "walk"}
    shared = pipeline.representatives(interactions)
    assert shared["new"] != shared["owner"]


@given(data=st.data())
@settings(max_examples=5)
def test_no_list_has_an_item_without_its_device(organisation: Organisation, data: st.DataObject) -> None:
    kinds, owned = st.sampled_from(["vr", "ar", "video", None]), st.sampled_from([None, "vr", "ar", "ar;vr"])
    plain = organisation.interactions
    interactions = with_devices(
        plain,
        {name: data.draw(kinds) for name in plain.items.index},
        {name: data.draw(owned) for name in plain.members.index},
    )
    pipeline = fitted_pipeline(interactions)
    lists = pipeline.recommend(interactions, interactions.members.index, k=10)
    for row in lists.itertuples():
        kind = interactions.items["format"][row.item_id]
        if kind in {"vr", "ar"}:
            member = interactions.members.index.get_loc(row.member_id)
            used = interactions.items["format"].iloc[interactions.seen[member].indices]
            assert kind in str(interactions.members["devices"][row.member_id]) or (used == kind).any()
    of_members = (
        interactions.members.index.get_indexer(lists["member_id"]),
        interactions.items.index.get_indexer(lists["item_id"]),
    )
    assert not lack_device(interactions, *map(np.asarray, of_members)).any()
