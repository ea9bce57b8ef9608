"""Ranking features of candidates beside the models' scores: age, habits, and fit of item and member."""

from typing import Final, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from content_catalog.audience import TargetCodes
from content_catalog.taxonomy import Taxonomy
from features.histories import first_interactions
from features.interactions import Interactions
from recommender.content.segments import groups_of, path_of
from recommender.linalg.cache import BoundedCache
from recommender.linalg.ranges import rows_of
from recommender.linalg.topk import Positions, Scores

FEATURES: Final = (
    "item_age_days",
    "item_idle_days",
    "item_published_days",
    "item_minutes",
    "days_since_last_activity",
    "member_tenure_days",
    "member_items",
    "member_active_days",
    "last_day_items",
    "weekday",
    "role_match",
    "industry_match",
    "language_match",
    "format_share",
    "log_duration_ratio",
)
"""Names of the columns."""

MAX_DAYS: Final = 1_000.0
CACHED_CODES: Final = 400
"""Codes whose fit with all items is cached: four bytes an item each."""
Floats = NDArray[np.float32]


class RankingFeatures:
    """Features of items and of members, and of how well they fit.

    Parameters
    ----------
    roles, industries : Taxonomy
        Taxonomies of members' codes and items' targets.
    """

    def __init__(self, roles: Taxonomy, industries: Taxonomy) -> None:
        self._taxonomies = {"role": roles, "industry": industries}

    def fit(self, interactions: Interactions) -> Self:
        """Compute the features of items: ages, length, targets, format and language."""
        firsts = first_interactions(interactions)
        items = interactions.items
        oldest, latest = np.full(len(items), np.nan), np.full(len(items), np.nan)
        np.fmax.at(oldest, firsts.item, firsts.age_days)
        np.fmin.at(latest, firsts.item, firsts.age_days)
        published = (interactions.as_of - items["published_at"]).dt.total_seconds().to_numpy(dtype=float) / 86_400
        self._minutes = items["duration_seconds"].to_numpy(dtype=np.float64, na_value=np.nan) / 60
        days = [np.minimum(values, MAX_DAYS) for values in (oldest, latest, published)]
        self._of_item = np.stack([*days, self._minutes], axis=1).astype(np.float32)
        targets = {"role": items["target_roles"], "industry": items["target_industries"]}
        self._targets = {name: TargetCodes(column) for name, column in targets.items()}
        self._rows = BoundedCache[Floats](CACHED_CODES)
        self._format = pd.factorize(items["format"])[0]
        self._language, languages = pd.factorize(items["language"])
        self._languages = {"": -1} | {language: number for number, language in enumerate(languages)}
        return self

    def of(self, interactions: Interactions, rows: Positions, row: Positions, item: Positions) -> Scores:
        """Return the features of candidates: (n, :data:`FEATURES`) of float32, NaN where unknown.

        Parameters
        ----------
        rows : array
            Positions of the members in ``interactions``.
        row, item : array (n,)
            The candidates' member, as a place in ``rows``, and item.
        """
        habits = self._habits(interactions)[rows]
        weekday = np.full(len(row), interactions.as_of.day_of_week)
        fits = [self._fits(name, interactions, rows, row, item) for name in ("role", "industry")]
        language = self._language_matches(interactions, rows, row, item)
        formats, minutes = self._preferences(interactions, rows)
        share = np.where(self._format[item] >= 0, formats[row, self._format[item]], np.nan)
        ratio = np.log2((self._minutes[item] + 1) / (minutes[row] + 1))
        columns = [weekday, *fits, language, share, ratio]
        return np.hstack([self._of_item[item], habits[row], np.stack(columns, axis=1).astype(np.float32)])

    def _habits(self, interactions: Interactions) -> Floats:
        """Return ``days_since_last_activity … last_day_items`` of all members; NaN without history."""
        return interactions.memo("habits", lambda: _habits(interactions))

    def _fits(self, name: str, interactions: Interactions, rows: Positions, row: Positions, item: Positions) -> Floats:
        """Return 1 where an item targets the member, 0 where only others; NaN where either is unknown."""
        which, groups = groups_of(interactions, rows, name)
        table = np.stack([self._matches(name, code) for (code,) in groups])
        return np.asarray(table[which[row], item])

    def _language_matches(
        self, interactions: Interactions, rows: Positions, row: Positions, item: Positions
    ) -> NDArray[np.float64]:
        """Return 1 where an item is in the member's language, 0 where in another; NaN where either is unknown."""
        which, groups = groups_of(interactions, rows, "language")
        spoken = np.array([self._languages.get(language, len(self._languages)) for (language,) in groups])[which][row]
        language = self._language[item]
        return np.where((spoken >= 0) & (language >= 0), spoken == language, np.nan)

    def _matches(self, name: str, code: str) -> Floats:
        """Return the row of :meth:`_fits` for members with a code."""

        def matches() -> Floats:
            within = frozenset(path_of(self._taxonomies[name], code))

            def match(target: frozenset[str]) -> float:
                return float(not within.isdisjoint(target)) if within and target else np.nan

            return self._targets[name].map(match, dtype=np.float32)

        return self._rows.get((name, code), matches)

    def _preferences(self, interactions: Interactions, rows: Positions) -> tuple[Floats, Floats]:
        """Return each member's shares of formats (members, formats), and the mean minutes of its items."""
        seen = rows_of(interactions.seen, rows)
        member = np.repeat(np.arange(len(rows)), np.diff(seen.indptr))
        n_formats = max(int(self._format.max(initial=0)) + 1, 1)
        with_format = self._format[seen.indices] >= 0
        place = member[with_format] * n_formats + self._format[seen.indices][with_format]
        counts = np.bincount(place, minlength=len(rows) * n_formats).reshape(len(rows), n_formats)
        total = counts.sum(axis=1, keepdims=True)
        shares = np.where(total > 0, counts / np.maximum(total, 1), np.nan)
        minutes = self._minutes[seen.indices]
        timed = np.isfinite(minutes)
        n_timed = np.bincount(member[timed], minlength=len(rows))
        mean = np.bincount(member[timed], weights=minutes[timed], minlength=len(rows)) / np.maximum(n_timed, 1)
        return shares.astype(np.float32), np.where(n_timed > 0, mean, np.nan).astype(np.float32)


def _habits(interactions: Interactions) -> Floats:
    firsts = first_interactions(interactions)
    habits = np.full((len(interactions.members), 5), np.nan, dtype=np.float32)
    last = firsts.from_end == 0
    members = firsts.member[last]
    opening = np.diff(firsts.member, prepend=-1) != 0
    habits[members, 0] = np.minimum(firsts.age_days[last], MAX_DAYS)
    habits[members, 1] = np.minimum(firsts.age_days[opening], MAX_DAYS)
    habits[members, 2] = np.bincount(firsts.member, minlength=len(habits))[members]
    habits[members, 3] = np.bincount(firsts.member[firsts.from_session_end == 0], minlength=len(habits))[members]
    habits[members, 4] = firsts.on_day[last]
    return habits
