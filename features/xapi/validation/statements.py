"""Validation of xAPI statements (Experience API, part two: Data).

Of what the specification leaves to the receiver ("may", "should"), this is required: no properties it does not
name (2.2.s4.b8), no offset of minus zero in timestamps (4.5), RFC 5646 tags well formed rather than only of fitting
lengths. Not required: that texts of correct responses fit their interaction type (2.4.4.1.s13.b3), nor that a list of
components belongs to it; authoring tools send both, and neither says anything about what was studied.
"""

import re
from typing import Any, Final

from features.xapi.validation.formats import VERSION, VERSION_2
from features.xapi.validation.json_validation import Check, Fault, array, one_of, record, text_like, wrong
from features.xapi.validation.parts import (
    a_timestamp,
    a_uuid,
    activity,
    agent,
    agent_or_group,
    attachment,
    authority,
    context,
    context_2,
    group,
    result,
    statement_reference,
    verb,
)

VOIDING: Final = "http://adlnet.gov/expapi/verbs/voided"
"""The one reserved verb (2.3.2)."""


def _between_parts(statement: dict[str, Any]) -> Fault | None:
    kind = statement["object"].get("objectType", "Activity")
    if statement["verb"]["id"] == VOIDING and kind != "StatementRef":
        return wrong(kind, "must be StatementRef where the verb is voided").inside("objectType").inside("object")
    if kind != "Activity" and (context := statement.get("context")):
        for key in ("revision", "platform"):
            if key in context:
                reason = f"is only allowed where the object is an Activity, not {kind}"
                return wrong(context[key], reason).inside(key).inside("context")
    return None


def _object(further_kinds: dict[str, Check]) -> Check:
    """Return the check of an object: an activity unless its objectType says otherwise."""
    kinds: dict[str, Check] = {"Activity": activity, "Agent": agent, "Group": group, **further_kinds}
    reason = f"must be exactly one of {', '.join(kinds)}"

    def check(value: object) -> Fault | None:
        if not isinstance(value, dict):
            return wrong(value, "must be an object")
        kind = value.get("objectType", "Activity")
        part = kinds.get(kind) if isinstance(kind, str) else None
        return wrong(kind, reason).inside("objectType") if part is None else part(value)

    return check


def _statement_like(
    required: dict[str, Check], optional: dict[str, Check], *, context: Check, objects: dict[str, Check]
) -> Check:
    return record(
        {**required, "actor": agent_or_group, "verb": verb, "object": _object(objects)},
        {
            "result": result,
            "context": context,
            "timestamp": a_timestamp,
            "attachments": array(attachment),
            **optional,
        },
        rule=_between_parts,
    )


def _statement(context: Check, version: Check) -> Check:
    """Return the check of a statement of one version of xAPI."""
    sub_statement = _statement_like(
        {"objectType": one_of("SubStatement")},
        {},
        context=context,
        objects={"StatementRef": statement_reference},
    )
    return _statement_like(
        {},
        {"id": a_uuid, "stored": a_timestamp, "authority": authority, "version": version},
        context=context,
        objects={"StatementRef": statement_reference, "SubStatement": sub_statement},
    )


_fault_1 = _statement(context, text_like(VERSION, "1.0 or 1.0.x"))
_fault_2 = _statement(
    context_2, text_like(re.compile(f"{VERSION.pattern}|{VERSION_2.pattern}"), "1.0, 1.0.x, 2.0 or 2.0.x")
)


def first_fault(statement: object, *, version_2: bool = False) -> Fault | None:
    """Return the first fault of a statement by the rules of xAPI 1.0.3, None where there is none.

    Parameters
    ----------
    statement : object
        Any value as parsed from JSON. Whatever it is, nothing is raised.
    version_2 : bool
        By the rules of xAPI 2.0.0, which include those statements.

    Examples
    --------
    >>> first_fault({"actor": {"mbox": "mailto:li@example.org"}, "verb": {"id": "viewed"}, "object": {}})
    Fault(field='verb.id', value='viewed', reason='must be an IRI with its scheme, such as https://example.org/thing')
    """
    return (_fault_2 if version_2 else _fault_1)(statement)
