"""Arrangement: all that changes a member's stored entries at the moment they are shown."""

from typing import NamedTuple

from infra.policy.curated_entries import NOTHING_CURATED, Curated
from infra.policy.required_entries import NOTHING_REQUIRED, RequiredEntries


class Arrangement(NamedTuple):
    """All that holds for a member: requirements, curations, topics wanted less, saved items, and those that rest."""

    required: RequiredEntries = NOTHING_REQUIRED
    curated: Curated = NOTHING_CURATED
    less_topics: frozenset[str] = frozenset()
    saved: tuple[str, ...] = ()
    resting: frozenset[str] = frozenset()
