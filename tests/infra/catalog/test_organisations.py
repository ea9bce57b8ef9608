"""Organisations and the taxonomies they use."""

from datetime import datetime

import pandas as pd
import pytest
from sqlalchemy import Engine

from content_catalog.taxonomy import Taxonomy, shipped
from infra.catalog import organisations
from infra.db.engine import transaction
from infra.errors import UnknownOrganisationError


def own_roles(*codes: str) -> Taxonomy:
    """Return a taxonomy in which each code stands under the one before."""
    table = pd.DataFrame(
        {"parent": ["", *codes[:-1]], "name_en": [f"Role {code}" for code in codes], "name_zh": ""},
        index=pd.Index(codes, name="code"),
    )
    return Taxonomy("rider", table)


def test_an_organisation_is_made_once(engine: Engine, now: datetime) -> None:
    with transaction(engine) as session:
        key = organisations.ensure(session, "couriers", now=now)
        assert organisations.ensure(session, "couriers", now=now) == key
        assert organisations.ensure(session, "快递", now=now) != key
    with transaction(engine) as session:
        assert organisations.key_of(session, "couriers") == key


def test_an_unknown_organisation_is_an_error_that_names_the_known_ones(engine: Engine, now: datetime) -> None:
    with transaction(engine) as session:
        with pytest.raises(UnknownOrganisationError, match="no organisation 'x'; known: none yet"):
            organisations.key_of(session, "x")
        for name in ("couriers", "bakers"):
            organisations.ensure(session, name, now=now)
        with pytest.raises(UnknownOrganisationError, match="known: bakers, couriers; ingest something"):
            organisations.key_of(session, "x")


def test_an_organisation_without_taxonomies_of_its_own_uses_the_shipped_ones(engine: Engine, now: datetime) -> None:
    with transaction(engine) as session:
        key = organisations.ensure(session, "couriers", now=now)
        used = organisations.taxonomies(session, key)
    assert used == {"role": shipped("isco08"), "industry": shipped("gbt4754_2017")}


def test_its_own_taxonomy_replaces_the_shipped_one_and_a_newer_one_replaces_that(engine: Engine, now: datetime) -> None:
    with transaction(engine) as session:
        key = organisations.ensure(session, "couriers", now=now)
        assert organisations.replace_taxonomy(session, key, "role", own_roles("rider", "night", "zone")) == 3
        first = organisations.taxonomies(session, key)
        assert first["role"].path("zone") == ("rider", "night", "zone")
        assert first["industry"] is shipped("gbt4754_2017")
        assert organisations.replace_taxonomy(session, key, "role", own_roles("desk")) == 1
        second = organisations.taxonomy(session, key, "role")
        assert (len(second), second.name_of("desk", "zh-CN"), second.name) == (1, "Role desk", "own roles")


def test_taxonomies_of_one_organisation_are_not_those_of_another(engine: Engine, now: datetime) -> None:
    with transaction(engine) as session:
        key, other = (organisations.ensure(session, name, now=now) for name in ("couriers", "bakers"))
        organisations.replace_taxonomy(session, other, "industry", own_roles("bread"))
        assert organisations.taxonomy(session, key, "industry") is shipped("gbt4754_2017")
        assert organisations.taxonomy(session, other, "role") is shipped("isco08")
        organisations.replace_taxonomy(session, key, "industry", own_roles("parcels"))
        assert list(organisations.taxonomy(session, key, "industry").table.index) == ["parcels"]
        assert list(organisations.taxonomy(session, other, "industry").table.index) == ["bread"]
