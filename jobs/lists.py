"""Lists as the night makes and stores them."""

import numpy as np
import orjson
import pandas as pd

from content_catalog.taxonomy import Taxonomy
from features.interactions import Interactions
from infra.settings import Settings
from recommender.pipeline import ModelParameters, Pipeline, make_models

SIMILAR_ITEMS = 20


def make_pipeline(settings: Settings, taxonomies: dict[str, Taxonomy]) -> Pipeline:
    """Return the default pipeline, unfitted, as the settings have it."""
    given = settings.models
    own = {name: getattr(given, name) for name in ModelParameters.__dataclass_fields__ if hasattr(given, name)}
    parameters = ModelParameters(**own, half_life_days=settings.evidence.half_life_days)
    roles, industries = taxonomies["role"], taxonomies["industry"]
    models = make_models(parameters, roles=roles, industries=industries)
    return Pipeline(models, roles=roles, industries=industries, depth=given.retrieval_depth)


def as_stored(explained: pd.DataFrame, shared: pd.Series) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return lists as they are stored: ``member_id, path, number`` for every member, and ``number, entries``.

    ``shared`` names for every member the one whose list it has.
    """
    pairs = zip(explained["item_id"], explained["reason"], strict=True)
    entries = [{"item_id": item_id, "reason": reason} for item_id, reason in pairs]
    starts = np.flatnonzero((explained["rank"] == 1).to_numpy())
    ends = np.append(starts[1:], len(entries))
    texts = [orjson.dumps(entries[start:end]).decode() for start, end in zip(starts, ends, strict=True)]
    heads = explained.iloc[starts]
    number = pd.Index(heads["member_id"]).get_indexer(shared)
    made = shared.index[number >= 0]
    paths = heads["path"].to_numpy()[number[number >= 0]]
    lists = pd.DataFrame({"member_id": made.astype("str"), "path": paths, "number": number[number >= 0]})
    return lists, pd.DataFrame({"number": np.arange(len(texts)), "entries": pd.Series(texts, dtype="str")})


def similar_entries(pipeline: Pipeline, known: Interactions) -> pd.DataFrame:
    """Return each item's similar items as they are stored: ``item_id, entries``."""
    items, others, values = pipeline.neighbours.similar(SIMILAR_ITEMS)
    names = known.items.index.to_numpy(dtype=object)
    entries: dict[str, list[dict[str, object]]] = {}
    for item, other, value in zip(names[items], names[others], values.round(6).tolist(), strict=True):
        entries.setdefault(item, []).append({"item_id": other, "similarity": value})
    texts = [orjson.dumps(value).decode() for value in entries.values()]
    return pd.DataFrame({"item_id": pd.Series(list(entries), dtype="str"), "entries": pd.Series(texts, dtype="str")})
