"""The made-up catalogue: what each item is about, for whom, and from when to when it can be studied."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from content_catalog.schema import FORMATS
from simulator.organisation.world import World

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

DAY_SECONDS: Final = 86_400
NEVER: Final = 1 << 60
"""An instant no simulation reaches, in seconds since 1970."""

FORMAT_SHARES: Final = {
    "article": 0.27, "video": 0.20, "short_video": 0.20, "live": 0.05, "quiz": 0.08,
    "discussion": 0.05, "course": 0.09, "vr": 0.03, "ar": 0.03,
}  # fmt: skip
TYPICAL_SECONDS: Final = {
    "article": 300, "video": 720, "short_video": 75, "live": 3600, "quiz": 300,
    "discussion": 420, "course": 2400, "vr": 600, "ar": 300,
}  # fmt: skip
HANDS_ON_TOPICS: Final = ("safety", "technology", "history")
"""Topics that are worth a headset; VR and AR about anything else become articles."""


@dataclass(frozen=True, slots=True)
class Period:
    """The time that the log covers, ``[start, until)`` in seconds since 1970."""

    start: int
    until: int

    @property
    def seconds(self) -> int:
        """Its length."""
        return self.until - self.start


@dataclass(frozen=True, slots=True)
class Audience:
    """Target groups of an item. ``restricted``: only they may see it; otherwise it suits them better."""

    roles: tuple[str, ...] = ()
    industries: tuple[str, ...] = ()
    units: tuple[str, ...] = ()
    restricted: bool = False


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Items as parallel arrays of length n, oldest publication first; instants in seconds since 1970.

    ``second_subject`` and ``previous`` are -1 where there is none; ``previous`` is the part of a series to finish
    first, ``part`` counts from 1 in a series and is 0 outside. An item can be studied in ``[usable_from,
    usable_until)``.
    """

    item_ids: list[str]
    subject: Ints
    second_subject: Ints
    format: Ints
    language: Ints
    duration_seconds: Ints
    quality: Floats
    audiences: list[Audience]
    previous: Ints
    part: Ints
    published_at: Ints
    available_from: Ints
    available_until: Ints
    hidden_at: Ints

    @property
    def usable_from(self) -> Ints:
        """First moment at which an item can be studied."""
        return np.maximum(self.published_at, np.where(self.available_from == NEVER, 0, self.available_from))

    @property
    def usable_until(self) -> Ints:
        """Moment from which an item can no longer be studied."""
        return np.minimum(self.available_until, self.hidden_at)

    @property
    def following(self) -> Ints:
        """The next part of the series of each item, -1 where there is none."""
        following = np.full(len(self.item_ids), -1)
        later = np.flatnonzero(self.previous >= 0)
        following[self.previous[later]] = later
        return following


def make_catalogue(world: World, *, items: int, span: Period, rng: np.random.Generator) -> Catalogue:
    """Return items of all topics, formats and languages; a third of them old, the others published along the way."""
    subject = _subjects(world, items, rng)
    published = _publication(items, span, rng)
    formats = _formats(world, subject, rng)
    previous, part = _series(items, rng)
    language = (rng.random(items) < 0.13).astype(np.int64)
    for item in np.flatnonzero(previous >= 0):  # a series keeps its subject and language; it may end in a quiz
        subject[item], language[item] = subject[previous[item]], language[previous[item]]
    in_series = part > 0
    formats[in_series] = np.where(rng.random(in_series.sum()) < 0.7, FORMATS.index("course"), FORMATS.index("video"))
    is_last = in_series & ~np.isin(np.arange(items), previous)
    formats[is_last & (rng.random(items) < 0.4)] = FORMATS.index("quiz")
    typical = np.array([TYPICAL_SECONDS[name] for name in FORMATS])[formats]
    duration = np.clip(typical * rng.lognormal(0, 0.45, items), 20, 4 * 3600).astype(np.int64)
    leaves = (rng.random(items) < 0.06) & ~in_series
    hides = (rng.random(items) < 0.03) & ~in_series
    scheduled = (rng.random(items) < 0.15) & (published > span.until - 7 * DAY_SECONDS) & ~in_series
    return Catalogue(
        item_ids=[f"i{number:05d}" for number in range(1, items + 1)],
        subject=subject,
        second_subject=_second_subjects(world, subject, rng),
        format=formats,
        language=language,
        duration_seconds=duration,
        quality=rng.normal(0, 0.5, items),
        audiences=_audiences(world, subject, previous=previous, part=part, rng=rng),
        previous=previous,
        part=part,
        published_at=published,
        available_from=np.where(scheduled, span.until + rng.integers(1, 10, items) * DAY_SECONDS, NEVER),
        available_until=np.where(leaves, published + rng.integers(15, 80, items) * DAY_SECONDS, NEVER),
        hidden_at=np.where(hides, (published + rng.random(items) * (span.until - published)).astype(np.int64), NEVER),
    )


