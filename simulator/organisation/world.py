"""The tables of the made-up organisation: kinds of work, hours, cities, subjects, words for titles."""

import csv
import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Final

LOCAL_LANGUAGE: Final = "zh-CN"
OTHER_LANGUAGE: Final = "en"
LANGUAGES: Final = (LOCAL_LANGUAGE, OTHER_LANGUAGE)


@dataclass(frozen=True, slots=True)
class Work:
    """A kind of work: the role and industry of its members, their units, hours and habits."""

    share: float
    role: str
    industry: str
    section: str
    unit: tuple[str, str, int]
    hours: tuple[float, ...]
    weekdays: tuple[float, ...]
    activity: float
    items_per_session: float
    phone: float
    english: float
    formats: dict[str, float]
    names: dict[str, str]

    def units(self, region: str) -> list[str]:
        """Return paths of the units of this work in a region, such as ``Express company/North region/Depot 3``."""
        organisation, leaf, leaves = self.unit
        return [f"{organisation}/{region}/{leaf} {number}" for number in range(1, leaves + 1)]


@dataclass(frozen=True, slots=True)
class City:
    """A city where members live; ``region`` is the branch of the organisation there."""

    name: str
    region: str
    share: float
    timezone: str
    utc_offset_hours: int


@dataclass(frozen=True, slots=True)
class Subject:
    """A subject of items within a topic, and the roles and industries it concerns (none: all)."""

    topic: str
    roles: tuple[str, ...]
    industries: tuple[str, ...]
    names: dict[str, str]
    words: dict[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class World:
    """Everything about the organisation that does not depend on the seed."""

    works: tuple[Work, ...]
    cities: tuple[City, ...]
    subjects: tuple[Subject, ...]
    topics: tuple[str, ...]
    phrases: dict[str, dict[str, Any]]


def role_fits(role: str, targets: tuple[str, ...]) -> bool:
    """Return whether a role is one of the targets or below one; ISCO-08 codes begin with their parent's.

    >>> role_fits("83", ("8",)), role_fits("83", ("83", "96")), role_fits("83", ("96",))
    (True, True, False)
    """
    return any(role.startswith(target) for target in targets)


def industry_fits(industry: str, section: str, targets: tuple[str, ...]) -> bool:
    """Return whether a division of GB/T 4754, or the section it belongs to, is one of the targets.

    >>> industry_fits("60", "G", ("G",)), industry_fits("60", "G", ("54", "I"))
    (True, False)
    """
    return industry in targets or section in targets


@cache
def load_world() -> World:
    """Return the tables beside this module."""
    table = tomllib.loads(_text("world.toml"))
    subjects = tuple(_subject(row) for row in csv.DictReader(_text("subjects.csv").splitlines()))
    return World(
        works=tuple(_work(row, table) for row in table["work"]),
        cities=tuple(_city(row) for row in table["city"]),
        subjects=subjects,
        topics=tuple(dict.fromkeys(subject.topic for subject in subjects)),
        phrases=tomllib.loads(_text("titles.toml")),
    )


def _text(name: str) -> str:
    return files("simulator").joinpath(name).read_text(encoding="utf-8")


def _work(row: dict[str, Any], table: dict[str, Any]) -> Work:
    organisation, leaf, leaves = row["unit"]
    return Work(
        share=row["share"],
        role=row["role"],
        industry=row["industry"],
        section=row["section"],
        unit=(organisation, leaf, int(leaves)),
        hours=tuple(table["hours"][row["hours"]]),
        weekdays=tuple(table["weekdays"][row["weekdays"]]),
        activity=row["activity"],
        items_per_session=row["items_per_session"],
        phone=row["phone"],
        english=row["english"],
        formats=row["formats"],
        names={LOCAL_LANGUAGE: row["zh"], OTHER_LANGUAGE: row["en"]},
    )


def _city(row: dict[str, Any]) -> City:
    return City(
        name=row["name"],
        region=row["unit"],
        share=row["share"],
        timezone=row.get("timezone", "Asia/Shanghai"),
        utc_offset_hours=row.get("utc_offset_hours", 8),
    )


def _subject(row: dict[str, str]) -> Subject:
    return Subject(
        topic=row["topic"],
        roles=tuple(row["roles"].split()),
        industries=tuple(row["industries"].split()),
        names={LOCAL_LANGUAGE: row["zh"], OTHER_LANGUAGE: row["en"]},
        words={
            LOCAL_LANGUAGE: tuple(row["words_zh"].split(";")),
            OTHER_LANGUAGE: tuple(row["words_en"].split(";")),
        },
    )
