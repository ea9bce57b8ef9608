"""Arrangement: all that changes a member's stored entries at the moment they are shown."""

from typing import NamedTuple

from infra.policy.curated_entries import NOTHING_CURATED, Curated
from infra.policy.required_entries import NOTHING_REQUIRED, RequiredEntries


class Arrangement(NamedTuple):
    """Requirements and curations that hold for a member, and the topics it wants less of."""

    required: RequiredEntries = NOTHING_REQUIRED
    curated: Curated = NOTHING_CURATED
    less_topics: frozenset[str] = frozenset()


AS_RANKED = Arrangement()