def _publication(items: int, span: Period, rng: np.random.Generator) -> Ints:
    """Return ascending instants of working hours, in strata, so that even the smallest catalogue has new items."""
    earlier = round(0.3 * items)
    later = items - earlier
    before = span.start - rng.random(earlier) * 365 * DAY_SECONDS
    after = span.start + (np.arange(later) + rng.random(later)) / max(later, 1) * span.seconds
    days = np.concatenate([np.sort(before), after]) // DAY_SECONDS * DAY_SECONDS
    working_hours = rng.random(items) * 12 * 3600  # 08:00 to 20:00 in Shanghai is 00:00 to 12:00 UTC
    return np.sort(np.minimum(days + working_hours, span.until - 3600)).astype(np.int64)


def _subjects(world: World, items: int, rng: np.random.Generator) -> Ints:
    """Return subjects: every topic equally often, and within a topic every subject about equally often."""
    by_topic = [[n for n, subject in enumerate(world.subjects) if subject.topic == topic] for topic in world.topics]
    topics = rng.permutation(np.arange(items) % len(by_topic))
    return np.array([by_topic[topic][rng.integers(len(by_topic[topic]))] for topic in topics], dtype=np.int64)


def _second_subjects(world: World, subject: Ints, rng: np.random.Generator) -> Ints:
    """Return a subject of another topic for every third item."""
    topic = np.array([world.topics.index(each.topic) for each in world.subjects])
    second = rng.integers(len(world.subjects), size=len(subject))
    return np.where((rng.random(len(subject)) < 0.35) & (topic[second] != topic[subject]), second, -1)


def _formats(world: World, subject: Ints, rng: np.random.Generator) -> Ints:
    shares = np.array([FORMAT_SHARES[name] for name in FORMATS])
    formats = rng.choice(len(FORMATS), size=len(subject), p=shares / shares.sum())
    hands_on = np.array([each.topic in HANDS_ON_TOPICS for each in world.subjects])[subject]
    needs_headset = np.isin(formats, [FORMATS.index("vr"), FORMATS.index("ar")])
    return np.where(needs_headset & ~hands_on, FORMATS.index("article"), formats)


def _series(items: int, rng: np.random.Generator) -> tuple[Ints, Ints]:
    """Return the parts before and the part numbers; a part is published after the one before, so no cycle can arise."""
    previous = np.full(items, -1)
    part = np.zeros(items, dtype=np.int64)
    starts = rng.permutation(items)[: -(-items // 20)]
    for first in np.sort(starts):
        chain = first + np.concatenate([[0], np.cumsum(rng.integers(1, 6, size=rng.integers(1, 4)))])
        chain = chain[chain < items]
        if len(chain) > 1 and not part[chain].any():
            previous[chain[1:]] = chain[:-1]
            part[chain] = np.arange(1, len(chain) + 1)
    return previous, part


def _audiences(world: World, subject: Ints, *, previous: Ints, part: Ints, rng: np.random.Generator) -> list[Audience]:
    audiences: list[Audience] = []
    for item, kind in enumerate(subject):
        if previous[item] >= 0:
            audiences.append(audiences[previous[item]])
        elif part[item] == 0 and rng.random() < 0.055:
            audiences.append(_closed_audience(world, rng))
        else:
            audiences.append(_fitting_audience(world, kind, rng))
    return audiences


def _fitting_audience(world: World, kind: int, rng: np.random.Generator) -> Audience:
    """Return the people its subject concerns, or for a subject of general interest now and then one kind of work."""
    subject = world.subjects[kind]
    if subject.roles or subject.industries:
        if rng.random() > 0.47:
            return Audience()
        return Audience(
            roles=subject.roles if rng.random() < 0.8 else (),
            industries=subject.industries if rng.random() < 0.8 else (),
        )
    if rng.random() > 0.15:
        return Audience()
    work = world.works[rng.integers(len(world.works))]
    by_role, broadly = rng.random(2) < 0.5
    if by_role:
        return Audience(roles=(work.role[0] if broadly else work.role,))
    return Audience(industries=(work.section if broadly else work.industry,))


def _closed_audience(world: World, rng: np.random.Generator) -> Audience:
    """Return one role, one industry or one unit: never two, as "and" and "or" would then mean different people."""
    work = world.works[rng.integers(len(world.works))]
    way = rng.integers(3)
    if way == 0:
        return Audience(roles=(work.role,), restricted=True)
    if way == 1:
        return Audience(industries=(work.section if rng.random() < 0.3 else work.industry,), restricted=True)
    region = world.cities[rng.integers(len(world.cities))].region
    unit = f"{work.unit[0]}/{region}" if rng.random() < 0.6 else str(rng.choice(work.units(region)))
    return Audience(units=(unit,), restricted=True)
