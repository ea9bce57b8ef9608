"""What xAPI demands of statements that come by HTTP, beyond what it demands of each (Communication, 1.5 and 2.1)."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from features.readers.json_checks import Fault, shown
from features.readers.profiles import study_event
from features.readers.statements import faults
from features.readers.xapi import event_rows


def batch_fault(statements: Sequence[object]) -> Fault | None:
    """Return the first fault of a batch, None where all of it can be stored; its field begins with the place, from 0.

    Examples
    --------
    >>> statement = {"actor": {"mbox": "mailto:li@example.org"}, "verb": {"id": "v:1"}, "object": {"id": "a:1"}}
    >>> batch_fault([statement, statement | {"verb": {}}])
    Fault(field='1.verb.id', value='', reason='is missing')
    """
    seen: set[str] = set()
    for place, statement in enumerate(statements):
        fault = faults(statement) or _fault_of_sending(statement, seen)
        if fault is not None:
            return fault.inside(str(place))
    return None


def _fault_of_sending(statement: Any, seen: set[str]) -> Fault | None:
    """Return what keeps a valid statement from being stored; takes down its id."""
    statement_id = statement.get("id", "").lower()
    if statement_id and statement_id in seen:
        return Fault("id", shown(statement["id"]), "is the id of an earlier statement of this batch")
    seen.add(statement_id)
    for number, attachment in enumerate(statement.get("attachments", ())):
        if "fileUrl" not in attachment:
            reason = "is missing: attachments are not taken in themselves, only by their address"
            return Fault("fileUrl", "", reason).inside(str(number)).inside("attachments")
    return None


def study_rows(statements: Sequence[dict[str, Any]], *, home_page: str | None) -> pd.DataFrame:
    """Return the study events of valid statements as rows of text, indexed by place from 0, ready for their check."""
    events = {
        place: event
        for place, statement in enumerate(statements)
        if (event := study_event(statement, home_page=home_page)) is not None
    }
    return event_rows(list(events.values()), list(events))
