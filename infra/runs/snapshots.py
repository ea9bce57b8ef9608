"""What lists of past nights looked like: faces of items and names of codes as they were, kept where they change."""

from typing import Any

import orjson
import pandas as pd
from sqlalchemy import select
from sqlalchemy.orm import Session

from content_catalog.taxonomy import Taxonomy
from infra.catalog import organisations
from infra.catalog.sharing import visible
from infra.db import bulk
from infra.db.core_tables import display_metadata, items, taxonomy_codes

DISPLAY_COLUMNS = ("item_id", "title", "format", "duration_seconds", "language", "url")
"""What an app needs to show an item."""

NAMES = ("parent", "name_en", "name_zh")
ITEM = "item"


def store_display_metadata(session: Session, organisation_key: int, run_key: int) -> int:
    """Write down how items and the organisation's own codes look now, where it is news; return how many.

    A run's lists are shown with the newest faces that were written down up to it.
    """
    known = _faces(session, organisation_key)
    own = select(*(items.c[name] for name in DISPLAY_COLUMNS)).where(visible(organisation_key))
    now = [(ITEM, row["item_id"], _text(row)) for row in session.execute(own).mappings()]
    codes = taxonomy_codes.c
    query = select(codes.kind, codes.code, *(codes[name] for name in NAMES))
    of_codes = session.execute(query.where(codes.organisation_key == organisation_key)).mappings()
    now += [(row["kind"], row["code"], _text({name: row[name] for name in NAMES})) for row in of_codes]
    news = [row for row in now if known.get(row[:2]) != row[2]]
    frame = pd.DataFrame(news, columns=["kind", "code", "fields"])
    return bulk.insert_new(
        session, display_metadata, frame.assign(organisation_key=organisation_key, since_run_key=run_key)
    )


def items_as_of(session: Session, run: dict[str, Any], item_ids: list[str]) -> dict[str, dict[str, Any]]:
    """Return the faces of items as a run's lists showed them, by id; of runs older than the archive only the ids."""
    found = _faces(session, run["organisation_key"], run_key=run["run_key"], kind=ITEM, codes=item_ids)
    faces = {code: orjson.loads(face) for (_, code), face in found.items()}
    unknown = dict.fromkeys(DISPLAY_COLUMNS)
    return {item_id: faces.get(item_id, {**unknown, "item_id": item_id}) for item_id in item_ids}


def taxonomies_as_of(session: Session, run: dict[str, Any]) -> dict[str, Taxonomy]:
    """Return both taxonomies with the names a run's lists showed."""
    made = {}
    for kind in organisations.SHIPPED:
        found = _faces(session, run["organisation_key"], run_key=run["run_key"], kind=kind)
        rows = [{"code": code, **orjson.loads(face)} for (_, code), face in sorted(found.items())]
        own = Taxonomy(organisations.OWN[kind], pd.DataFrame(rows).set_index("code")) if rows else None
        made[kind] = own or organisations.taxonomy(session, run["organisation_key"], kind)
    return made


def _faces(
    session: Session,
    organisation_key: int,
    *,
    run_key: int | None = None,
    kind: str | None = None,
    codes: list[str] | None = None,
) -> dict[tuple[str, str], str]:
    """Return the newest faces up to a run, by kind and code."""
    table = display_metadata.c
    query = select(table.kind, table.code, table.fields).where(table.organisation_key == organisation_key)
    if run_key is not None:
        query = query.where(table.since_run_key <= run_key)
    if kind is not None:
        query = query.where(table.kind == kind)
    if codes is not None:
        query = query.where(table.code.in_(codes))
    rows = session.execute(query.order_by(table.since_run_key))
    return {(row.kind, row.code): row.fields for row in rows}


def _text(face: Any) -> str:
    return orjson.dumps({str(name): value for name, value in face.items()}, option=orjson.OPT_SORT_KEYS).decode()
