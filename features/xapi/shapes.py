"""A statement in the shapes it is asked for in, and whether two of them say the same (Communication, 2.1.3)."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import orjson

from features.xapi.index_terms import IDENTIFIERS
from features.xapi.validation.formats import instant

Part = dict[str, Any]
Change = Callable[[Part], Part]

VERSION_WHERE_NONE_IS_TOLD: Final = "1.0.0"
"""Data 2.4.10."""

_OWN_OF_THE_STORE: Final = frozenset({"id", "stored", "authority", "version", "timestamp"})
_COMPONENTS: Final = ("choices", "scale", "source", "target", "steps")


def as_stored(statement: Part, *, statement_id: str, stored: str, authority: Part) -> Part:
    """Return a valid statement as it is kept and given back: with all that the store adds (Data, 2.4).

    Parameters
    ----------
    statement_id : str
        Its id where it came without one.
    stored : str
        ISO 8601, in UTC; also the time of a statement that came without one.
    authority : dict
        The agent that vouches for it: the caller, whatever the statement says.
    """
    made = {"id": statement_id, "timestamp": stored, "version": VERSION_WHERE_NONE_IS_TOLD, **_with_arrays(statement)}
    return made | {"stored": stored, "authority": authority}


def _with_arrays(statement: Part) -> Part:
    """Return a statement in which every activity of a context is in an array (Data 2.4.6.2)."""
    made = dict(statement)
    if statement["object"].get("objectType") == "SubStatement":
        made["object"] = _with_arrays(statement["object"])
    context = statement.get("context", {})
    if "contextActivities" in context:
        arrays = {
            name: around if isinstance(around, list) else [around]
            for name, around in context["contextActivities"].items()
        }
        made["context"] = context | {"contextActivities": arrays}
    return made


def same_content(new: Part, stored: Part) -> bool:
    """Tell whether a statement that comes says what a stored one of its id says.

    What the store sets itself is not compared, and neither is the time of a statement that comes without one.

    Examples
    --------
    >>> said = {"verb": {"id": "v:1"}, "object": {"id": "a:1"}}
    >>> stored = said | {"id": "x", "timestamp": "2026-01-01T00:00:00Z", "stored": "2026-01-02T00:00:00Z"}
    >>> same_content(said | {"timestamp": "2026-01-01T01:00:00+01:00"}, stored)
    True
    >>> same_content(said | {"verb": {"id": "v:2"}}, stored)
    False
    """
    if _plain(new) != _plain(stored):
        return False
    return "timestamp" not in new or instant(new["timestamp"]) == instant(stored["timestamp"])


def _plain(statement: Part) -> bytes:
    kept = {key: value for key, value in _with_arrays(statement).items() if key not in _OWN_OF_THE_STORE}
    return orjson.dumps(kept, option=orjson.OPT_SORT_KEYS)


def ids_only(statement: Part) -> Part:
    """Return a statement whose agents, groups, verb and activities hold what identifies them and nothing else."""
    return _changed(statement, agent=_identified, verb=lambda verb: {"id": verb["id"]}, activity=_activity_id)


def canonical(statement: Part, languages: Sequence[str]) -> Part:
    """Return a statement whose texts of verb, activities and attachments are in one language each.

    Parameters
    ----------
    languages : sequence of str
        Language tags, the most wanted first. Where a text has none of them, the first it has is taken.
    """

    def in_one(holder: Part, *names: str) -> Part:
        return holder | {name: _one_language(holder[name], languages) for name in names if holder.get(name)}

    def activity(given: Part) -> Part:
        if "definition" not in given:
            return given
        definition = in_one(given["definition"], "name", "description")
        parts = {
            name: [in_one(part, "description") for part in definition[name]]
            for name in _COMPONENTS
            if name in definition
        }
        return given | {"definition": definition | parts}

    made = _changed(statement, agent=lambda agent: agent, verb=lambda verb: in_one(verb, "display"), activity=activity)
    if "attachments" in made:
        made["attachments"] = [in_one(one, "display", "description") for one in made["attachments"]]
    return made


def _one_language(texts: Mapping[str, str], wanted: Sequence[str]) -> dict[str, str]:
    """Return the entry of a language map that fits best (RFC 4647, 3.4)."""
    by_tag = {tag.lower(): tag for tag in texts}
    for language in wanted:
        parts = language.lower().split("-")
        for length in range(len(parts), 0, -1):
            tag = "-".join(parts[:length])
            near = by_tag.get(tag) or next((by_tag[one] for one in by_tag if one.startswith(f"{tag}-")), None)
            if near is not None:
                return {near: texts[near]}
    first = next(iter(texts))
    return {first: texts[first]}


def _identified(agent: Part) -> Part:
    kept: Part = {name: agent[name] for name in ("objectType", *IDENTIFIERS) if name in agent}
    if not any(name in agent for name in IDENTIFIERS):
        kept["member"] = [_identified(member) for member in agent["member"]]
    return kept


def _activity_id(activity: Part) -> Part:
    return {"id": activity["id"]}


def _changed(statement: Part, *, agent: Change, verb: Change, activity: Change) -> Part:
    """Return a copy of a statement with its agents, verb and activities changed, in a statement within it too."""
    made = statement | {"actor": agent(statement["actor"]), "verb": verb(statement["verb"])}
    match statement["object"].get("objectType", "Activity"):
        case "Activity":
            made["object"] = activity(statement["object"])
        case "Agent" | "Group":
            made["object"] = agent(statement["object"])
        case "SubStatement":
            made["object"] = _changed(statement["object"], agent=agent, verb=verb, activity=activity)
    if "authority" in statement:
        made["authority"] = agent(statement["authority"])
    if "context" in statement:
        made["context"] = _changed_context(statement["context"], agent=agent, activity=activity)
    return made


def _changed_context(context: Part, *, agent: Change, activity: Change) -> Part:
    made = context | {name: agent(context[name]) for name in ("instructor", "team") if name in context}
    if "contextActivities" in context:
        made["contextActivities"] = {
            name: [activity(one) for one in around] for name, around in context["contextActivities"].items()
        }
    return made
