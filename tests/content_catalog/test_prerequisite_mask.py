"""Items are blocked for a member until their prerequisites are finished."""

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_matrix

from content_catalog.prerequisites import PrerequisiteMask


@given(st.data())
def test_an_item_is_not_blocked_exactly_where_all_its_prerequisites_that_can_be_are_finished(
    data: st.DataObject,
) -> None:
    n_items = data.draw(st.integers(1, 8))
    names = [f"i{number}" for number in range(n_items)]
    prerequisites = [
        data.draw(st.lists(st.sampled_from([*names[:number], "gone"]), unique=True, max_size=3))
        for number in range(n_items)
    ]
    hidden, until = (
        np.array(data.draw(st.lists(st.sampled_from(kinds), min_size=n_items, max_size=n_items)))
        for kinds in ([False, False, True], ["", "2026-02-28", "2026-03-02"])
    )
    items = pd.DataFrame(
        {
            "prerequisites": [";".join(ids) or None for ids in prerequisites],
            "hidden": hidden,
            "available_until": pd.to_datetime(pd.Series(until), errors="coerce").to_numpy(),
            "ends_at": pd.NaT,
        },
        index=names,
    )
    withdrawn = {name for name, out, end in zip(names, hidden, until, strict=True) if out or end == "2026-02-28"}
    finished = np.array(data.draw(st.lists(st.lists(st.booleans(), min_size=n_items, max_size=n_items), max_size=5)))
    finished = finished.reshape(-1, n_items)

    blocked = PrerequisiteMask(items, pd.Timestamp("2026-03-01")).blocked(csr_matrix(finished.astype(np.float32)))

    for member in range(len(finished)):
        for item, needed in enumerate(prerequisites):
            met = all(finished[member, names.index(name)] for name in needed if name not in {"gone", *withdrawn})
            assert blocked[member, item] == (not met)
