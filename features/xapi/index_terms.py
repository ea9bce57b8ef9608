"""Index terms of statements: verb, agents, activities and registration (xAPI Communication, 2.1.3).

A term is a digest of a kind and a value: of fixed length, and it does not reveal the value.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from hashlib import blake2b
from typing import Any, Final

import orjson

from features.xapi.validation.formats import mailbox
from features.xapi.validation.parts import CONTEXT_ACTIVITIES
from features.xapi.validation.statements import VOIDING

IDENTIFIERS: Final = ("mbox", "mbox_sha1sum", "openid", "account")
CONTEXT_PARTIES: Final = {"contextAgents": "agent", "contextGroups": "group"}
"""Lists of agents and groups in a context of xAPI 2.0, with the property that holds each."""
_SPELLINGS: Final[Mapping[str, Callable[[str], str]]] = {"mbox": mailbox, "mbox_sha1sum": str.lower, "openid": str}
_NOTHING: Final[Mapping[str, Any]] = {}

Statement = Mapping[str, Any]


def _term(kind: str, *values: str) -> str:
    return blake2b(orjson.dumps([kind, *values]), digest_size=16).hexdigest()


def verb_term(verb_id: str) -> str:
    """Return the term of a verb."""
    return _term("verb", verb_id)


def activity_term(activity_id: str) -> str:
    """Return the term of an activity."""
    return _term("activity", activity_id)


def registration_term(registration: str) -> str:
    """Return the term of a registration."""
    return _term("registration", registration.lower())


def agent_term(agent: Statement) -> str | None:
    """Return the term of an agent or an identified group, by the one identifier it has; None for anonymous groups.

    Examples
    --------
    >>> agent_term({"mbox": "mailto:li@example.org", "name": "Li"}) == agent_term({"mbox": "mailto:li@Example.ORG"})
    True
    """
    for name in IDENTIFIERS:
        if name in agent:
            value = agent[name]
            if name == "account":
                return _term("agent", name, value["homePage"], value["name"])
            return _term("agent", name, _SPELLINGS[name](value))
    return None


def terms(statement: Statement) -> dict[str, bool]:
    """Return the terms of a stored statement, each with whether it is direct.

    Direct ones, found without asking for related ones, are the verb, the registration, the object if it is an activity,
    and of agents the actor and the object, groups by their own identifier and by those of their members. Related are
    the authority, the instructor, the team, the agents, groups and activities of the context, and all of these in a
    SubStatement.
    """
    direct = dict.fromkeys(_related(statement), False)
    direct |= dict.fromkeys(_own(statement), True)
    direct[verb_term(statement["verb"]["id"])] = True
    registration = statement.get("context", _NOTHING).get("registration")
    if registration is not None:
        direct[registration_term(registration)] = True
    return direct


def target_id(statement: Statement) -> str | None:
    """Return the id of the statement that is the object, in lower case; None for any other object."""
    target = statement["object"]
    return str(target["id"]).lower() if target.get("objectType") == "StatementRef" else None


def is_voiding(statement: Statement) -> bool:
    """Tell whether a valid statement voids another one."""
    return bool(statement["verb"]["id"] == VOIDING)


def terms_of_member(member_id: str, *, home_page: str | None) -> list[str]:
    """Return the terms of every agent that :func:`features.xapi.study_events.study_event` calls by this member id."""
    agents: list[dict[str, Any]] = [
        {"mbox": f"mailto:{member_id}"},
        {"mbox_sha1sum": member_id},
        {"openid": member_id},
        {"account": {"homePage": home_page or "", "name": member_id}},
    ]
    page, bar, name = member_id.partition("|")
    while bar:
        agents.append({"account": {"homePage": page, "name": name}})
        more, bar, name = name.partition("|")
        page = f"{page}|{more}"
    return [term for agent in agents if (term := agent_term(agent)) is not None]


def _own(statement: Statement) -> Iterator[str]:
    target = statement["object"]
    match target.get("objectType", "Activity"):
        case "Activity":
            yield activity_term(target["id"])
        case "Agent" | "Group":
            yield from _agent_terms(target)
    yield from _agent_terms(statement["actor"])


def _related(statement: Statement) -> Iterator[str]:
    context = statement.get("context", _NOTHING)
    for agent in (statement.get("authority"), context.get("instructor"), context.get("team")):
        if agent is not None:
            yield from _agent_terms(agent)
    for name, part in CONTEXT_PARTIES.items():
        for party in context.get(name, ()):
            yield from _agent_terms(party[part])
    for name in CONTEXT_ACTIVITIES:
        activities = context.get("contextActivities", _NOTHING).get(name, [])
        yield from (activity_term(activity["id"]) for activity in activities)
    if statement["object"].get("objectType") == "SubStatement":
        yield from _own(statement["object"])
        yield from _related(statement["object"])


def _agent_terms(agent: Statement) -> Iterable[str]:
    everyone = [agent, *agent.get("member", [])]
    return [term for member in everyone if (term := agent_term(member)) is not None]
