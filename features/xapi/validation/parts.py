"""Parts of an xAPI 1.0.3 statement (Experience API, part two: Data, 2.4), as tables of properties."""

from typing import Any, Final

from features.xapi.validation.formats import (
    IRI,
    MAILTO,
    MEDIA_TYPE,
    SHA1,
    URI,
    UUID,
    instant,
    is_duration,
    is_language_tag,
)
from features.xapi.validation.json_validation import (
    Check,
    Fault,
    array,
    flag,
    mapping,
    number,
    octets,
    one_of,
    record,
    shown,
    text,
    text_like,
    text_that,
    wrong,
)

_an_iri = text_like(IRI, "an IRI with its scheme, such as https://example.org/thing")
a_uuid = text_like(UUID, "a UUID such as 6690e6c9-3ef0-4ed3-8b37-7f3964730bee")
_a_language = text_that(is_language_tag, "a language tag (RFC 5646) such as zh-Hans-CN")
a_timestamp = text_that(instant, "an ISO 8601 timestamp such as 2021-11-29T23:09:00Z, its offset not -00:00")
_a_duration = text_that(is_duration, "an ISO 8601 duration such as PT1H30M or P2W")
_a_language_map = mapping(is_language_tag, "a language tag (RFC 5646) such as zh-Hans-CN", text)
_extensions = mapping(IRI.fullmatch, "an IRI with its scheme")

# Agents and groups (2.4.2)

_IDENTIFIERS: Final[dict[str, Check]] = {
    "mbox": text_like(MAILTO, "a mail address behind mailto:"),
    "mbox_sha1sum": text_like(SHA1, "a SHA-1 sum of 40 hexadecimal digits"),
    "openid": text_like(URI, "a URI with its scheme"),
    "account": record({"homePage": _an_iri, "name": text}),
}
_ONE_IDENTIFIER: Final = f"exactly one of {', '.join(_IDENTIFIERS)} must identify it"


def _identified(actor: dict[str, Any]) -> Fault | None:
    count = sum(key in actor for key in _IDENTIFIERS)
    return None if count == 1 else wrong(actor, _ONE_IDENTIFIER)


agent = record({}, {"objectType": one_of("Agent"), "name": text, **_IDENTIFIERS}, rule=_identified)


def _identified_or_listed(some: dict[str, Any]) -> Fault | None:
    if any(key in some for key in _IDENTIFIERS):
        return _identified(some)
    if some.get("member"):
        return None
    return Fault("member", "", "an anonymous group must list its members")


group = record(
    {"objectType": one_of("Group")},
    {"name": text, "member": array(agent), **_IDENTIFIERS},
    rule=_identified_or_listed,
)


def agent_or_group(value: object) -> Fault | None:
    """Return the first fault of an agent, or of a group where its objectType says so."""
    if isinstance(value, dict) and value.get("objectType", "Agent") != "Agent":
        if value["objectType"] != "Group":
            return wrong(value["objectType"], "must be exactly Agent or Group").inside("objectType")
        return group(value)
    return agent(value)


def authority(value: object) -> Fault | None:
    """Return the first fault of an authority: an agent, or an agent and its application (2.4.9)."""
    fault = agent_or_group(value)
    if fault is None and isinstance(value, dict) and value.get("objectType") == "Group":
        if any(key in value for key in _IDENTIFIERS):
            return wrong(value, "a group as authority must be anonymous")
        if len(value["member"]) != 2:
            return wrong(value["member"], "a group as authority must have exactly two members").inside("member")
    return fault


# Verb, activity, statement reference (2.4.3, 2.4.4)

verb = record({"id": _an_iri}, {"display": _a_language_map})

COMPONENTS: Final = ("choices", "scale", "source", "target", "steps")
_INTERACTIONS: Final = (
    "true-false",
    "choice",
    "fill-in",
    "long-fill-in",
    "matching",
    "performance",
    "sequencing",
    "likert",
    "numeric",
    "other",
)
_each_component = array(record({"id": text}, {"description": _a_language_map}))


