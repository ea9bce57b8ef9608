"""Records in forms: their fields as texts, and writes with the checks, entity tags and audit entries of the API."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from fastapi import Response

from api.console.access import Viewer
from api.console.frame import code_name, language_of
from api.errors import PreconditionFailedError, status_of
from api.protocol.conditions import Preconditions
from api.routers.crud import WriteRequest
from content_catalog.errors import PrerequisiteCycleError
from content_catalog.io.values import as_text
from content_catalog.schema import LIST_SEPARATOR
from infra.catalog import organisations
from infra.catalog import store as catalog
from infra.catalog.records import Record
from infra.errors import InvalidRecordError
from infra.reports.coverage import GROUPS

ETAG_FIELD = "etag"
"""Field with the entity tag of the record as the form showed it, so that no later change is overwritten."""
NOTHING_YET = "*"
"""Value of that field where the record should be new."""


REFUSALS: Final = (InvalidRecordError, PreconditionFailedError, PrerequisiteCycleError)
"""Errors of a record that its form shows, with the values that were sent."""


@dataclass(frozen=True, slots=True)
class FormConditions(Preconditions):
    """Conditions of a form, whose messages are for a person who fills it in."""

    def check(self, etag: str | None) -> None:
        """Refuse a form that may not be saved.

        Raises
        ------
        PreconditionFailedError
        """
        try:
            Preconditions.check(self, etag)
        except PreconditionFailedError as error:
            if self.if_none_match:
                raise PreconditionFailedError("this id exists already; open its page to change it") from error
            raise PreconditionFailedError(
                "it was changed or removed since the form was opened; open its page again, then change it"
            ) from error


def refusal_of(error: Exception) -> dict[str, Any]:
    """Return the status of a refused form, and its faults: one of no field where the record as a whole is refused."""
    faults = error.errors if isinstance(error, InvalidRecordError) else [{"field": "", "reason": str(error)}]
    return {"status": status_of(error), "faults": faults}


def fields_of(form: Mapping[str, str], names: Iterable[str]) -> dict[str, str]:
    """Return the values of a form's fields, without white space around them, and with plain ends of lines."""
    return {name: form.get(name, "").strip().replace("\r\n", "\n") for name in names}


def as_fields(record: Mapping[str, Any]) -> dict[str, str]:
    """Return the values of a record as a form shows them: lists joined.

    >>> as_fields({"items": ["a", "b"], "due_on": None, "open_days": 30.0})
    {'items': 'a;b', 'due_on': '', 'open_days': '30'}
    """
    return {
        name: LIST_SEPARATOR.join(value) if isinstance(value, list) else as_text(value)
        for name, value in record.items()
    }


def titles_of(viewer: Viewer, rows: Iterable[Record]) -> dict[str, str]:
    """Return the titles of the items that records name, by id; those without one are left out."""
    item_ids = {item_id for row in rows for item_id in row["items"]}
    display = catalog.display_items(viewer.session, viewer.organisation_key, sorted(item_ids))
    return {item_id: row["title"] for item_id, row in display.items() if row["title"]}


def audience_of(viewer: Viewer) -> Callable[[Record], str]:
    """Return a function that names the audience of a record: roles and industries by name, units and regions."""
    taxonomies = organisations.taxonomies(viewer.session, viewer.organisation_key)
    language = language_of(viewer.request)

    def audience(record: Record) -> str:
        codes = [(kind, code) for kind, column in GROUPS.items() for code in record[column]]
        names = [code_name(taxonomies[kind], code, language) or code for kind, code in codes]
        return ", ".join([*names, *record["target_units"], *record.get("target_regions", ())])

    return audience


def write_request(viewer: Viewer) -> WriteRequest:
    """Return the request that writes the record of a form, if the form's entity tag is still that of the record."""
    etag = viewer.form.get(ETAG_FIELD, "")
    expected = FormConditions(None, etag) if etag == NOTHING_YET else FormConditions(etag, None)
    return WriteRequest(viewer.session, viewer.now, expected, Response(), viewer.settings)
