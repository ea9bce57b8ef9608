"""Push lists as the service answers them: in JSON, with places put into words once for all lists they are on.

What is told of lists and places is written down once, in :mod:`infra.serving.push_lists`, which makes lists one by one.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain
from typing import Any, Final, NamedTuple

import orjson
from sqlalchemy.orm import Session

from content_catalog.taxonomy import Taxonomy
from infra.db.core_tables import EPOCH, MICROSECOND
from infra.runs import store as runs
from infra.serving.list_query import Taken, entry_of
from infra.serving.push_lists import IMPERSONAL, head, offered, place
from recommender.explanations.translations import Words, language_of

LONGEST: Final = 100
"""Most places that a caller may want."""
MOST_TOLD: Final = 100_000
"""Places in words that are kept for one organisation and language."""
BEGINNINGS: Final = tuple(b'%b{"rank":%d,' % (b"," if rank > 1 else b"", rank) for rank in range(1, LONGEST + 1))


class Asked(NamedTuple):
    """What a caller wants to see of a list."""

    n: int
    now: datetime
    language: str | None = None
    exclude: frozenset[str] = frozenset()
    explain: bool = True


@dataclass(frozen=True, slots=True)
class Names:
    """What items and codes are called: faces of items by id, and taxonomies by kind.

    ``told`` keeps places as they were told with these names: by language, and whether with reasons, then by their JSON.
    """

    faces: Mapping[str, Mapping[str, Any] | None]
    taxonomies: Mapping[str, Taxonomy]
    told: dict[tuple[str, bool], dict[str, "Told | None"]] = field(default_factory=dict)


class Told(NamedTuple):
    """A place of a list as it was told."""

    text: bytes
    """The place as JSON without its beginning, which is its rank."""
    item_id: str
    item: Mapping[str, Any] | None
    """The item, where it is offered for a time only."""


def general(session: Session, organisation_key: int, taken: Taken) -> Taken:
    """Return the list for anyone in place of a member's own."""
    run = {"organisation_key": organisation_key, "run_key": taken.run_key}
    made = runs.push_list(session, run, runs.ANYONE)
    if made is None:
        return taken._replace(list_id=None, strategy=IMPERSONAL, entries=None)
    return taken._replace(
        list_id=made["list_id"], strategy=made["strategy"], entries=orjson.dumps(made["entries"]).decode()
    )


def rendered(taken: Taken, places: Iterable[str], names: Names, asked: Asked) -> bytes:
    """Return a list as it is answered, in JSON: places with the faces of their items, and reasons in words.

    Left out are items hidden, removed or gone out of time since the night, those that the member finished or dismissed
    since, and those that the caller excludes.

    Raises
    ------
    KeyError
        The face of an item that is on the list, or in a reason, is not among the names.
    """
    spoken, out = language_of(asked.language or taken.language), taken.settled | asked.exclude
    told = names.told.setdefault((spoken, asked.explain), {})
    kept: list[bytes] = []
    for text in places:
        try:
            one = told[text]
        except KeyError:
            if len(told) >= MOST_TOLD:
                told.clear()
            one = told[text] = _told(entry_of(text), names, language=spoken, explain=asked.explain)
        if one is None:
            continue
        whole, item_id, item = one
        if item_id in out or (item is not None and not offered(item, asked.now)):
            continue
        kept.append(whole)
        if len(kept) == asked.n:
            break
    told_first = head(
        taken.member_id,
        list_id=taken.list_id,
        run_id=taken.run_id,
        made_at=EPOCH + taken.made_at * MICROSECOND,
        strategy=taken.strategy or IMPERSONAL,
        language=spoken,
        fresh=taken.fresh,
    )
    ranked = chain.from_iterable(zip(BEGINNINGS, kept, strict=False))
    return b"".join((orjson.dumps(told_first, option=orjson.OPT_UTC_Z)[:-1], b',"items":[', *ranked, b"]}"))


def _told(entry: dict[str, Any], names: Names, *, language: str, explain: bool) -> Told | None:
    """Return a place in words; None where its item is hidden or removed."""
    item, reason = names.faces[entry["item_id"]], entry["reason"]
    cause = reason["arguments"].get("item_id")
    if cause is not None and cause not in names.faces:
        raise KeyError(cause)
    if item is None or item["hidden"]:
        return None
    words = Words(language, titles=_Titles(names.faces), taxonomies=names.taxonomies)
    told = place(item, reason if explain else None, words)
    bounded = item["available_from"] is not None or item["available_until"] is not None
    return Told(orjson.dumps(told)[1:], item["item_id"], item if bounded else None)


class _Titles(Mapping[str, str | None]):
    """Titles by item id, looked up in faces."""

    def __init__(self, faces: Mapping[str, Mapping[str, Any] | None]) -> None:
        self._faces = faces

    def __getitem__(self, item_id: str) -> str | None:
        face = self._faces[item_id]
        return face["title"] if face else None

    def __iter__(self) -> Iterator[str]:
        return iter(self._faces)

    def __len__(self) -> int:
        return len(self._faces)
