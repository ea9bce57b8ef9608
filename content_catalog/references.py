"""Checks of rows against other data: codes of taxonomies, and earlier lines of the same file."""

import pandas as pd

from content_catalog.io.files import rejects_frame
from content_catalog.io.validation import joined_rejects
from content_catalog.schema import LIST_SEPARATOR
from content_catalog.taxonomy import Taxonomy


def check_codes(frame: pd.DataFrame, taxonomies: dict[str, Taxonomy]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the rows whose codes are all known, and rejects that name the nearest known codes of the others.

    Parameters
    ----------
    frame : DataFrame
        Checked rows, indexed by line number.
    taxonomies : dict
        Column name → the taxonomy its codes come from; a column may hold a list of codes.
    """
    faults = []
    for name, taxonomy in taxonomies.items():
        values = frame[name].dropna()
        reasons = {value: _unknown_code(value, taxonomy) for value in values.unique()}
        wrong = values[values.map(reasons) != ""]
        faults.append(rejects_frame((int(line), name, value, reasons[value]) for line, value in wrong.items()))
    rejects = joined_rejects(faults)
    return frame.drop(index=rejects["line"].unique()), rejects


def _unknown_code(value: str, taxonomy: Taxonomy) -> str:
    for code in value.split(LIST_SEPARATOR):
        if code not in taxonomy:
            nearest = ", ".join(f"{near} ({taxonomy.name_of(near, 'en')})" for near in taxonomy.nearest(code))
            return f"unknown code {code!r} in {taxonomy.name}; nearest: {nearest}"
    return ""


class Deduplicator:
    """Ids of one file so far: separates exact repetitions of a line from contradictions."""

    def __init__(self, key: str) -> None:
        self._key = key
        self._hashes: dict[str, int] = {}

    def split(self, chunk: pd.DataFrame) -> tuple[pd.DataFrame, int, pd.DataFrame]:
        """Return the rows that are new, the number of exact repetitions, and rejects for contradictions."""
        hashes = pd.util.hash_pandas_object(chunk, index=False).tolist()
        new: list[int] = []
        repetitions = 0
        faults: list[tuple[int, str, str, str]] = []
        for position, (line, key, content) in enumerate(zip(chunk.index, chunk[self._key], hashes, strict=True)):
            if key not in self._hashes:
                self._hashes[key] = content
                new.append(position)
            elif self._hashes[key] == content:
                repetitions += 1
            else:
                faults.append((int(line), self._key, key, "an earlier line has other values for the same id"))
        return chunk.iloc[new], repetitions, rejects_frame(faults)
