"""Types of the answers: typed dictionaries, as the service's OpenAPI document describes them.

Fields that a later version of the service adds are kept in the dictionaries.
"""

from typing import Any, Literal, TypedDict

Record = dict[str, Any]
"""An item, member or unit: the fields that the reference of the API lists."""

Kind = Literal["items", "members", "units"]


class Reason(TypedDict):
    """Reason for an item, as code, arguments and text."""

    code: str
    arguments: dict[str, Any]
    text: str


class ItemCard(TypedDict):
    """Everything that an app needs to show an item of a list."""

    rank: int
    item_id: str
    title: str | None
    format: str | None
    duration_seconds: float | None
    language: str | None
    url: str | None


class ListedItem(ItemCard):
    """Item of a push list."""

    reason: Reason


class PushList(TypedDict):
    """Push list of a member, best item first; ``made_at`` is a time as text (RFC 3339)."""

    member_id: str
    list_id: str | None
    run_id: str
    made_at: str
    strategy: str
    generated_by: str
    language: str
    items: list[ListedItem]


class AnonymousList(TypedDict):
    """List for a session, or for a role and industry."""

    run_id: str
    made_at: str
    strategy: str
    language: str
    items: list[ListedItem]


class SimilarItem(ItemCard):
    """Similar item; ``basis`` is ``study`` or ``text``."""

    similarity: float
    basis: str


class SimilarItems(TypedDict):
    """Similar items of an item, most similar first."""

    item_id: str
    run_id: str
    made_at: str
    items: list[SimilarItem]


class EventFault(TypedDict):
    """Fault of an event: the field, its value and the reason."""

    field: str
    value: str
    reason: str


class EventResult(TypedDict):
    """Result of an event: ``stored``, ``unresolved``, ``duplicate``, ``conflict`` or ``rejected``."""

    event_id: str | None
    status: str
    errors: list[EventFault] | None


class RejectedLine(TypedDict):
    """Line of a bulk body that was not stored."""

    line: int
    field: str
    value: str
    reason: str


class BulkResult(TypedDict):
    """Result of a bulk upsert; ``rejects`` are the first 1,000."""

    lines: int
    stored: int
    duplicates: int
    rejected: int
    rejects: list[RejectedLine]
    unused_columns: list[str]


class MemberExport(TypedDict):
    """All stored data of a member."""

    member_id: str
    exported_at: str
    tables: dict[str, list[Record]]
    push_lists: list[Record]
    statements: list[Record]
    attachments: list[dict[str, str]]
    audit: list[Record]


class Erasure(TypedDict):
    """Result of an erasure: rows by table, what is left, and the signed receipt."""

    member_id: str
    erased_at: str
    erased: dict[str, int]
    left: list[str]
    receipt: str | None


class Run(TypedDict):
    """Nightly run."""

    run_id: str
    status: str
    as_of: str
    made_at: str
    published_at: str | None
    settings_digest: str
    data_digest: str
    code_version: str
    counts: dict[str, Any]
    checks: list[dict[str, Any]]


class Rates(TypedDict):
    """Rates of push lists by group."""

    by: str
    rows: list[dict[str, Any]]
