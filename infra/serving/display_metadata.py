"""Display metadata: titles, links and offer rules of items, and names of codes, at one version of the catalogue."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from content_catalog.requirements import Requirement
from content_catalog.schema import split_list
from content_catalog.taxonomy import Taxonomy
from infra.catalog import organisations, requirements
from infra.catalog import store as catalog
from infra.db import catalog_version
from infra.policy import curated_entries
from infra.runs import snapshots
from infra.serving.eligibility import UNCONDITIONAL, OfferRules, Recipient, offer_rules, open_prerequisites
from recommender.policy.curations import Curation, bans_by_item, pinned
from recommender.policy.required import RequiredItems
from recommender.policy.selection import ItemFacts

CATALOGUE_VERSION = select(catalog_version.total())


class RenderedEntry(NamedTuple):
    """An entry of a list as JSON, without its rank."""

    json: bytes
    """The object without its opening brace, which comes with the rank."""
    item_id: str
    rules: OfferRules | None
    """Conditions under which the item may be offered; None where there are none."""
    facts: ItemFacts


@dataclass(frozen=True, slots=True)
class DisplayNames:
    """Items and taxonomies as lists show them.

    Attributes
    ----------
    version : int
        Version of the catalogue.
    items : dict
        Fields of each item that apps show, by id; None for an item that the catalogue does not have.
    rules : dict
        Conditions under which each item of the catalogue may be offered, by id; those of prerequisites as well.
    taxonomies : mapping
        Taxonomies of ``role`` and ``industry``.
    topics : dict
        Topics of each item, by id; none as of a past run.
    requirements : tuple of Requirement
        Requirements of the organisation; their items, and what these need, are always among the items.
    curations : tuple of Curation
        Curations of the organisation; what they pin is always among the items.
    timezone : str, optional
        The organisation's own time zone.
    rendered : dict
        Rendered entries by language, whether with reasons, and the day these are dated by, then by the stored JSON of
        the entry.
    """

    version: int
    items: dict[str, Mapping[str, Any] | None]
    rules: dict[str, OfferRules]
    taxonomies: Mapping[str, Taxonomy]
    topics: dict[str, frozenset[str]] = field(default_factory=dict)
    requirements: tuple[Requirement, ...] = ()
    curations: tuple[Curation, ...] = ()
    timezone: str | None = None
    rendered: dict[tuple[str, bool, date | None], dict[str, RenderedEntry | None]] = field(default_factory=dict)

    def title_of(self, item_id: str) -> str | None:
        """Return the title of an item; None without one.

        Raises
        ------
        KeyError
            The item has not been read.
        """
        return (self.items[item_id] or {}).get("title")

    def read(self, session: Session, organisation_key: int, item_ids: Iterable[str]) -> None:
        """Read the items that are not there yet, and the rules of their prerequisites."""
        missing = [item_id for item_id in item_ids if item_id not in self.items]
        if self.requirements or self.curations:
            missing += self._always_needed(session, organisation_key, {*missing, *self.items})
        bans = bans_by_item(self.curations)
        rows = catalog.display_items(session, organisation_key, missing)
        rules = {item_id: offer_rules(row, bans.get(item_id, ())) for item_id, row in rows.items()}
        needed = {name for rule in rules.values() for name in rule.prerequisites} - self.rules.keys() - rules.keys()
        if needed:
            before = catalog.display_items(session, organisation_key, sorted(needed))
            rules |= {item_id: offer_rules(row, bans.get(item_id, ())) for item_id, row in before.items()}
        self.rules.update(rules)
        self.topics.update((item_id, frozenset(split_list(row["topics"]))) for item_id, row in rows.items())
        self.items.update((item_id, _displayed(rows[item_id]) if item_id in rows else None) for item_id in missing)

    def _always_needed(self, session: Session, organisation_key: int, present: set[str]) -> list[str]:
        """Return the required and pinned items, and what these need, that are not there yet."""
        required: list[str] = []
        wanted = {item_id for requirement in self.requirements for item_id in requirement.items}
        wanted = wanted.union(pinned(self.curations)) - present
        while wanted:
            required += sorted(wanted)
            rows = catalog.display_items(session, organisation_key, sorted(wanted))
            needed = {name for row in rows.values() for name in split_list(row["prerequisites"])}
            wanted = needed - present - set(required)
        return required


def _displayed(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: row[name] for name in catalog.DISPLAY_COLUMNS}


def empty(session: Session, organisation_key: int, cached: DisplayNames | None = None) -> DisplayNames:
    """Return the cached display names if they are of the present catalogue version, or new ones without items."""
    # The version first: what is read after it is as new or newer.
    version = session.execute(CATALOGUE_VERSION).scalar_one()
    if cached is not None and cached.version == version:
        return cached
    return DisplayNames(
        version,
        {},
        {},
        organisations.taxonomies(session, organisation_key),
        requirements=requirements.of_organisation(session, organisation_key),
        curations=curated_entries.of_organisation(session, organisation_key),
        timezone=organisations.timezone(session, organisation_key),
    )


def current(
    session: Session, organisation_key: int, item_ids: Iterable[str], cached: DisplayNames | None = None
) -> DisplayNames:
    """Return the present display names of some items, read into the cached ones where these are of now."""
    names = empty(session, organisation_key, cached)
    names.read(session, organisation_key, item_ids)
    return names


def as_of_run(session: Session, run: dict[str, Any], item_ids: list[str]) -> DisplayNames:
    """Return the display names with which the lists of a past run were shown; every item may be offered."""
    items: dict[str, Mapping[str, Any] | None] = dict(snapshots.items_as_of(session, run, item_ids))
    return DisplayNames(0, items, dict.fromkeys(items, UNCONDITIONAL), snapshots.taxonomies_as_of(session, run))


def required_items(names: DisplayNames, recipient: Recipient, now: datetime) -> RequiredItems:
    """Return the functions by which a recipient's requirements depend on items."""

    def seconds(item_id: str) -> float | None:
        item = names.items.get(item_id)
        return None if item is None else item["duration_seconds"]

    def prerequisites(item_id: str) -> list[str]:
        return open_prerequisites(names.rules[item_id], names.rules, now) if item_id in names.rules else []

    def is_open(item_id: str) -> bool:
        rules = names.rules.get(item_id)
        if rules is None or not rules.can_be_finished(now) or recipient.is_banned(rules, now):
            return False
        return recipient.is_in_audience(rules) and recipient.has_device(rules)

    return RequiredItems(seconds, prerequisites, is_open)


def offered_now(item_id: str, names: DisplayNames, recipient: Recipient, now: datetime) -> bool:
    """Return whether a recipient may be offered an item now."""
    rules = names.rules.get(item_id)
    return rules is not None and recipient.may_be_offered(rules, names.rules, now)
