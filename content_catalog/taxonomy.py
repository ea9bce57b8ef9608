"""Hierarchies of roles and industries: codes with parents, and names in English and Chinese.

Two are shipped, and an organisation may bring its own (:func:`content_catalog.taxonomy_file.read_taxonomy`):

``isco08``
    Major and sub-major groups of the International Standard Classification of Occupations 2008 (ILO).
``gbt4754_2017``
    Sections and divisions of GB/T 4754-2017, Industrial classification for national economic activities; its column
    ``isic`` holds the section of ISIC Rev.4 where most of a row's classes belong.

Both have columns ``short_en`` and ``short_zh``, names for use within a sentence, and ``also``: everyday words for a
code, ``;`` between them, by which :meth:`Taxonomy.nearest` finds it.
"""

import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from graphlib import CycleError, TopologicalSorter
from importlib.resources import as_file, files
from typing import Final

import pandas as pd
from rapidfuzz import fuzz
from rapidfuzz.distance import Prefix

from content_catalog.errors import TaxonomyError
from content_catalog.schema import LIST_SEPARATOR

SHIPPED: Final = ("isco08", "gbt4754_2017")
NAMES: Final = ("name_en", "name_zh")
SHORT_NAMES: Final = ("short_en", "short_zh")
ALSO: Final = "also"
COMPARED_CHARACTERS: Final = 100
MIN_RELATIVE_SIMILARITY: Final = 2 / 3
SHOWN_CHARACTERS: Final = 60
# "I6510", "ISCO-8322", "39 计算机" and "41.0" all mean the code that their first digits spell.
SPELLED_CODE: Final = re.compile(r"\W*[a-z]{0,4}\W*(\d+)")


@dataclass(frozen=True, eq=False)
class Taxonomy:
    """A forest of codes.

    Attributes
    ----------
    name : str
        Name in messages.
    table : DataFrame
        Indexed by code (text), columns ``parent`` (empty for a root), ``name_en``, ``name_zh`` and any others.
        Its order breaks ties, so equal tables give equal answers.

    Raises
    ------
    TaxonomyError
        The table is empty, lacks a column, holds a code twice, an unknown parent or a cycle.

    Examples
    --------
    >>> industries = shipped("gbt4754_2017")
    >>> industries.path("60")
    ('G', '60')
    >>> industries.within("60", "G"), industries.within("G", "60")
    (True, False)
    >>> industries.name_of("60", "en"), industries.name_of("60", "zh-CN")
    ('Post', '邮政业')
    >>> industries.nearest("快递", n=1), industries.nearest("I6510", n=1)
    (['60'], ['65'])
    """

    name: str
    table: pd.DataFrame

    def __post_init__(self) -> None:
        """Refuse a table that is not a taxonomy."""
        if missing := [column for column in ("parent", *NAMES) if column not in self.table]:
            raise TaxonomyError(f"{self.name}: the table lacks the column {missing[0]!r}; add it")
        if not len(self.table):
            raise TaxonomyError(f"{self.name} holds no codes; give at least one")
        if not all(isinstance(code, str) for code in self.table.index):
            raise TaxonomyError(f"{self.name}: a code is not text; read codes as text, since 01 and 1 are two codes")
        if not self.table.index.is_unique:
            code = self.table.index[self.table.index.duplicated()][0]
            raise TaxonomyError(f"{self.name}: the code {code!r} stands twice; keep one of them")
        if self.table[["parent", *NAMES]].isna().to_numpy().any():
            raise TaxonomyError(f"{self.name}: a parent or a name is missing; use empty text for none")
        _ = self._paths  # checks parents now and keeps the paths for later

    def __contains__(self, code: object) -> bool:
        """Return whether the code is one of this taxonomy's."""
        return code in self._paths

    def __len__(self) -> int:
        """Return the number of codes, of all levels."""
        return len(self.table)

    def path(self, code: str) -> tuple[str, ...]:
        """Return the codes from the root down to ``code``, both included.

        Raises
        ------
        TaxonomyError
            The code is unknown; the message names the nearest known ones.
        """
        try:
            return self._paths[code]
        except KeyError:
            near = ", ".join(f"{other} {self.name_of(other, 'en')}" for other in self.nearest(code))
            shown = repr(code[:SHOWN_CHARACTERS])
            raise TaxonomyError(
                f"{shown} is no code of {self.name}; use a known one, the nearest are: {near}"
            ) from None

    def within(self, code: str, ancestor: str) -> bool:
        """Return whether ``ancestor`` is the code itself or stands above it.

        Raises
        ------
        TaxonomyError
            One of the two is unknown, a misspelt ancestor too.
        """
        return self.path(ancestor)[-1] in self.path(code)

    def name_of(self, code: str, language: str) -> str:
        """Return the name of a code: Chinese for ``zh`` and its variants, otherwise English.

        A code without a name in that language has its other name, or its code where it has none.
        """
        english, chinese = self._names[self.path(code)[-1]]
        if language.lower().startswith("zh"):
            return chinese or english or code
        return english or chinese or code

    def short_name_of(self, code: str, language: str) -> str:
        """Return what people call a code within a sentence.

        That is its ``short_en`` or ``short_zh``, which the shipped taxonomies have; without one its name, in English
        with a small first letter.

        >>> shipped("isco08").short_name_of("83", "en"), shipped("gbt4754_2017").short_name_of("60", "zh-CN")
        ('drivers', '邮政快递')
        """
        chinese = language.lower().startswith("zh")
        short = self._short_names.get(code, ("", ""))[int(chinese)]
        name = short or self.name_of(code, language)
        is_acronym = name[1:2].isupper()
        return name if chinese or is_acronym else name[:1].lower() + name[1:]

    def nearest(self, code: str, n: int = 3) -> list[str]:
        """Return up to ``n`` codes nearest to an unknown text, by their spelling and by their names, best first.

        Codes much less similar than the best one are left out; at least one is returned.

        Half of the similarity is that of the whole texts, half that of their best-matching parts, so that "Software"
        finds "Software and information technology services" before longer names that contain the word.
        """
        text = _folded(code[:COMPARED_CHARACTERS])
        similarity = {other: _similarity(text, other, labels) for other, labels in self._labels.items()}
        # sorted() is stable: the table's order decides between equals.
        ranked = sorted(similarity, key=lambda other: similarity[other], reverse=True)[: max(n, 0)]
        least = MIN_RELATIVE_SIMILARITY * similarity[ranked[0]][0] if ranked else 0.0
        return [other for other in ranked if similarity[other][0] >= least]

    @cached_property
    def _paths(self) -> dict[str, tuple[str, ...]]:
        return paths_of(dict(self.table["parent"].items()), lambda _: self.name)

    @cached_property
    def _names(self) -> dict[str, tuple[str, str]]:
        return dict(zip(self.table.index, zip(*(self.table[column] for column in NAMES), strict=True), strict=True))

    @cached_property
    def _short_names(self) -> dict[str, tuple[str, str]]:
        if not set(SHORT_NAMES) <= set(self.table):
            return {}
        columns = (self.table[column].fillna("") for column in SHORT_NAMES)
        return dict(zip(self.table.index, zip(*columns, strict=True), strict=True))

    @cached_property
    def _labels(self) -> dict[str, list[str]]:
        """Names and synonyms of each code, folded."""
        also = self.table[ALSO].fillna("") if ALSO in self.table else pd.Series("", index=self.table.index)
        return {
            code: [label for part in (*self._names[code], *words.split(LIST_SEPARATOR)) if (label := _folded(part))]
            for code, words in also.items()
        }


