"""Item similarity: cosine of items' texts, topics, targets, format and language, independent of any study."""

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

NGRAM_LENGTHS: Final = (2, 4)
"""Lengths of the character n-grams that texts are compared by: Chinese has no spaces to cut words at."""
COMMON_SHARE: Final = 0.1
MIN_COMMON: Final = 50
MAX_COMMON: Final = 1_000
"""An n-gram in more texts than these and their share above tells little apart and costs most of the time."""

WEIGHTS: Final = {"text": 1.0, "topics": 0.5, "targets": 1.0, "format": 0.25, "language": 0.5}
"""Factor of each part's vector in the cosine."""

BLOCK_ITEMS: Final = 1_000
MIN_COSINE: Final = 0.05


def item_similarity(items: pd.DataFrame, *, roles: Taxonomy, industries: Taxonomy, nearest: int) -> csr_matrix:
    """Return similarities as (items, items) of float32: a column holds its item's nearest ones and itself.

    It is the cosine of TF-IDF (Salton and Buckley 1988, https://doi.org/10.1016/0306-4573(88)90021-0) over character
    n-grams of the texts, over topics, targets with the codes above them, format and language. An item without any
    description has an empty column.

    Parameters
    ----------
    items : DataFrame
        As in :class:`features.interactions.Interactions`.
    roles, industries : Taxonomy
        Taxonomies of the targets.
    nearest : int
        Similar items kept for each item.
    """
    vectors = _vectors(items, roles=roles, industries=industries)
    across = vectors.T.tocsc()
    parts = []
    for start in range(0, len(items), BLOCK_ITEMS):
        cosines = (vectors[start : start + BLOCK_ITEMS] @ across).toarray()
        similar = np.where(cosines > MIN_COSINE, cosines, -np.inf).astype(np.float32)
        rows, columns, values = top_k(similar, nearest)
        parts.append(csr_matrix((values, (rows, columns)), shape=cosines.shape))
    return csr_matrix(vstack(parts).T)


def _vectors(items: pd.DataFrame, *, roles: Taxonomy, industries: Taxonomy) -> csr_matrix:
    """Return a row of length one for each item; an empty one for an item without any description."""
    targets = zip(_codes(items["target_roles"], roles), _codes(items["target_industries"], industries), strict=True)
    labels = {name: [split_list(value) for value in items[name]] for name in ("topics", "format", "language")}
    labels["targets"] = [
        (*(f"role {code}" for code in role), *(f"industry {code}" for code in industry)) for role, industry in targets
    ]
    parts = [WEIGHTS["text"] * _of_texts([text or "" for text in texts_of(items)])]
    parts += [WEIGHTS[name] * _of_labels(column) for name, column in labels.items()]
    return csr_matrix(normalize(hstack(parts)))


def _codes(column: pd.Series, taxonomy: Taxonomy) -> list[list[str]]:
    return [[above for code in split_list(value) for above in path_of(taxonomy, code)] for value in column]


def _of_texts(texts: list[str]) -> csr_matrix:
    if not any(text.strip() for text in texts):
        return csr_matrix((len(texts), 1))
    vectorizer = TfidfVectorizer(analyzer="char_wb", ngram_range=NGRAM_LENGTHS, sublinear_tf=True)
    weighed = csr_matrix(vectorizer.fit_transform(texts))
    in_texts = np.bincount(weighed.indices, minlength=weighed.shape[1])
    rare = np.flatnonzero(in_texts <= min(max(MIN_COMMON, COMMON_SHARE * len(texts)), MAX_COMMON))
    if not len(rare):  # a few titles that all items share
        return csr_matrix((len(texts), 1))
    return csr_matrix(normalize(weighed[:, rare]))


def _of_labels(labels: list[tuple[str, ...]]) -> csr_matrix:
    if not any(labels):
        return csr_matrix((len(labels), 1))
    return csr_matrix(TfidfVectorizer(analyzer=tuple).fit_transform(labels))
