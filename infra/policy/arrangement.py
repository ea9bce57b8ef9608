"""Arrangement: all that changes a member's stored entries at the moment they are shown."""

from typing import NamedTuple

from infra.policy.curated_entries import NOTHING_CURATED, Curated
from infra.policy.required_entries import NOTHING_REQUIRED, RequiredEntries


class Arrangement(NamedTuple):
    """Requirements and curations that hold for a member, the topics it wants less of, and the items it saved."""

    required: RequiredEntries = NOTHING_REQUIRED
    curated: Curated = NOTHING_CURATED
    less_topics: frozenset[str] = frozenset()
    saved: tuple[str, ...] = ()


AS_RANKED = Arrangement()
