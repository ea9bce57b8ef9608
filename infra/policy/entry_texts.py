"""Entries of lists as text: split without parsing, and what an entry names."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

import orjson

OPENING, CLOSING = '[{"item_id":"', "}]"
"""Begin and end of the entries of a list as a run writes them."""
PROPENSITY_MARK: Final = '"propensity":'
"""Text of an entry that chance has part in; within a string its quotes have a backslash before them."""
OF_STUDY: Final = frozenset(
    {"because_finished", "because_studied", "often_next_after", "fits_your_topics", "continue", "review"}
)
"""Codes of reasons that name what the member studied: a topic, an item, or the entry's own."""


def entry_with(item_id: str, reason: Mapping[str, Any], propensity: float = 1.0) -> dict[str, Any]:
    """Return an entry as a run stores it, with its propensity where chance has part in its place.

    >>> entry_with("i1", {"code": "new", "arguments": {}}, 0.98)
    {'item_id': 'i1', 'reason': {'code': 'new', 'arguments': {}}, 'propensity': 0.98}
    """
    entry = {"item_id": item_id, "reason": reason}
    return entry | {"propensity": propensity} if propensity < 1 else entry


def entry_by_rule(item_id: str, code: str) -> dict[str, Any]:
    """Return the entry of an item that a rule puts on the list, with the code of that reason."""
    return {"item_id": item_id, "reason": {"code": code, "arguments": {}}}


def listed_items(entries: str | None) -> list[str]:
    """Return the ids of the items on a list, best first.

    >>> listed_items('[{"item_id":"i2","reason":{}},{"item_id":"i1","reason":{}}]'), listed_items(None)
    (['i2', 'i1'], [])
    """
    return [entry["item_id"] for entry in orjson.loads(entries or "[]")]


def split_entries(entries: str | None) -> list[str]:
    """Return the JSON of each entry of a list without its beginning, best first.

    They are split as text, which is far faster than parsing.
    """
    if not entries or entries == "[]":
        return []
    if not entries.startswith(OPENING):
        entries = orjson.dumps(orjson.loads(entries)).decode()
    # Within a string every quote has a backslash before it, so this stands between entries only.
    return entries[len(OPENING) : -len(CLOSING)].split(CLOSING[0] + "," + OPENING[1:])


def entry_of(text: str) -> dict[str, Any]:
    """Return item and reason of an entry (:func:`split_entries`).

    >>> entry_of('i1","reason":{"code":"new","arguments":{}}')
    {'item_id': 'i1', 'reason': {'code': 'new', 'arguments': {}}}
    """
    entry: dict[str, Any] = orjson.loads(OPENING[1:] + text + CLOSING[0])
    return entry


def text_of(entry: Mapping[str, Any]) -> str:
    """Return an entry as text, so that :func:`entry_of` returns it."""
    return orjson.dumps(entry).decode()[len(OPENING) - 1 : -1]


def item_ids_of(entries: Iterable[str]) -> set[str]:
    """Return the ids of the items on a list and in its reasons."""
    parsed = [entry_of(text) for text in entries]
    causes = (entry["reason"]["arguments"].get("item_id") for entry in parsed)
    return {entry["item_id"] for entry in parsed} | {cause for cause in causes if cause is not None}


def goes_by_topics(text: str, deleted: frozenset[str], topics: Mapping[str, frozenset[str]]) -> bool:
    """Return whether an entry stands by study of topics that the member deleted, as its reason says.

    >>> of_item = 'i1","reason":{"code":"because_studied","arguments":{"item_id":"i2"}}'
    >>> goes_by_topics(of_item, frozenset({"safety"}), {"i1": frozenset({"safety"}), "i2": frozenset({"chess"})})
    False
    """
    entry = entry_of(text)
    code, arguments = entry["reason"]["code"], entry["reason"]["arguments"]
    if code not in OF_STUDY:
        return False
    if "topic" in arguments:
        return arguments["topic"] in deleted
    return not deleted.isdisjoint(topics.get(arguments.get("item_id", entry["item_id"]), frozenset()))
