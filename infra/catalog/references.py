"""Checks of records against the stored organisation: codes, units, items, and the targets of restricted items."""

from collections.abc import Callable, Collection, Mapping
from difflib import get_close_matches
from functools import partial
from typing import Any, Final

import pandas as pd
from sqlalchemy import select
from sqlalchemy.orm import Session

from content_catalog import requirements
from content_catalog.audience import RESTRICTED, TARGETS
from content_catalog.io.files import rejects_frame
from content_catalog.io.validation import joined_rejects
from content_catalog.references import check_codes, check_lists, check_unit_paths, check_units
from content_catalog.schema import split_list
from infra.catalog import organisations, units
from infra.catalog import store as catalog
from infra.catalog.sharing import visible
from infra.catalog.taxonomies import code_columns
from infra.db import bulk
from infra.db.core_tables import items
from recommender.policy import curations

NO_TARGET = "restricted without a target role, industry or unit; name at least one"
FaultOf = Callable[[Mapping[str, Any]], tuple[str, str] | None]
FAULTS: Final[Mapping[str, FaultOf]] = {"requirements": requirements.fault_of, "curations": curations.fault_of}
"""Checks of whole rows, by kind of record; a line of these kinds is always a whole record."""


class References:
    """The codes and units of an organisation, read once for many rows of one kind.

    Of rows that are stored already only the codes of ``changed`` columns are checked.
    """

    def __init__(
        self, session: Session, organisation_key: int, kind: str, *, changed: Collection[str] | None = None
    ) -> None:
        self._session, self._organisation_key, self._kind = session, organisation_key, kind
        codes = code_columns(kind, organisations.taxonomies(session, organisation_key))
        self._codes = {name: codes[name] for name in codes if changed is None or name in changed}
        self._units = units.tree(session, organisation_key) if kind in {"items", *FAULTS} else {}

    def check(self, rows: pd.DataFrame, present: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Return the sound rows and the rejects of the others.

        Parameters
        ----------
        rows : DataFrame
            Checked rows of the kind, indexed by line number.
        present : DataFrame of bool
            Values that the lines name; the others stay as they are stored.
        """
        rows, rejects = check_codes(rows, self._codes)
        if self._kind == "items":
            rows, unknown = check_units(rows, self._units)
            rows, open_to_all = self._check_audience(rows, present.loc[rows.index])
            return rows, joined_rejects([rejects, unknown, open_to_all])
        if self._kind in FAULTS:
            rows, unknown = check_units(rows, self._units)
            rows, missing = self._check_items(rows)
            rows, unsound = _check_whole(rows, FAULTS[self._kind])
            return rows, joined_rejects([rejects, unknown, missing, unsound])
        if self._kind in {"members", "units"}:
            rows, wrong = check_unit_paths(rows, "unit" if self._kind == "units" else "units")
            return rows, joined_rejects([rejects, wrong])
        return rows, rejects

    def _check_audience(self, rows: pd.DataFrame, present: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Refuse restricted items that, together with their stored values, name no target."""
        columns = ["audience", *TARGETS]
        merged, named = rows[columns].astype(object), present[columns]
        partial = named.any(axis="columns") & ~named.all(axis="columns")
        if partial.any():
            stored = self._stored(rows.loc[partial, "item_id"].tolist(), columns)
            stored = stored.reindex(rows["item_id"]).set_axis(rows.index)
            merged = merged.where(named, stored)
        wrong = (merged["audience"] == RESTRICTED) & merged[list(TARGETS)].isna().all(axis="columns")
        wrong &= named.any(axis="columns")
        lines = rows.index[wrong]
        return rows[~wrong], rejects_frame((int(line), "audience", RESTRICTED, NO_TARGET) for line in lines)

    def _check_items(self, rows: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Refuse requirements and curations of items that the organisation does not have."""
        names = sorted({item_id for value in rows["items"] for item_id in split_list(value)})
        readable = visible(self._organisation_key) & bulk.any_of(items.c.item_id, names)
        missing = set(names) - set(self._session.scalars(select(items.c.item_id).where(readable)))
        every = catalog.existing_ids(self._session, self._organisation_key)["item_id"] if missing else []
        return check_lists(
            rows,
            "items",
            lambda item_id: f"unknown item {item_id!r}" if item_id in missing else "",
            partial(_nearest_items, every),
        )

    def _stored(self, item_ids: list[str], columns: list[str]) -> pd.DataFrame:
        names = ["item_id", *columns]
        own = (items.c.organisation_key == self._organisation_key) & bulk.any_of(items.c.item_id, item_ids)
        stored = self._session.execute(select(*(items.c[name] for name in names)).where(own)).all()
        return pd.DataFrame(stored, columns=names, dtype=object).set_index("item_id")


def _check_whole(rows: pd.DataFrame, fault_of: FaultOf) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Refuse rows whose values do not go together."""
    plain = rows.astype(object).where(rows.notna(), None)
    faults = {int(line): fault_of(row) for line, row in plain.to_dict("index").items()}
    rejects = [
        (line, fault[0], str(plain.loc[line, fault[0]] or ""), fault[1]) for line, fault in faults.items() if fault
    ]
    return rows.drop(index=[line for line, *_ in rejects]), rejects_frame(rejects)


def _nearest_items(existing: Collection[str], item_id: str) -> str:
    near = get_close_matches(item_id, existing, n=3, cutoff=0.4)
    return f"nearest: {', '.join(near)}" if near else "ingest the item first"
