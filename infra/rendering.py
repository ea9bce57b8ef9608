"""Push lists as the service answers them: in JSON, with places put into words once for all lists they are on.

It says the same as :func:`infra.push_lists.shown`, which makes lists one by one (a test compares the two).
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy.orm import Session

from content_catalog.taxonomy import Taxonomy
from infra import runs
from infra.archive import FACE
from infra.push_lists import IMPERSONAL, offered
from infra.shelf import Entry, Taken
from infra.tables import EPOCH, MICROSECOND
from recommender.wording import Words, language_of


@dataclass(frozen=True, slots=True)
class Asked:
    """What a caller wants to see of a list."""

    n: int
    now: datetime
    language: str | None = None
    exclude: frozenset[str] = frozenset()
    explain: bool = True


@dataclass(frozen=True, slots=True)
class Names:
    """What items and codes are called: faces of items by id, and taxonomies by kind.

    ``told`` keeps what was put into words with these names: the JSON of places, by language, item and reason.
    """

    faces: Mapping[str, Mapping[str, Any] | None]
    taxonomies: Mapping[str, Taxonomy]
    told: dict[tuple[str, ...], bytes] = field(default_factory=dict)


def general(session: Session, organisation_key: int, taken: Taken) -> Taken:
    """Return the list for anyone in place of a member's own."""
    run = {"organisation_key": organisation_key, "run_key": taken.run_key}
    made = runs.push_list(session, run, runs.ANYONE)
    if made is None:
        return replace(taken, list_id=None, path=IMPERSONAL, entries=None)
    return replace(taken, list_id=made["list_id"], path=made["path"], entries=orjson.dumps(made["entries"]).decode())


def rendered(taken: Taken, places: Iterable[Entry], names: Names, asked: Asked) -> bytes:
    """Return a list as it is answered, in JSON: places with the faces of their items, and reasons in words.

    Left out are items hidden, removed or gone out of time since the night, those that the member finished or dismissed
    since, and those that the caller excludes.
    """
    faces, told, now, out = names.faces, names.told, asked.now, taken.settled | asked.exclude
    spoken = language_of(asked.language or taken.language)
    kept: list[bytes] = []
    for place in places:
        item_id = place["item_id"]
        item = faces.get(item_id)
        if item is None or item_id in out or not offered(item, now):
            continue
        reason = place["reason"]
        key = (spoken, item_id, reason["code"], *reason["arguments"].values()) if asked.explain else (item_id,)
        if (text := told.get(key)) is None:
            text = told[key] = _told(item, reason if asked.explain else None, spoken, names)
        kept.append(b'{"rank":%d,%b' % (len(kept) + 1, text))
        if len(kept) == asked.n:
            break
    head = {
        "member_id": taken.member_id,
        "list_id": taken.list_id,
        "run_id": taken.run_id,
        "made_at": EPOCH + taken.made_at * MICROSECOND,
        "path": taken.path or IMPERSONAL,
        "language": spoken,
    }
    return b'%b,"items":[%b]}' % (orjson.dumps(head, option=orjson.OPT_UTC_Z)[:-1], b",".join(kept))


def _told(item: Mapping[str, Any], reason: dict[str, Any] | None, language: str, names: Names) -> bytes:
    """Return a place as JSON without its beginning, which is its rank."""
    told = {name: item[name] for name in FACE}
    if reason is not None:
        words = Words(language, titles=_Titles(names.faces), taxonomies=names.taxonomies)
        told["reason"] = {**reason, "text": words.tell(reason)}
    return orjson.dumps(told)[1:]


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
