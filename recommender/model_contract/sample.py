"""Sample interactions: from study events written by hand, or of a random organisation."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from content_catalog.io.validation import check_rows
from content_catalog.schema import ITEMS, Schema
from features.interactions import Interactions, build_interactions
from features.schema import MEMBERS
from features.study_time import DAY_MICROSECONDS
from features.weights import WeightingRules
from recommender.errors import ModelError

NOW: Final = pd.Timestamp("2026-03-01T00:00:00Z")
Described = Mapping[str, Mapping[str, str]]


class Study(NamedTuple):
    """One study event."""

    member: str
    item: str
    verb: str = "completed"
    days_ago: float = 1.0
    seconds: float = float("nan")
    progress: float = float("nan")


@dataclass(frozen=True)
class Organisation:
    """Interactions, and the study events that they were made from."""

    interactions: Interactions
    studied: list[Study]


def make_interactions(
    studied: Iterable[tuple[Any, ...]],
    *,
    members: Described | None = None,
    items: Described | None = None,
    rules: WeightingRules | None = None,
) -> Interactions:
    """Return interactions from study events, each the first few fields of a :class:`Study`.

    ``members`` and ``items`` describe some of those that the events name, and add others.
    """
    rows = [Study(*row) for row in studied]
    who = table(MEMBERS, {row.member: {} for row in rows} | dict(members or {}))
    what = table(ITEMS, {row.item: {} for row in rows} | dict(items or {}))
    events = event_frame(
        who.index.get_indexer([row.member for row in rows]),
        what.index.get_indexer([row.item for row in rows]),
        verb=np.array([row.verb for row in rows], dtype=object),
        days_ago=np.array([row.days_ago for row in rows], dtype=np.float64),
        seconds=np.array([row.seconds for row in rows], dtype=np.float64),
        progress=np.array([row.progress for row in rows], dtype=np.float64),
    )
    return build_interactions(events, members=who, items=what, as_of=NOW, rules=rules)


def table(schema: Schema, described: Described) -> pd.DataFrame:
    """Return checked rows by id, typed as those that come out of the database."""
    key = schema.names[0]
    lines = pd.DataFrame([{key: name, **values} for name, values in described.items()], columns=schema.names)
    rows, rejects = check_rows(lines.astype("object"), schema)
    if len(rejects):
        raise ModelError(f"sample rows do not pass the checks of {key}: {rejects.to_string()}")
    return rows.set_index(key).sort_index()


def event_frame(
    members: NDArray[Any],
    items: NDArray[Any],
    *,
    verb: NDArray[Any],
    days_ago: NDArray[np.float64],
    seconds: NDArray[np.float64],
    progress: NDArray[np.float64],
) -> pd.DataFrame:
    """Return the events that :func:`features.interactions.build_interactions` takes."""
    return pd.DataFrame(
        {
            "member": members.astype("int32"),
            "item": items.astype("int32"),
            "verb": verb,
            "occurred_at": NOW.value // 1_000 - np.round(days_ago * DAY_MICROSECONDS).astype("int64"),
            "duration_seconds": seconds,
            "progress": progress,
            "score": np.nan,
            "session": np.zeros(len(members), dtype="uint64"),
        }
    )


def random_organisation(seed: int, *, members: int, items: int, studies: int) -> Organisation:
    """Return an organisation of all sorts of members and items, most of whom studied something."""
    rng = np.random.default_rng(seed)
    roles, industries = ["", "8", "83", "83", "83", "41", "999"], ["", "G", "60", "60", "54", "I"]
    people = {
        f"m{number:03d}": {
            "role": str(rng.choice(roles)),
            "industry": str(rng.choice(industries)),
            "units": str(rng.choice(["", "North", "North/Depot 3", "South;North/Depot 1"])),
            "personalised": str(rng.choice(["", "true", "false"], p=[0.6, 0.3, 0.1])),
        }
        for number in range(members)
    }
    content = {
        f"i{number:03d}": {
            "topics": str(rng.choice(["", "safety", "history;theory"])),
            "duration_seconds": str(rng.choice(["", "300", "900"])),
            "published_at": str(rng.choice(["", "2026-02-20", "2026-02-10", "2025-11-01"])),
            "hidden": str(rng.choice(["", "true"], p=[0.9, 0.1])),
            "available_until": str(rng.choice(["", "2026-02-28"], p=[0.9, 0.1])),
            **_audience(rng),
        }
        for number in range(items)
    }
    # One item and one member in five are left alone.
    pairs = list(
        product([name for name in people if int(name[1:]) % 5], [name for name in content if int(name[1:]) % 5])
    )
    verbs = ["viewed", "completed", "progressed", "liked", "disliked", "dismissed"]
    studied = [
        Study(
            *pairs[int(place)],
            str(rng.choice(verbs, p=[0.3, 0.3, 0.2, 0.1, 0.05, 0.05])),
            float(np.round(rng.choice([rng.uniform(0.01, 7), rng.uniform(0.01, 120)]), 3)),
            float(rng.choice([np.nan, 60.0, 400.0])),
            float(rng.choice([np.nan, 0.4, 1.0])),
        )
        for place in len(pairs) * rng.random(studies) ** 2
    ]
    return Organisation(make_interactions(studied, members=people, items=content), studied)


def _audience(rng: np.random.Generator) -> dict[str, str]:
    if rng.random() > 0.25:
        return {}
    return {
        "audience": "restricted",
        "target_roles": str(rng.choice(["", "8", "83", "41;83"])),
        "target_industries": str(rng.choice(["", "G", "60", "I"])),
        "target_units": str(rng.choice(["", "", "North", "North/Depot 3"])),
    }
