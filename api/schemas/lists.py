"""Models of answers: lists, similar items, health, events and statements."""

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, Field

from infra.explanations.list_changes import Cause


class ReasonOut(BaseModel):
    """Reason for an item on a list."""

    code: str = Field(examples=["because_finished"])
    arguments: dict[str, Any] = Field(examples=[{"item_id": "i00012"}])
    text: str = Field(examples=["Because you finished “Knots”"])


class ItemFields(BaseModel):
    """Fields of an item that apps show."""

    item_id: str
    title: str | None
    format: str | None
    duration_seconds: float | None
    language: str | None
    url: str | None


class DisplayedItem(ItemFields):
    """An item at its rank."""

    rank: int = Field(ge=1)


class ModelScore(BaseModel):
    """One model's score of an item."""

    model: str
    score: float | None = Field(description="Divided by the model's best score for the member.")
    rank: int | None = Field(description="Rank among the items that the model proposes; null where it is none of them.")


class ScoreBreakdown(BaseModel):
    """An item's score and what it is made of."""

    score: float = Field(description="What the list is ordered by.")
    source: str = Field(description="The group with the largest contribution.")
    contributions: dict[str, float] = Field(
        description="What each group of features and the constant add to the score; they add up to it."
    )
    models: list[ModelScore]


class FilteredItem(BaseModel):
    """An item that would be among the best if every item might be on the list."""

    rank: int = Field(description="Rank among all items.")
    item_id: str
    title: str | None
    cause: Literal[
        "studied",
        "dismissed",
        "excluded",
        "not_available",
        "banned",
        "resting",
        "audience",
        "device",
        "prerequisites",
        "policy",
    ] = Field(description="Why it is not on the list.")


class ListedItem(DisplayedItem):
    """An item of a push list."""

    reason: ReasonOut | None = Field(default=None, description="Left out where `explain` is false.")
    breakdown: ScoreBreakdown | None = Field(
        default=None, description="Where `explain` is `full`; null for an item that no model proposes."
    )


class DueItem(ItemFields):
    """A required item that cannot wait."""

    reason: ReasonOut | None = Field(default=None, description="Left out where `explain` is false.")


class EmptyOut(BaseModel):
    """Why a list is empty."""

    code: Literal["nothing_to_offer", "none_of_these_topics_and_formats", "all_take_longer", "no_length_known"]
    arguments: dict[str, Any] = Field(examples=[{"minutes": 12, "shortest_minutes": 15}])
    text: str = Field(examples=["Nothing on the list takes at most 12 minutes; the shortest takes 15"])


class ListHead(BaseModel):
    """Head of a member's push list."""

    member_id: str
    list_id: str | None
    run_id: str
    made_at: datetime
    strategy: Literal["history", "segment", "popular"] = Field(description="Data that the list is based on.")
    generated_by: Literal["batch", "online"] = Field(
        description="Whether the run made the list, or the service by what the member did since."
    )
    language: str = Field(description="Language of the reasons.")
    empty: EmptyOut | None = Field(default=None, description="Where the list is empty: why.")
    due_left_out: list[DueItem] | None = Field(
        default=None, description="Required items that cannot wait, and that the time or the filters leave out."
    )


class PushList(ListHead):
    """A member's push list."""

    items: list[ListedItem]
    reproduced: bool | None = Field(
        default=None,
        description="Where `explain` is `full`: whether the models of the run and the events of today give this list.",
    )
    filtered: list[FilteredItem] | None = Field(
        default=None, description="Where `explain` is `full`: the best items that are not on the list, and why."
    )


class ListedAt(BaseModel):
    """A list that is compared."""

    run_id: str
    as_of: datetime = Field(description="Moment until which events count.")
    generated_by: Literal["batch", "online"]


class ItemChange(BaseModel):
    """An item that came onto a list, left it, or moved more than two places."""

    item_id: str
    title: str | None
    change: Literal["came", "went", "moved"]
    before: int | None = Field(description="Rank on the earlier list; null where it came.")
    after: int | None = Field(description="Rank on the list of now; null where it went.")
    cause: Cause = Field(description="Input whose change moved it most.")


class PushListChanges(BaseModel):
    """Differences between an earlier list of a member and the one served now."""

    member_id: str
    before: ListedAt
    after: ListedAt
    changed: list[str] = Field(description="The inputs that differ between the lists.")
    changes: list[ItemChange]


class RowOut(BaseModel):
    """Items of a list under a title."""

    code: Literal["due", "continue", "saved", "review", "new", "for_you"]
    title: str = Field(examples=["Continue"])
    items: list[ListedItem]


class Rows(ListHead):
    """A member's push list as titled rows."""

    rows: list[RowOut] = Field(description="Rows that have any item; no item is in two of them.")


class SimilarItem(DisplayedItem):
    """An item like another one."""

    similarity: float
    basis: Literal["study", "text"] = Field(description="Studied by the same members, or about the same.")


class SimilarItems(BaseModel):
    """Items like one item, most similar first."""

    item_id: str
    run_id: str
    made_at: datetime
    items: list[SimilarItem]


class Health(BaseModel):
    """State of the service."""

    status: Literal["ok"]


class Problem(BaseModel):
    """Problem details (RFC 9457)."""

    type: str
    title: str = Field(description="Name of the HTTP status.")
    status: int = Field(description="The HTTP status.")
    detail: str = Field(description="What is wrong, and what to do.")
    errors: list[dict[str, Any]] | None = Field(
        None,
        description="The faults one by one, where there may be several; which fields they have depends on the route.",
    )


class FaultOut(BaseModel):
    """Fault of an event."""

    field: str = Field(description="The column at fault; empty where the whole event is.")
    value: str = Field(description="Its value, shortened.")
    reason: str


class PostedEvent(BaseModel):
    """Result of one event of a batch."""

    event_id: str | None = Field(description="Its id; that of its content where it came without one.")
    status: Literal["stored", "unresolved", "duplicate", "conflict", "rejected"]
    errors: list[FaultOut] | None = Field(None, description="What is wrong, where it was not taken.")


class PostedEvents(BaseModel):
    """Results of a batch of events."""

    stored: int
    duplicates: int
    rejected: int
    unresolved: int = Field(description="Of the stored ones, those whose member or item does not exist yet.")
    results: list[PostedEvent] = Field(description="One for each event, in their order.")


class StatementResult(BaseModel):
    """A page of xAPI statements."""

    statements: list[dict[str, Any]]
    more: str = Field(description="Where the next page is; empty on the last one.")


class About(BaseModel):
    """Versions of xAPI that the service speaks."""

    version: list[str]
