"""Events that a study app logs for the studies of a block of members."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from content_catalog.schema import FORMATS
from features.schema import VERBS
from simulator.behaviour.study import PASS_MARK, REACTION_SECONDS, Studies
from simulator.columns import rows_of, stacked
from simulator.organisation.catalogue import Catalogue, Flags, Floats, Ints

OPENED_BY_VIEW: Final = ("article", "short_video", "discussion")
LONG_SECONDS: Final = 240
"""Sessions at least this long are often logged in two steps."""


@dataclass(frozen=True, slots=True)
class EventColumns:
    """Events as parallel arrays; ``member``, ``item`` and ``verb`` are positions in block, catalogue and ``VERBS``.

    Not-a-number means that the app logs no such value.
    """

    member: Ints
    item: Ints
    verb: Ints
    occurred_at: Ints
    duration_seconds: Floats
    progress: Floats
    score: Floats
    rating: Floats


def log_of(studies: Studies, catalogue: Catalogue, *, until: int, rng: np.random.Generator) -> EventColumns:
    """Return the events of all studies, earliest first, none at ``until`` or later."""
    log = stacked([*_chain(studies, catalogue, rng), *_reactions(studies, until, rng)])
    order = np.lexsort((log.verb, log.item, log.member, log.occurred_at))
    return rows_of(log, order[log.occurred_at[order] < until])


def _chain(studies: Studies, catalogue: Catalogue, rng: np.random.Generator) -> list[EventColumns]:
    """Return items opened, under way, done: the time of a step counts from the step before."""
    formats = catalogue.format[studies.item]
    is_quiz = formats == FORMATS.index("quiz")
    by_view = np.isin(formats, [FORMATS.index(name) for name in OPENED_BY_VIEW])
    seconds = studies.ended_at - studies.started_at
    to_the_end = studies.after > 1 - 1e-9
    step_chance, break_point = rng.random((2, len(formats)))
    in_steps = np.where(is_quiz, step_chance < 0.5, (step_chance < 0.6) & (seconds >= LONG_SECONDS)) & to_the_end
    first_seconds = np.where(in_steps, np.maximum((seconds * (0.3 + 0.4 * break_point)).astype(np.int64), 1), 0)
    reached = studies.before + (studies.after - studies.before) * first_seconds / seconds
    stops = ~is_quiz & ~to_the_end & (studies.after - studies.before >= 0.08)
    halfway = studies.started_at + first_seconds
    halfway_step: dict[str, Ints | Floats] = {"duration_seconds": first_seconds, "progress": np.minimum(reached, 0.99)}
    last_step: dict[str, Ints | Floats] = {"duration_seconds": seconds, "progress": np.minimum(studies.after, 0.99)}
    rest = seconds - first_seconds
    done: dict[str, Ints | Floats] = {"duration_seconds": rest, "progress": np.ones(len(formats))}
    marked: dict[str, Ints | Floats] = {"duration_seconds": rest, "score": studies.score}
    fails = is_quiz & to_the_end & (studies.score < PASS_MARK)
    return [
        _events(studies, by_view, "viewed", studies.started_at),
        _events(studies, ~by_view, "started", studies.started_at),
        _events(studies, in_steps & ~is_quiz, "progressed", halfway, **halfway_step),
        _events(studies, in_steps & is_quiz, "answered", halfway, duration_seconds=first_seconds),
        _events(studies, stops, "progressed", studies.ended_at, **last_step),
        _events(studies, studies.finished & ~is_quiz, "completed", studies.ended_at, **done),
        _events(studies, studies.finished & is_quiz, "passed", studies.ended_at, **marked),
        _events(studies, fails, "failed", studies.ended_at, **marked),
    ]


def _reactions(studies: Studies, until: int, rng: np.random.Generator) -> list[EventColumns]:
    """Return what some members say about what they have seen enough of, and what they wave away."""
    count = len(studies.item)
    chances = rng.random((5, count))
    moment = studies.ended_at + rng.integers(1, REACTION_SECONDS, count)
    warmth = studies.liking - 2
    seen = (studies.after >= 0.5) & (studies.ended_at + REACTION_SECONDS <= until)
    rating = np.clip(np.rint(3.6 + 0.4 * warmth + rng.normal(0, 0.8, count)), 1, 5)
    likes = np.clip(0.05 * np.exp(0.4 * warmth), 0, 0.25)
    dislikes = np.clip(0.006 * np.exp(-0.5 * warmth), 0, 0.10)
    return [
        _events(studies, seen & (chances[0] < likes), "liked", moment),
        _events(studies, seen & (chances[1] < dislikes), "disliked", moment),
        _events(studies, seen & (chances[2] < 0.025), "bookmarked", moment),
        _events(studies, seen & (chances[3] < 0.015), "shared", moment),
        _events(studies, seen & (chances[4] < 0.025), "rated", moment, rating=rating),
        _events(studies, studies.dismissed, "dismissed", moment),
    ]


def _events(studies: Studies, which: Flags, verb: str, occurred_at: Ints, **values: Ints | Floats) -> EventColumns:
    """Return one event for each study that ``which`` flags; instants and values are given for all studies."""
    rows = np.flatnonzero(which)
    unknown = np.full(len(rows), np.nan)
    filled = {name: column[rows].astype(np.float64) for name, column in values.items()}
    return EventColumns(
        member=studies.member[rows],
        item=studies.item[rows],
        verb=np.full(len(rows), VERBS.index(verb)),
        occurred_at=occurred_at[rows],
        duration_seconds=filled.get("duration_seconds", unknown),
        progress=filled.get("progress", unknown),
        score=filled.get("score", unknown),
        rating=filled.get("rating", unknown),
    )
