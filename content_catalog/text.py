"""Text vectors of items: word segmentation, TF-IDF and latent semantic analysis."""

import re
from collections.abc import Iterable
from typing import Final

import numpy as np
import pandas as pd
import rjieba
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.utils.extmath import randomized_svd

CHINESE: Final = re.compile(r"[㐀-䶿一-鿿]+")
WORD: Final = re.compile(r"[^\W\d_]{2,}", re.UNICODE)
MIN_LENGTH: Final = 1e-6
"""Projected length, of texts of length one, that is more than a rounding error."""

TEXT_COLUMNS: Final = ("title", "topics", "summary", "text")


def words(text: str) -> list[str]:
    """Return the words of a text: Chinese as rjieba segments it, else sequences of at least two letters, in lower case.

    >>> words("Your labour rights: 劳动合同法")
    ['your', 'labour', 'rights', '劳动', '合同法']
    """
    segmented: list[str] = []
    end = 0
    for chinese in CHINESE.finditer(text):
        segmented.extend(word.lower() for word in WORD.findall(text[end : chinese.start()]))
        segmented.extend(rjieba.cut(chinese.group()))
        end = chinese.end()
    segmented.extend(word.lower() for word in WORD.findall(text[end:]))
    return segmented


def texts_of(items: pd.DataFrame) -> list[str | None]:
    """Return the text of each item: title, topics, summary and text, joined; None where one of them is no text."""
    parts = [items[name].astype(object).where(items[name].notna(), "") for name in TEXT_COLUMNS if name in items]
    rows = zip(*parts, strict=True)
    return [" ".join(filter(None, row)) if all(isinstance(part, str) for part in row) else None for row in rows]


def words_of(texts: Iterable[str | None]) -> list[list[str] | None]:
    """Return the words of each text; None where there is no text, or it cannot be segmented."""
    return [None if text is None else _words_or_none(text) for text in texts]


def _words_or_none(text: str) -> list[str] | None:
    try:
        return words(text)
    except Exception:  # noqa: BLE001 - whatever the segmenter stumbles over costs that text alone
        return None


def vectors_of(documents: Iterable[list[str] | None], *, dimensions: int = 64, seed: int = 0) -> NDArray[np.float32]:
    """Return a unit vector per text from its words; texts about the same subject have a high dot product.

    TF-IDF reduced by truncated SVD (latent semantic analysis, Deerwester et al. 1990,
    https://doi.org/10.1002/(SICI)1097-4571(199009)41:6<391::AID-ASI1>3.0.CO;2-9).

    Parameters
    ----------
    documents : iterable of list of str, or None
        Words of each text (:func:`words_of`); without any the vector is of zeros.
    dimensions : int
        Latent directions; fewer where there are fewer texts or words.
    seed : int
        Seed of the decomposition; same texts and seed give the same vectors.

    Returns
    -------
    array (n_texts, at most dimensions) of float32
    """
    weighted = _tf_idf([document or [] for document in documents])
    most = min(weighted.shape) - 1
    if most < 1:
        return _unit(weighted.toarray())
    _, values, directions = randomized_svd(weighted, min(dimensions, most), n_iter=5, random_state=seed)
    # Directions beyond the rank of the matrix are rounding errors.
    return _unit(weighted @ directions[values > values[0] * MIN_LENGTH].T)


def _unit(vectors: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return vectors of length one; zeros where there is nothing but rounding errors."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > MIN_LENGTH).astype(np.float32)


def _tf_idf(documents: list[list[str]]) -> csr_matrix:
    if not any(documents):
        return csr_matrix((len(documents), 1))
    return csr_matrix(TfidfVectorizer(analyzer=list, sublinear_tf=True).fit_transform(documents))