def _components(value: object) -> Fault | None:
    fault = _each_component(value)
    if fault is None and isinstance(value, list) and len({part["id"] for part in value}) < len(value):
        return wrong(value, "ids of interaction components must differ from each other")
    return fault


def _interaction_has_a_type(definition: dict[str, Any]) -> Fault | None:
    if "interactionType" in definition:
        return None
    for key in ("correctResponsesPattern", *COMPONENTS):
        if key in definition:
            return Fault("interactionType", "", f"is missing, although there is {key}")
    return None


_definition = record(
    {},
    {
        "name": _a_language_map,
        "description": _a_language_map,
        "type": _an_iri,
        "moreInfo": _an_iri,
        "extensions": _extensions,
        "interactionType": one_of(*_INTERACTIONS),
        "correctResponsesPattern": array(text),
        **dict.fromkeys(COMPONENTS, _components),
    },
    rule=_interaction_has_a_type,
)
activity = record({"id": _an_iri}, {"objectType": one_of("Activity"), "definition": _definition})
statement_reference = record({"objectType": one_of("StatementRef"), "id": a_uuid})


def _activities(value: object) -> Fault | None:
    return _each_activity(value) if isinstance(value, list) else activity(value)


_each_activity = array(activity)

# Result, context, attachments (2.4.5, 2.4.6, 2.4.11)


def _within_bounds(score: dict[str, Any]) -> Fault | None:
    scaled, raw, low, high = (score.get(key) for key in ("scaled", "raw", "min", "max"))
    if scaled is not None and not -1 <= scaled <= 1:
        return wrong(scaled, "must be between -1 and 1").inside("scaled")
    if low is not None and high is not None and low >= high:
        return wrong(low, f"must be less than max, {shown(high)}").inside("min")
    if raw is not None and low is not None and raw < low:
        return wrong(raw, f"must not be less than min, {shown(low)}").inside("raw")
    if raw is not None and high is not None and raw > high:
        return wrong(raw, f"must not be more than max, {shown(high)}").inside("raw")
    return None


_score = record({}, {"scaled": number, "raw": number, "min": number, "max": number}, rule=_within_bounds)

result = record(
    {},
    {
        "score": _score,
        "success": flag,
        "completion": flag,
        "response": text,
        "duration": _a_duration,
        "extensions": _extensions,
    },
)

CONTEXT_ACTIVITIES: Final = ("parent", "grouping", "category", "other")
_CONTEXT: Final[dict[str, Check]] = {
    "registration": a_uuid,
    "instructor": agent_or_group,
    "team": group,
    "contextActivities": record({}, dict.fromkeys(CONTEXT_ACTIVITIES, _activities)),
    "revision": text,
    "platform": text,
    "language": _a_language,
    "statement": statement_reference,
    "extensions": _extensions,
}
context = record({}, _CONTEXT)

_each_relevant_type = array(_an_iri)


def _relevant_types(value: object) -> Fault | None:
    return wrong(value, "must not be empty") if value == [] else _each_relevant_type(value)


_context_agent = record({"objectType": one_of("contextAgent"), "agent": agent}, {"relevantTypes": _relevant_types})
_context_group = record({"objectType": one_of("contextGroup"), "group": group}, {"relevantTypes": _relevant_types})
context_2 = record({}, _CONTEXT | {"contextAgents": array(_context_agent), "contextGroups": array(_context_group)})
"""Context of xAPI 2.0 (IEEE 9274.1.1, 4.2.7): with agents and groups and the types by which they are relevant."""

attachment = record(
    {
        "usageType": _an_iri,
        "display": _a_language_map,
        "contentType": text_like(MEDIA_TYPE, "a media type such as text/plain"),
        "length": octets,
        "sha2": text,
    },
    {"description": _a_language_map, "fileUrl": _an_iri},
)
