"""Display metadata of items and codes at each run, stored when it changes, so that old lists show as they did."""

from typing import Any

import orjson
import pandas as pd
from sqlalchemy import select
from sqlalchemy.orm import Session

from content_catalog.taxonomy import NAMES, Taxonomy
from infra.catalog import organisations
from infra.catalog.sharing import visible
from infra.catalog.store import DISPLAY_COLUMNS
from infra.db import bulk
from infra.db.core_tables import display_metadata, items, taxonomy_codes

CODE_COLUMNS = ("parent", *NAMES)
ITEM = "item"


def store_display_metadata(session: Session, organisation_key: int, run_key: int) -> int:
    """Store the display metadata of items and of the organisation's own codes where it changed; return how many rows.

    A run's lists are shown with the newest metadata stored up to that run.
    """
    stored = _newest(session, organisation_key)
    own_items = select(*(items.c[name] for name in DISPLAY_COLUMNS)).where(visible(organisation_key))
    current = [(ITEM, row["item_id"], _as_json(row)) for row in session.execute(own_items).mappings()]
    codes = taxonomy_codes.c
    query = select(codes.kind, codes.code, *(codes[name] for name in CODE_COLUMNS))
    own_codes = session.execute(query.where(codes.organisation_key == organisation_key)).mappings()
    current += [(row["kind"], row["code"], _as_json({name: row[name] for name in CODE_COLUMNS})) for row in own_codes]
    changed = [row for row in current if stored.get(row[:2]) != row[2]]
    frame = pd.DataFrame(changed, columns=["kind", "code", "fields"])
    rows = frame.assign(organisation_key=organisation_key, since_run_key=run_key)
    return bulk.insert_new(session, display_metadata, rows)


def items_as_of(session: Session, run: dict[str, Any], item_ids: list[str]) -> dict[str, dict[str, Any]]:
    """Return the display metadata of items as of a run, by id; only the id of an item with none stored."""
    stored = _newest(session, run["organisation_key"], run_key=run["run_key"], kind=ITEM, codes=item_ids)
    metadata = {code: orjson.loads(fields) for (_, code), fields in stored.items()}
    unknown = dict.fromkeys(DISPLAY_COLUMNS)
    return {item_id: metadata.get(item_id, {**unknown, "item_id": item_id}) for item_id in item_ids}


def taxonomies_as_of(session: Session, run: dict[str, Any]) -> dict[str, Taxonomy]:
    """Return both taxonomies with the names as of a run."""
    taxonomies = {}
    for kind in organisations.SHIPPED:
        stored = _newest(session, run["organisation_key"], run_key=run["run_key"], kind=kind)
        rows = [{"code": code, **orjson.loads(fields)} for (_, code), fields in sorted(stored.items())]
        own = Taxonomy(organisations.OWN[kind], pd.DataFrame(rows).set_index("code")) if rows else None
        taxonomies[kind] = own or organisations.taxonomy(session, run["organisation_key"], kind)
    return taxonomies


def _newest(
    session: Session,
    organisation_key: int,
    *,
    run_key: int | None = None,
    kind: str | None = None,
    codes: list[str] | None = None,
) -> dict[tuple[str, str], str]:
    """Return the newest display metadata up to a run as JSON, by kind and code."""
    table = display_metadata.c
    query = select(table.kind, table.code, table.fields).where(table.organisation_key == organisation_key)
    if run_key is not None:
        query = query.where(table.since_run_key <= run_key)
    if kind is not None:
        query = query.where(table.kind == kind)
    if codes is not None:
        query = query.where(bulk.any_of(table.code, codes))
    return {(row.kind, row.code): row.fields for row in session.execute(query.order_by(table.since_run_key))}


def _as_json(fields: Any) -> str:
    return orjson.dumps({str(name): value for name, value in fields.items()}, option=orjson.OPT_SORT_KEYS).decode()
