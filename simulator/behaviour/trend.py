"""Popularity of items over time: new items draw, old ones decay, and now and then a subject is in the news."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from simulator.organisation.catalogue import DAY_SECONDS, Catalogue, Ints, Period

SLOT_SECONDS: Final = 6 * 3600
FRESH_HALF_LIFE_DAYS: Final = 4.0
FADING_HALF_LIFE_DAYS: Final = 100.0
FRESH_WEIGHT: Final = 2.0
LASTING_WEIGHT: Final = 0.6
EVERGREEN_WEIGHT: Final = 0.1


@dataclass(frozen=True, slots=True)
class PopularityTrend:
    """Popularity of every item in every slot of six hours, 0 where it cannot be studied during the whole slot.

    ``popularity`` has shape (slots + 1, items); the last row is the instant ``until``, where the log ends.
    """

    span: Period
    popularity: npt.NDArray[np.float32]

    def slots(self, instants: Ints) -> Ints:
        """Return the slots of instants of the span."""
        return (instants - self.span.start) // SLOT_SECONDS


def make_trend(catalogue: Catalogue, span: Period, rng: np.random.Generator) -> PopularityTrend:
    """Return the trend over the span of a log."""
    opens = np.append(np.arange(span.start, span.until, SLOT_SECONDS), span.until)
    closes = np.append(np.minimum(opens[:-1] + SLOT_SECONDS, span.until), span.until + 1)
    popularity = np.empty((len(opens), len(catalogue.item_ids)), dtype=np.float32)
    usable_from, usable_until = catalogue.usable_from, catalogue.usable_until
    bursts = _bursts(catalogue, span, rng)
    for slot, (opening, closing) in enumerate(zip(opens, closes, strict=True)):
        age = np.maximum(opening - catalogue.published_at, 0) / DAY_SECONDS
        fresh = FRESH_WEIGHT * np.exp2(-age / FRESH_HALF_LIFE_DAYS)
        weight = fresh + LASTING_WEIGHT * np.exp2(-age / FADING_HALF_LIFE_DAYS) + EVERGREEN_WEIGHT
        for first, last, chosen, factor in bursts:
            if first <= opening < last:
                weight[chosen] *= factor
        popularity[slot] = np.where((usable_from <= opening) & (closing <= usable_until), weight, 0.0)
    return PopularityTrend(span=span, popularity=popularity)


def _bursts(
    catalogue: Catalogue, span: Period, rng: np.random.Generator
) -> list[tuple[float, float, npt.NDArray[np.intp], float]]:
    """Return first and last instant, items and factor of subjects in the news and of single items passed around."""
    items = len(catalogue.item_ids)
    days = span.seconds / DAY_SECONDS
    chosen = [np.flatnonzero(catalogue.subject == rng.choice(catalogue.subject)) for _ in range(int(days / 10) + 1)]
    chosen += [np.array([item]) for item in rng.integers(items, size=-(-items // 25))]
    firsts = span.start + rng.random(len(chosen)) * span.seconds
    lasts = firsts + rng.uniform(2, 6, len(chosen)) * DAY_SECONDS
    return [
        (first, last, each, 2.0 if len(each) > 1 else 3.0)
        for first, last, each in zip(firsts, lasts, chosen, strict=True)
    ]
