"""Validation of batches of statements sent over HTTP (xAPI Communication, 1.5 and 2.1)."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import pandas as pd

from features.xapi.attachments import attachment_fault, attachments_of
from features.xapi.reader import event_rows
from features.xapi.study_events import study_event
from features.xapi.validation.json_validation import Fault, shown
from features.xapi.validation.statements import first_fault

NOTHING: Final[Mapping[str, bytes]] = {}


def batch_fault(
    statements: Sequence[object], contents: Mapping[str, bytes] = NOTHING, *, version_2: bool = False
) -> Fault | None:
    """Return the first fault of a batch, None where all can be stored; its field begins with the position, from 0.

    Parameters
    ----------
    contents : Mapping of str to bytes
        Contents of attachments sent with it, by their SHA-2 in lower case.
    version_2 : bool
        By the rules of xAPI 2.0.0.

    Examples
    --------
    >>> statement = {"actor": {"mbox": "mailto:li@example.org"}, "verb": {"id": "v:1"}, "object": {"id": "a:1"}}
    >>> batch_fault([statement, statement | {"verb": {}}])
    Fault(field='1.verb.id', value='', reason='is missing')
    """
    seen: set[str] = set()
    wanted: set[str] = set()
    for place, statement in enumerate(statements):
        fault = first_fault(statement, version_2=version_2) or _fault_within_batch(statement, seen, contents)
        if fault is not None:
            return fault.inside(str(place))
        wanted |= _hashes(statement)
    unwanted = contents.keys() - wanted
    if unwanted:
        return Fault("attachments", min(unwanted), "is the sha2 of a part, but of no attachment of any statement")
    return None


def _fault_within_batch(statement: Any, seen: set[str], contents: Mapping[str, bytes]) -> Fault | None:
    """Return the fault of a valid statement among the earlier ones of its batch; adds its id to ``seen``."""
    statement_id = statement.get("id", "").lower()
    if statement_id and statement_id in seen:
        return Fault("id", shown(statement["id"]), "is the id of an earlier statement of this batch")
    seen.add(statement_id)
    return attachment_fault(statement, contents)


def _hashes(statement: Any) -> set[str]:
    return {attachment["sha2"].lower() for _, attachment in attachments_of(statement)}


def study_rows(statements: Sequence[dict[str, Any]], *, home_page: str | None) -> pd.DataFrame:
    """Return the study events of valid statements as rows of text, indexed by position from 0, for ``check_events``."""
    events = {
        place: event
        for place, statement in enumerate(statements)
        if (event := study_event(statement, home_page=home_page)) is not None
    }
    return event_rows(list(events.values()), list(events))
