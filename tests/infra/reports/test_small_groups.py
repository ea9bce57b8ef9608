"""Suppression: no small group is shown, and none follows from what is shown."""

from itertools import chain, combinations

import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from content_catalog.taxonomy import shipped
from infra.reports.small_groups import folded, published, suppress

ROLES = shipped("isco08")


@given(st.lists(st.integers(1, 12), max_size=8), st.integers(1, 6))
def test_no_small_group_is_shown_nor_follows_from_a_total(sizes: list[int], min_group_size: int) -> None:
    rows = [{"value": str(number), "members": size, "events": size * 2} for number, size in enumerate(sizes)]
    shown = suppress(rows, min_group_size=min_group_size)
    assert [row["value"] for row in shown] == [row["value"] for row in rows]
    for row, size in zip(shown, sizes, strict=True):
        assert row["suppressed"] is (row["members"] is None) is (row["events"] is None)
        assert row["suppressed"] or (row["members"] == size >= min_group_size)
    hidden = [size for row, size in zip(shown, sizes, strict=True) if row["suppressed"]]
    assert not hidden or sum(hidden) >= min_group_size or len(hidden) == len(sizes)
    if not any(size < min_group_size for size in sizes):
        assert not hidden


ENTRIES = st.lists(st.tuples(*(st.sampled_from(names) for names in ("abcdef", "xyz", "12345", "ABC"))), max_size=30)


@given(ENTRIES, st.integers(1, 3))
@settings(max_examples=20)
def test_no_difference_of_a_group_and_groups_within_it_is_small(
    entries: list[tuple[str, ...]], min_group_size: int
) -> None:
    frame = pd.DataFrame(entries, columns=["member", "format", "item", "role"], dtype="object")
    slices = {name: frame[name] for name in ("format", "item", "role")}
    shown = {name: published(slices, name, frame["member"], min_group_size=min_group_size) for name in slices}
    groups = {name: {value: set(frame.index[frame[name] == value]) for value in shown[name]} for name in slices}
    for name, others in combinations(slices, 2):
        for wholes, parts in ((groups[name], groups[others]), (groups[others], groups[name])):
            for whole in wholes.values():
                within = [part for part in parts.values() if part <= whole]
                for some in chain.from_iterable(combinations(within, n) for n in range(len(within) + 1)):
                    rest = frame.loc[sorted(whole.difference(*some)), "member"].nunique()
                    assert rest == 0 or rest >= min_group_size


@given(st.lists(st.sampled_from(["8331", "8332", "833", "83", "411", "41", "other", ""]), max_size=30))
def test_codes_of_few_members_count_in_the_code_above(codes: list[str]) -> None:
    values = pd.Series(codes, dtype="object")
    result = folded(values, pd.Series(range(len(codes))), ROLES, min_group_size=3)
    sizes = result.value_counts()
    for before, after in zip(codes, result, strict=True):
        assert after == before or ROLES.within(before, after)
        assert sizes[after] >= 3 or after not in ROLES or len(ROLES.path(after)) == 1
        assert (codes.count(before) >= 3) <= (after == before)
