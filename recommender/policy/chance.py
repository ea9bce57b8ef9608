"""Reproducible chance: numbers that follow from a seed, the day and the member, so that nights can be repeated."""

from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.interactions import Interactions
from features.study_time import DAY_MICROSECONDS
from recommender.linalg.topk import Positions

DAY_NANOSECONDS: Final = DAY_MICROSECONDS * 1_000
GOLDEN: Final = np.uint64(0x9E3779B97F4A7C15)
"""Odd number by which SplitMix64 goes from one draw to the next."""

Bits = NDArray[np.uint64]


def member_bits(interactions: Interactions, members: Positions) -> Bits:
    """Return well mixed bits for each member, different on each day."""
    day = interactions.as_of.value // DAY_NANOSECONDS
    ids = interactions.memo("hashed members", lambda: _hashed(interactions.members.index))[members]
    return mixed(ids ^ np.uint64(day))


def item_bits(interactions: Interactions, items: Positions) -> Bits:
    """Return bits for each item."""
    hashes: Bits = interactions.item_memo("hashed items", lambda: _hashed(interactions.items.index))
    return hashes[items]


def draws(interactions: Interactions, members: Positions, *, n: int, seed: int) -> NDArray[np.float64]:
    """Return ``n`` independent numbers from 0 up to 1 for each member: (n_members, n)."""
    bits = mixed(member_bits(interactions, members) ^ np.uint64(seed))
    return uniform(mixed(bits[:, None] + GOLDEN * np.arange(1, n + 1, dtype=np.uint64)))


def uniform(bits: Bits) -> NDArray[np.float64]:
    """Return mixed bits as numbers from 0 up to 1."""
    numbers: NDArray[np.float64] = (bits >> np.uint64(11)).astype(np.float64) / 2.0**53
    return numbers


def mixed(values: Bits) -> Bits:
    """Return well mixed bits of 64-bit numbers: the finalizer of SplitMix64 (Steele, Lea and Flood 2014)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def _hashed(index: pd.Index) -> Bits:
    """Return a number for each id."""
    return pd.util.hash_array(np.asarray(index, dtype=object), categorize=False)
