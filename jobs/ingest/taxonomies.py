"""Import of an organisation's own taxonomy."""

from datetime import datetime
from typing import Any

from sqlalchemy import Engine

from content_catalog.taxonomy import Taxonomy
from infra.access import audit
from infra.catalog import organisations, taxonomies
from infra.db.engine import transaction
from infra.settings.settings import Settings


def import_taxonomy(
    engine: Engine, settings: Settings, kind: str, taxonomy: Taxonomy, *, now: datetime, actor: str
) -> dict[str, Any]:
    """Store a taxonomy of ``role`` or ``industry`` as the organisation's own.

    Returns
    -------
    dict
        ``codes``, and the stored codes of members and items that the taxonomy lacks
        (:func:`infra.catalog.taxonomies.unknown_in_use`).
    """
    with transaction(engine) as session:
        key = organisations.ensure(session, settings.organisation, now=now)
        detail = {"kind": kind, "codes": organisations.replace_taxonomy(session, key, kind, taxonomy)}
        unknown = taxonomies.unknown_in_use(session, key, kind)
        audit.append(session, key, actor=actor, action="taxonomies.import", now=now, detail=detail)
    return {"codes": detail["codes"], **unknown}
