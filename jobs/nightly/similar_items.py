"""Similar items as they are stored: by study first, then by text."""

from typing import Final

import numpy as np
import orjson
import pandas as pd
import structlog
from numpy.typing import NDArray

from content_catalog.text import texts_of, vectors_of, words_of
from features.interactions import Interactions
from recommender.linalg.topk import Best, Positions, Scores, top_k
from recommender.pipeline import Pipeline

SIMILAR_ITEMS: Final = 20
MIN_COSINE: Final = 0.2
BLOCK_ITEMS: Final = 2_000
BLOCK_PAIRS: Final = 2_000
EXAMPLES: Final = 3

log = structlog.get_logger("xuelu.nightly")


def similar_entries(pipeline: Pipeline, interactions: Interactions, texts: pd.DataFrame) -> tuple[pd.DataFrame, int]:
    """Return each item's similar items, ``item_id, entries``, and the number of items whose text failed.

    Items studied by the same members come first, then those with similar text, so that a new item has some too. Items
    are similar by study where at least ``pipeline.min_group_size`` members studied both.
    """
    ids = texts.index.to_numpy(dtype=object)
    similar: dict[str, dict[str, dict[str, object]]] = {item_id: {} for item_id in ids}
    documents = words_of(texts_of(texts))
    failed = [item_id for item_id, words in zip(ids, documents, strict=True) if words is None]
    if failed:
        log.warning("no similar items by text", items=failed[:EXAMPLES], count=len(failed))
    by_study = with_common_members(
        pipeline.item_knn.similar(SIMILAR_ITEMS), interactions, min_members=pipeline.min_group_size
    )
    by_text = similar_texts(vectors_of(documents), SIMILAR_ITEMS)
    for basis, (items, neighbours, values) in (("study", by_study), ("text", by_text)):
        for item, other, value in zip(ids[items], ids[neighbours], values.astype(float).round(6).tolist(), strict=True):
            if len(similar[item]) < SIMILAR_ITEMS:
                similar[item].setdefault(other, {"item_id": other, "similarity": value, "basis": basis})
    entries = [orjson.dumps(list(of_item.values())).decode() for of_item in similar.values()]
    frame = pd.DataFrame({"item_id": texts.index.astype("str"), "entries": pd.Series(entries, dtype="str")})
    return frame, len(failed)


def with_common_members(pairs: Best, interactions: Interactions, *, min_members: int) -> Best:
    """Return the pairs of items that enough members studied both of."""
    items, neighbours, values = pairs
    studied = (interactions.matrix(half_life_days=np.inf) > 0).astype(np.int32).tocsc()
    enough = np.zeros(len(items), dtype=bool)
    for start in range(0, len(items), BLOCK_PAIRS):
        block = slice(start, start + BLOCK_PAIRS)
        both = studied[:, items[block]].multiply(studied[:, neighbours[block]])
        enough[block] = np.asarray(both.sum(axis=0)).ravel() >= min_members
    return items[enough], neighbours[enough], values[enough]


def similar_texts(vectors: NDArray[np.float32], k: int) -> tuple[Positions, Positions, Scores]:
    """Return each item's ``k`` items nearest in text as ``(items, nearest items, cosines)``, best first."""
    parts = []
    for start in range(0, len(vectors), BLOCK_ITEMS):
        cosines = (vectors[start : start + BLOCK_ITEMS].astype(np.float64) @ vectors.T).astype(np.float32)
        cosines[np.arange(len(cosines)), np.arange(start, start + len(cosines))] = -np.inf
        rows, neighbours, values = top_k(np.where(cosines >= MIN_COSINE, cosines, np.float32(-np.inf)), k)
        parts.append((rows + start, neighbours, values))
    items, neighbours, values = (np.concatenate(column) for column in zip(*parts, strict=True))
    return items, neighbours, values
