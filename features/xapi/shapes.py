"""Formats in which statements are returned, and equality of statements (xAPI Communication, 2.1.3; Data, 2.3.1)."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import orjson

from content_catalog.io.values import EXACT
from features.xapi.index_terms import CONTEXT_PARTIES, IDENTIFIERS
from features.xapi.validation.formats import instant, mailbox
from features.xapi.validation.parts import COMPONENTS

Part = dict[str, Any]
Change = Callable[[Part], Part]

DEFAULT_VERSION: Final = "1.0.0"
"""Data 2.4.10."""
BEYOND_HUNDREDTHS: Final = re.compile(r"(?<=[.,][0-9]{2})[0-9]+(?=S$)")
"""Digits of a duration that no comparison includes (Data 4.6)."""

_SET_BY_THE_STORE: Final = frozenset({"id", "stored", "authority", "version", "timestamp"})


def as_stored(
    statement: Part, *, statement_id: str, stored: str, authority: Part, version: str = DEFAULT_VERSION
) -> Part:
    """Return a valid statement as it is stored and returned: with all that the store adds (Data, 2.4).

    Parameters
    ----------
    statement_id : str
        Its id where it was sent without one.
    stored : str
        ISO 8601, in UTC; also the timestamp of a statement sent without one.
    authority : dict
        The agent that vouches for it: the caller, whatever the statement says.
    version : str
        Its version where it was sent without one.
    """
    complete = {"id": statement_id, "timestamp": stored, "version": version, **_with_arrays(statement)}
    return complete | {"stored": stored, "authority": authority}


def _with_arrays(statement: Part) -> Part:
    """Return a statement in which every activity of a context is in an array (Data 2.4.6.2)."""
    result = dict(statement)
    if statement["object"].get("objectType") == "SubStatement":
        result["object"] = _with_arrays(statement["object"])
    context = statement.get("context", {})
    if "contextActivities" in context:
        arrays = {
            name: activities if isinstance(activities, list) else [activities]
            for name, activities in context["contextActivities"].items()
        }
        result["context"] = context | {"contextActivities": arrays}
    return result


def same_content(new: Part, stored: Part) -> bool:
    """Tell whether a new statement equals the stored one of its id.

    Ignored are the differences that Data 2.3.1 excepts from immutability: what the store sets, definitions of
    activities, displays of verbs, attachments, the order of members of a group, offsets of timestamps, and the case
    of letters where it has no meaning: UUIDs, SHA-1 sums, language tags, domains of mail addresses. Numbers are
    compared by value, durations as text up to hundredths of seconds (Data 4.6).

    Examples
    --------
    >>> sent = {"actor": {"mbox": "mailto:a@example.org"}, "verb": {"id": "v:1"}, "object": {"id": "a:1"}}
    >>> stored = sent | {"id": "x", "timestamp": "2026-01-01T00:00:00Z", "stored": "2026-01-02T00:00:00Z"}
    >>> same_content(sent | {"timestamp": "2026-01-01T01:00:00+01:00"}, stored)
    True
    >>> same_content(sent | {"verb": {"id": "v:1", "display": {"en": "ran"}}}, stored)
    True
    >>> defaults = {"actor": sent["actor"] | {"objectType": "Agent"}, "object": {"id": "a:1", "objectType": "Activity"}}
    >>> same_content(sent | defaults, stored)
    True
    >>> same_content(sent | {"verb": {"id": "v:2"}}, stored)
    False
    """
    if _comparable(new) != _comparable(stored):
        return False
    return "timestamp" not in new or instant(new["timestamp"]) == instant(stored["timestamp"])


def _comparable(statement: Part) -> bytes:
    """Return the parts of a statement, without its timestamp, that are the same in equal statements, as JSON."""
    properties = {name: value for name, value in statement.items() if name not in _SET_BY_THE_STORE}
    text = orjson.dumps(_immutable(_with_arrays(properties)))
    return orjson.dumps(json.loads(text, parse_float=_number), option=orjson.OPT_SORT_KEYS)


def _number(text: str) -> float:
    """Return a number that JSON writes with a point or an exponent: whole ones in the spelling of integers.

    >>> _number("1.0"), _number("1.5")
    (1, 1.5)
    """
    value = float(text)
    return int(value) if value.is_integer() and abs(value) < EXACT else value


def _immutable(statement: Part) -> Part:
    """Return the immutable part of a statement or SubStatement, in one spelling."""
    result = _changed(statement, agent=_agent, verb=_only_id, activity=_only_id)
    result.pop("attachments", None)
    target = result.get("object", {})
    match target.get("objectType"):
        case "StatementRef":
            result["object"] = _lower(target, "id")
        case "SubStatement":
            result["object"] = _immutable(target)
            if "timestamp" in target:
                result["object"]["timestamp"] = str(instant(target["timestamp"]))
    if "duration" in result.get("result", {}):
        duration = BEYOND_HUNDREDTHS.sub("", result["result"]["duration"])
        result["result"] = result["result"] | {"duration": duration}
    if "context" in result:
        context = _lower(result["context"], "registration", "language")
        result["context"] = context | (
            {"statement": _lower(context["statement"], "id")} if "statement" in context else {}
        )
    return result


def _agent(agent: Part) -> Part:
    """Return an agent or group in one spelling."""
    result = _lower(agent, "mbox_sha1sum")
    if result.get("objectType") == "Agent":  # as where it is absent
        del result["objectType"]
    if "mbox" in agent:
        result["mbox"] = mailbox(agent["mbox"])
    if "member" in agent:
        members = map(_agent, agent["member"])
        result["member"] = sorted(members, key=lambda member: orjson.dumps(member, option=orjson.OPT_SORT_KEYS))
    return result


def _lower(part: Part, *names: str) -> Part:
    return part | {name: part[name].lower() for name in names if name in part}


def _only_id(part: Part) -> Part:
    return {"id": part["id"]}


def ids_only(statement: Part) -> Part:
    """Return a statement whose agents, groups, verb and activities hold what identifies them and nothing else."""
    return _changed(statement, agent=_identified, verb=_only_id, activity=_only_id)


def canonical(statement: Part, languages: Sequence[str]) -> Part:
    """Return a statement whose texts of verb, activities and attachments are in one language each.

    Parameters
    ----------
    languages : sequence of str
        Language tags, the most wanted first. Where a text has none of them, the first it has is taken.
    """

    def in_one(holder: Part, *names: str) -> Part:
        return holder | {name: _one_language(holder[name], languages) for name in names if holder.get(name)}

    def activity(part: Part) -> Part:
        if "definition" not in part:
            return part
        definition = in_one(part["definition"], "name", "description")
        parts = {
            name: [in_one(component, "description") for component in definition[name]]
            for name in COMPONENTS
            if name in definition
        }
        return part | {"definition": definition | parts}

    result = _changed(
        statement, agent=lambda agent: agent, verb=lambda verb: in_one(verb, "display"), activity=activity
    )
    if "attachments" in result:
        result["attachments"] = [in_one(item, "display", "description") for item in result["attachments"]]
    return result


def _one_language(texts: Mapping[str, str], wanted: Sequence[str]) -> dict[str, str]:
    """Return the entry of a language map that fits best (RFC 4647, 3.4)."""
    by_tag = {tag.lower(): tag for tag in texts}
    for language in wanted:
        parts = language.lower().split("-")
        for length in range(len(parts), 0, -1):
            tag = "-".join(parts[:length])
            near = by_tag.get(tag) or next((by_tag[longer] for longer in by_tag if longer.startswith(f"{tag}-")), None)
            if near is not None:
                return {near: texts[near]}
    first = next(iter(texts))
    return {first: texts[first]}


def _identified(agent: Part) -> Part:
    identity: Part = {name: agent[name] for name in ("objectType", *IDENTIFIERS) if name in agent}
    if not any(name in agent for name in IDENTIFIERS):
        identity["member"] = [_identified(member) for member in agent["member"]]
    return identity


def _changed(statement: Part, *, agent: Change, verb: Change, activity: Change) -> Part:
    """Return a copy of a statement with its agents, verb and activities changed, in a statement within it too."""
    result = statement | {"actor": agent(statement["actor"]), "verb": verb(statement["verb"])}
    match statement["object"].get("objectType", "Activity"):
        case "Activity":
            result["object"] = activity(statement["object"])
        case "Agent" | "Group":
            result["object"] = agent(statement["object"])
        case "SubStatement":
            result["object"] = _changed(statement["object"], agent=agent, verb=verb, activity=activity)
    if "authority" in statement:
        result["authority"] = agent(statement["authority"])
    if "context" in statement:
        result["context"] = _changed_context(statement["context"], agent=agent, activity=activity)
    return result


def _changed_context(context: Part, *, agent: Change, activity: Change) -> Part:
    result = context | {name: agent(context[name]) for name in ("instructor", "team") if name in context}
    for name, part in CONTEXT_PARTIES.items():
        if name in context:
            result[name] = [party | {part: agent(party[part])} for party in context[name]]
    if "contextActivities" in context:
        result["contextActivities"] = {
            name: [activity(item) for item in activities] for name, activities in context["contextActivities"].items()
        }
    return result
