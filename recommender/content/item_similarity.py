"""Likeness: how alike items are by what is told of them, before anybody has studied them."""

from typing import Final

import numpy as np
import pandas as pd
from scipy.sparse import csr_matrix, hstack, vstack
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.preprocessing import normalize

from content_catalog.schema import split_list
from content_catalog.taxonomy import Taxonomy
from content_catalog.text import texts_of
from recommender.content.segments import path_of
from recommender.linalg.topk import top_k

RUNS: Final = (2, 4)
"""Lengths of the runs of characters that texts are compared by: Chinese has no spaces to cut words at."""
COMMON_SHARE: Final = 0.1
FEWEST_COMMON: Final = 50
MOST_COMMON: Final = 1_000
"""A run in more texts than these and their share above tells little apart and costs most of the time."""

WEIGHTS: Final = {"text": 1.0, "topics": 0.5, "targets": 1.0, "format": 0.25, "language": 0.5}
"""What each part counts in a cosine."""

BLOCK_ITEMS: Final = 1_000
LEAST_COSINE: Final = 0.05


def likeness(items: pd.DataFrame, *, roles: Taxonomy, industries: Taxonomy, nearest: int) -> csr_matrix:
    """Return how alike items are, as (items, items) of float32: a column holds its item's nearest ones and itself.

    It is the cosine of TF-IDF (Salton and Buckley 1988, https://doi.org/10.1016/0306-4573(88)90021-0) over runs of
    characters of the texts, over topics, targets with the codes above them, format and language. An item of which
    nothing is told has an empty column.

    Parameters
    ----------
    items : DataFrame
        As :class:`features.interactions.Interactions` has them.
    roles, industries : Taxonomy
        What targets mean.
    nearest : int
        Items kept for each item.
    """
    vectors = _vectors(items, roles=roles, industries=industries)
    across = vectors.T.tocsc()
    parts = []
    for start in range(0, len(items), BLOCK_ITEMS):
        cosines = (vectors[start : start + BLOCK_ITEMS] @ across).toarray()
        told = np.where(cosines > LEAST_COSINE, cosines, -np.inf).astype(np.float32)
        rows, others, values = top_k(told, nearest)
        parts.append(csr_matrix((values, (rows, others)), shape=cosines.shape))
    return csr_matrix(vstack(parts).T)


def _vectors(items: pd.DataFrame, *, roles: Taxonomy, industries: Taxonomy) -> csr_matrix:
    """Return a row of length one for each item; an empty one where nothing is told."""
    targets = zip(_codes(items["target_roles"], roles), _codes(items["target_industries"], industries), strict=True)
    labels = {name: [split_list(value) for value in items[name]] for name in ("topics", "format", "language")}
    labels["targets"] = [
        (*(f"role {code}" for code in role), *(f"industry {code}" for code in industry)) for role, industry in targets
    ]
    parts = [WEIGHTS["text"] * _of_texts(texts_of(items))]
    parts += [WEIGHTS[name] * _of_labels(given) for name, given in labels.items()]
    return csr_matrix(normalize(hstack(parts)))


def _codes(given: pd.Series, taxonomy: Taxonomy) -> list[list[str]]:
    return [[above for code in split_list(value) for above in path_of(taxonomy, code)] for value in given]


def _of_texts(texts: list[str]) -> csr_matrix:
    if not any(text.strip() for text in texts):
        return csr_matrix((len(texts), 1))
    weighed = csr_matrix(TfidfVectorizer(analyzer="char_wb", ngram_range=RUNS, sublinear_tf=True).fit_transform(texts))
    in_texts = np.bincount(weighed.indices, minlength=weighed.shape[1])
    telling = np.flatnonzero(in_texts <= min(max(FEWEST_COMMON, COMMON_SHARE * len(texts)), MOST_COMMON))
    return csr_matrix(normalize(weighed[:, telling]))


def _of_labels(given: list[tuple[str, ...]]) -> csr_matrix:
    if not any(given):
        return csr_matrix((len(given), 1))
    return csr_matrix(TfidfVectorizer(analyzer=tuple).fit_transform(given))