@cache
def shipped(name: str) -> Taxonomy:
    """Return a taxonomy that comes with xuelu: ``isco08`` (roles) or ``gbt4754_2017`` (industries)."""
    if name not in SHIPPED:
        raise TaxonomyError(
            f"no taxonomy {name!r} is shipped; use {' or '.join(SHIPPED)}, or read your own from a file"
        )
    with as_file(files("content_catalog") / "taxonomies" / f"{name}.csv") as path:
        return Taxonomy(name, pd.read_csv(path, dtype="str", keep_default_na=False).set_index("code"))


def paths_of(parents: Mapping[str, str], where: Callable[[str], str]) -> dict[str, tuple[str, ...]]:
    """Return the path of every code; ``where`` says for a message where a code stands."""
    for code, parent in parents.items():
        if parent and parent not in parents:
            raise TaxonomyError(
                f"{where(code)}: the parent {parent!r} of {code!r} is no code; add it, or leave it empty"
            )
    above = {code: [parent] if parent else [] for code, parent in parents.items()}
    try:
        order = list(TopologicalSorter(above).static_order())
    except CycleError as error:
        cycle: list[str] = error.args[1]
        shown = " > ".join(cycle)
        raise TaxonomyError(f"{where(cycle[0])}: the parents form a cycle, {shown}; make one of them a root") from error
    paths: dict[str, tuple[str, ...]] = {}
    for code in order:
        paths[code] = (*paths.get(parents[code], ()), code)
    return paths


def _folded(text: str) -> str:
    """Return a text with case and width folded, and stripped."""
    return unicodedata.normalize("NFKC", text).casefold().strip()


def _similarity(text: str, code: str, labels: list[str]) -> tuple[float, float]:
    """Return the similarity of a text to a code, 0..100, and its tie-breaker."""
    spelled = SPELLED_CODE.match(text)
    folded = _folded(code)
    texts = (text, spelled[1]) if spelled else (text,)
    by_code = max((fuzz.ratio(part, folded) + 100 * Prefix.normalized_similarity(part, folded)) / 2 for part in texts)
    if spelled and folded == f"0{spelled[1]}":
        by_code = 99.0  # spreadsheets drop the zero of "01"
    by_name = max(
        ((fuzz.token_ratio(text, label) + fuzz.partial_token_ratio(text, label)) / 2, fuzz.ratio(text, label))
        for label in (labels or [folded])
    )
    return max((by_code, by_code), by_name)
