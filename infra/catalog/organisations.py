"""Organisations (tenants) and the taxonomies they use."""

from collections.abc import Sequence
from datetime import datetime

import pandas as pd
from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from content_catalog.taxonomy import NAMES, Taxonomy, shipped
from infra.db import bulk, catalog_version
from infra.db.core_tables import organisations, taxonomy_codes
from infra.errors import UnknownOrganisationError
from infra.settings.settings import Settings

SHIPPED = {"role": "isco08", "industry": "gbt4754_2017"}
OWN = {"role": "own roles", "industry": "own industries"}


def ensure(session: Session, name: str, *, now: datetime) -> int:
    """Return the key of an organisation, which is created if it is new."""
    query = select(organisations.c.organisation_key).where(organisations.c.name == name)
    key = session.scalar(query)
    if key is None:
        row = bulk.insert_into(session, organisations).values(name=name, created_at=now)
        session.execute(row.on_conflict_do_nothing())  # another transaction may create it meanwhile
        key = session.execute(query).scalar_one()
    return key


def key_of(session: Session, name: str) -> int:
    """Return the key of an organisation.

    Raises
    ------
    UnknownOrganisationError
        No organisation has this name.
    """
    key = session.scalar(select(organisations.c.organisation_key).where(organisations.c.name == name))
    if key is None:
        names = session.scalars(select(organisations.c.name).order_by(organisations.c.name).limit(10))
        existing = ", ".join(names) or "none yet"
        raise UnknownOrganisationError(f"no organisation {name!r}; known: {existing}; ingest something for it first")
    return key


def keys_of(session: Session, names: Sequence[str]) -> dict[str, int]:
    """Return the keys of the organisations that exist among these names, by name and in this order."""
    named = organisations.c.name.in_(names)
    keys = dict(session.execute(select(organisations.c.name, organisations.c.organisation_key).where(named)).all())
    return {name: keys[name] for name in names if name in keys}


def name_of(session: Session, organisation_key: int) -> str:
    """Return the name of an organisation."""
    query = select(organisations.c.name).where(organisations.c.organisation_key == organisation_key)
    return session.execute(query).scalar_one()


def timezone(session: Session, organisation_key: int) -> str | None:
    """Return the organisation's own time zone; None where the settings give it."""
    row = organisations.c.organisation_key == organisation_key
    return session.scalar(select(organisations.c.timezone).where(row))


def set_timezone(session: Session, organisation_key: int, zone: str | None) -> None:
    """Set the organisation's own time zone, an IANA name; None: the one of the settings."""
    row = organisations.c.organisation_key == organisation_key
    session.execute(update(organisations).where(row).values(timezone=zone))
    # Due dates end in this zone, though no item changes: caches must notice.
    catalog_version.increase(session, organisation_key)


def local_settings(session: Session, organisation_key: int, settings: Settings) -> Settings:
    """Return the settings as they hold for an organisation: with its own time zone, where it has one."""
    own = timezone(session, organisation_key)
    return settings if own is None else settings.model_copy(update={"timezone": own})


def lock(session: Session, organisation_key: int) -> None:
    """Lock the organisation's row until this transaction ends; other callers of this function wait."""
    row = organisations.c.organisation_key == organisation_key
    session.execute(update(organisations).where(row).values(name=organisations.c.name))


def taxonomy(session: Session, organisation_key: int, kind: str) -> Taxonomy:
    """Return an organisation's taxonomy of ``role`` or ``industry``: its own, or the shipped one without it."""
    own = taxonomy_codes.c
    query = (
        select(own.code, own.parent, own.name_en, own.name_zh)
        .where(own.organisation_key == organisation_key, own.kind == kind)
        .order_by(own.code)
    )
    rows = session.execute(query).all()
    if not rows:
        return shipped(SHIPPED[kind])
    return Taxonomy(OWN[kind], pd.DataFrame(rows).set_index("code"))


def taxonomies(session: Session, organisation_key: int) -> dict[str, Taxonomy]:
    """Return both of an organisation's taxonomies, by kind."""
    return {kind: taxonomy(session, organisation_key, kind) for kind in SHIPPED}


def replace_taxonomy(session: Session, organisation_key: int, kind: str, new: Taxonomy) -> int:
    """Store a taxonomy as the organisation's own; return its number of codes."""
    own = taxonomy_codes.c
    session.execute(delete(taxonomy_codes).where(own.organisation_key == organisation_key, own.kind == kind))
    table = new.table[["parent", *NAMES]].reset_index(names="code")
    return bulk.insert_new(session, taxonomy_codes, table.assign(organisation_key=organisation_key, kind=kind))
