"""Types of the answers: typed dictionaries, as the service's OpenAPI document describes them.

Fields that a later version of the service adds are kept in the dictionaries.
"""

from typing import Any, Literal, NotRequired, TypedDict

Record = dict[str, Any]
"""An item, member, unit, requirement or curation: the fields that the reference of the API lists."""

Kind = Literal["items", "members", "units", "requirements", "curations"]


class Reason(TypedDict):
    """Reason for an item, as code, arguments and text."""

    code: str
    arguments: dict[str, Any]
    text: str


class ItemFields(TypedDict):
    """Everything that an app needs to show an item."""

    item_id: str
    title: str | None
    format: str | None
    duration_seconds: float | None
    language: str | None
    url: str | None


class ItemCard(ItemFields):
    """Item at its rank on a list."""

    rank: int


class DueItem(ItemFields):
    """Required item that cannot wait."""

    reason: Reason


class ModelScore(TypedDict):
    """One model's score of an item, divided by its best for the member."""

    model: str
    score: float | None
    rank: int | None


class ScoreBreakdown(TypedDict):
    """Score of an item, and what each group of features adds to it."""

    score: float
    source: str
    contributions: dict[str, float]
    models: list[ModelScore]


class FilteredItem(TypedDict):
    """Item that would be among the best if every item might be on the list."""

    rank: int
    item_id: str
    title: str | None
    cause: str


class ListedItem(ItemCard):
    """Item of a push list; with a breakdown where it was asked for."""

    reason: Reason
    breakdown: NotRequired[ScoreBreakdown | None]


class ListHead(TypedDict):
    """Head of a member's push list; ``made_at`` is a time as text (RFC 3339), ``empty`` why it is empty."""

    member_id: str
    list_id: str | None
    run_id: str
    made_at: str
    strategy: str
    generated_by: str
    language: str
    empty: NotRequired[Reason]
    due_left_out: NotRequired[list[DueItem]]


class PushList(ListHead):
    """Push list of a member, best item first."""

    items: list[ListedItem]
    reproduced: NotRequired[bool]
    filtered: NotRequired[list[FilteredItem]]


class ListedAt(TypedDict):
    """List that is compared; ``as_of`` is a time as text (RFC 3339)."""

    run_id: str
    as_of: str
    generated_by: str


class ItemChange(TypedDict):
    """Item that came onto a list, left it, or moved more than two places, and the cause."""

    item_id: str
    title: str | None
    change: str
    before: int | None
    after: int | None
    cause: str


class PushListChanges(TypedDict):
    """Differences between an earlier list of a member and the one served now."""

    member_id: str
    before: ListedAt
    after: ListedAt
    changed: list[str]
    changes: list[ItemChange]


class Row(TypedDict):
    """Items of a push list under a title."""

    code: str
    title: str
    items: list[ListedItem]


class Rows(ListHead):
    """Push list of a member as titled rows."""

    rows: list[Row]


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
    warnings: list[str]


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


class Coverage(TypedDict):
    """Reach of the served lists, state of requirements by unit, and topics in demand that lack content."""

    run_id: str
    members: int
    members_with_list: int
    items_available: int
    items_listed: int
    by_strategy: list[dict[str, Any]]
    requirements: list[dict[str, Any]]
    month: str
    topics: list[dict[str, Any]]


class ItemReport(TypedDict):
    """Members who get an item in the served run by strategy, and counts and rates of the item by month."""

    item_id: str
    run_id: str
    members: int
    by_strategy: list[dict[str, Any]]
    months: list[dict[str, Any]]
    total: dict[str, Any] | None


class Rates(TypedDict):
    """Rates of push lists by group."""

    by: str
    rows: list[dict[str, Any]]
