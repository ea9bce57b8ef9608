"""Study rules of the made-up organisation: series, advice, live sessions, requirements, and what members ask for."""

import csv
from collections import Counter
from pathlib import Path
from typing import Final

import numpy as np

from content_catalog.schema import DEVICE_FORMATS, FORMATS, ITEMS, LIST_SEPARATOR, REQUIREMENTS
from features.schema import MEMBERS
from simulator.organisation.catalogue import DAY_SECONDS, NEVER, Audience, Catalogue, Period
from simulator.organisation.titles import capitalised
from simulator.organisation.world import LANGUAGES, Work, World, industry_fits, role_fits

REQUIREMENTS_FILE: Final = "requirements.csv"
ADVISED_SHARE: Final = 0.1
FOLLOWING_SHARE: Final = 0.2
LESS_SHARE: Final = 0.1
DEVICE_EVERY: Final = 10
"""One member in so many registers a device; others have used one."""
SESSION_STARTS: Final = 19
"""Half-hours of a day at which live sessions begin: 09:00 to 18:00 in Shanghai is 01:00 to 10:00 UTC."""
RECENT_LIVE: Final = 14 * DAY_SECONDS
MAX_REQUIRED_SECONDS: Final = 240
BEST: Final = 8
"""Required items are among so many of the highest quality."""
DUE_DAYS: Final = (30, 2, 12, 45, 60, 20)
"""Days from the end of the log until each requirement is due."""

Row = list[str]


def series_of(world: World, catalogue: Catalogue) -> list[str]:
    """Return the series of each item, named after its subject in its language; empty outside of series."""
    names: list[str] = []
    used: Counter[str] = Counter()
    for item, previous in enumerate(catalogue.previous.tolist()):
        name = names[previous] if previous >= 0 else ""
        if catalogue.part[item] and not name:
            language = LANGUAGES[catalogue.language[item]]
            name = capitalised(world.subjects[catalogue.subject[item]].names[language])
            used[name] += 1
            if used[name] > 1:
                name = world.phrases[language]["again"].format(title=name, number=used[name])
        names.append(name)
    return names


def ruled_items(
    world: World, catalogue: Catalogue, rows: list[Row], *, span: Period, rng: np.random.Generator
) -> list[Row]:
    """Return the rows of items with their series, items to study before them, and times of live sessions to come."""
    series, live = series_of(world, catalogue), FORMATS.index("live")
    advised = rng.random(len(rows)) < ADVISED_SHARE
    earlier = (rng.random(len(rows)) * np.arange(len(rows))).astype(np.int64)
    day, half_hour = np.divmod((rng.random(len(rows)) * 10 * SESSION_STARTS).astype(np.int64), SESSION_STARTS)
    starts = -(-span.until // DAY_SECONDS) * DAY_SECONDS + day * DAY_SECONDS + 3_600 + half_hour * 1_800
    ruled = []
    for item, row in enumerate(rows):
        fields: dict[str, str] = {}
        if series[item]:
            fields = {"series": series[item], "series_position": str(catalogue.part[item])}
        elif advised[item] and item:
            fields = {"advised_prerequisites": catalogue.item_ids[earlier[item]]}
        is_open = catalogue.usable_until[item] == NEVER
        if catalogue.format[item] == live and is_open and catalogue.published_at[item] > span.until - RECENT_LIVE:
            ends = starts[item] + catalogue.duration_seconds[item]
            fields |= {
                name: f"{np.datetime64(int(at), 's')}Z" for name, at in (("starts_at", starts[item]), ("ends_at", ends))
            }
        ruled.append(_filled(row, ITEMS.names, fields))
    return ruled


def ruled_members(world: World, catalogue: Catalogue, rows: list[Row], *, rng: np.random.Generator) -> list[Row]:
    """Return the rows of members with series that some follow, topics that some want less of, and some devices."""
    series = sorted({name for name in series_of(world, catalogue) if name})
    follow, less = rng.random(len(rows)) < FOLLOWING_SHARE, rng.random(len(rows)) < LESS_SHARE
    choice = rng.random((2, len(rows)))
    ruled = []
    for number, row in enumerate(rows):
        fields = {}
        if series and follow[number]:
            fields["follows"] = series[int(choice[0, number] * len(series))]
        if less[number]:
            fields["less_topics"] = world.topics[int(choice[1, number] * len(world.topics))]
        if number % DEVICE_EVERY == 0:
            fields["devices"] = DEVICE_FORMATS[number // DEVICE_EVERY % len(DEVICE_FORMATS)]
        ruled.append(_filled(row, MEMBERS.names, fields))
    return ruled


def write_requirements(
    folder: Path, world: World, catalogue: Catalogue, *, span: Period, rng: np.random.Generator
) -> int:
    """Write what the organisation requires: one requirement of each kind of work, two of everybody; return how many.

    Items are short and good, so that some members have met each requirement, and fit the kind of work if any item does.
    """
    is_open = (catalogue.usable_until == NEVER) & (catalogue.usable_from <= span.until) & (catalogue.previous < 0)
    is_open &= catalogue.duration_seconds <= MAX_REQUIRED_SECONDS
    usable = [item for item in np.flatnonzero(is_open).tolist() if not catalogue.audiences[item].restricted]
    general = [item for item in usable if catalogue.audiences[item] == Audience()]
    rows: list[dict[str, str]] = []
    for number, work in enumerate([*world.works, None, None]):
        if not usable:
            break
        fitting = [item for item in usable if work and _is_for(catalogue.audiences[item], work)]
        best = sorted(fitting or general or usable, key=lambda item: -catalogue.quality[item])[:BEST]
        items = rng.choice(best, size=min(1 + number % 2, len(best)) if work else 1, replace=False).tolist()
        due = _day(span.until + DUE_DAYS[number % len(DUE_DAYS)] * DAY_SECONDS)
        by_joining = {"days_after_joining": "60", "starts_on": str(_day(span.until - 30 * DAY_SECONDS))}
        when = by_joining if work is None and number % 2 else {"due_on": str(due)}
        whom = {} if work is None else {"target_roles": work.role, "target_industries": work.industry}
        named = {
            "requirement_id": f"r{number + 1:02d}",
            "items": LIST_SEPARATOR.join(catalogue.item_ids[i] for i in items),
        }
        rows.append(named | whom | when)
    with (folder / REQUIREMENTS_FILE).open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, REQUIREMENTS.names, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return len(rows)


def _is_for(audience: Audience, work: Work) -> bool:
    """Return whether items for an audience are for a kind of work: for its role, and for no other industry."""
    industries = audience.industries
    of_industry = not industries or industry_fits(work.industry, work.section, industries)
    return of_industry and role_fits(work.role, audience.roles)


def _day(seconds: int) -> np.datetime64:
    """Return the day of a moment in seconds since 1970."""
    return np.datetime64(seconds, "s").astype("datetime64[D]")


def _filled(row: Row, names: list[str], fields: dict[str, str]) -> Row:
    """Return a row with other values of some columns."""
    return [fields.get(name, value) for name, value in zip(names, row, strict=True)]
