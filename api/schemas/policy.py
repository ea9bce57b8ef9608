"""Bodies of requirements, waivers, saved items, interests and curations; their bounds are those of files."""

from datetime import datetime
from typing import Final

from pydantic import BaseModel, ConfigDict, Field

from api.schemas.queries import NO_NUL
from api.schemas.records import Filled, Part, bounded_by
from content_catalog.schema import CURATIONS, REQUIREMENTS

WARNINGS: Final = "What is sound and may not be meant, such as a day that has passed."


class RequirementBody(BaseModel):
    """A requirement as sent by a caller; fields that are left out or null are empty."""

    model_config = ConfigDict(extra="forbid", strict=True, json_schema_extra=bounded_by(REQUIREMENTS))

    items: list[Part] | None = Field(None, description="Ids of the items, in order of study.", examples=[["knots"]])
    target_roles: list[Part] | None = Field(None, description="Codes of the roles it holds for, with those below.")
    target_industries: list[Part] | None = Field(None, description="Codes of the industries it holds for.")
    target_units: list[Part] | None = Field(None, description="Units it holds for, as paths.")
    target_regions: list[Part] | None = Field(None, description="Regions it holds for, as paths.")
    due_on: Filled | None = Field(None, description="Day for everybody, or the first one.", examples=["2026-06-30"])
    days_after_joining: float | None = Field(None, description="Days from joining until the member's own due date.")
    days_after_role: float | None = Field(None, description="Days from taking the role until the due date.")
    recurrence: Filled | None = None
    open_days: float | None = Field(
        None,
        description="Days before a due date from which a recurring one is open, and that late joiners have; "
        "by default 90 for a yearly one, else 60.",
    )
    starts_on: Filled | None = Field(None, description="Who joined or took the role before counts from this day.")


class StoredRequirement(RequirementBody):
    """A requirement."""

    model_config = ConfigDict(json_schema_extra=None)

    requirement_id: str


class WrittenRequirement(StoredRequirement):
    """A requirement as it was written."""

    warnings: list[str] = Field(description=WARNINGS)


class Requirements(BaseModel):
    """A page of requirements, in order of their ids."""

    requirements: list[StoredRequirement]


class RequirementCounts(BaseModel):
    """Members who have not met a requirement, over all or of one unit."""

    requirement_id: str
    unit: str | None = Field(description="Path of the unit; null: the whole organisation.")
    members: int | None = Field(description="Members for whom it holds.")
    open: int | None = Field(
        description="Members who have not met it: whose day has not passed, or who can be offered nothing of it yet."
    )
    due: int | None = Field(description="Those of them who have to begin within 7 days at their own pace, or earlier.")
    cannot_be_met: int | None = Field(description="Those of them who cannot be done in time at their own pace.")
    overdue: int | None = Field(description="Members whose day has passed.")
    suppressed: bool = Field(description="Whether the figures are left out, being of too few members.")


class RequirementsAtRisk(BaseModel):
    """Requirements that members will not meet in time."""

    requirements: list[RequirementCounts]


class WaiverBody(BaseModel):
    """A waiver as sent by a caller."""

    model_config = ConfigDict(extra="forbid", strict=True)

    reason: str | None = Field(None, max_length=1_000, pattern=NO_NUL, examples=["certified elsewhere"])


class Waiver(WaiverBody):
    """A requirement that a member need not meet."""

    requirement_id: str
    waived_at: datetime


class Waivers(BaseModel):
    """The waivers of a member."""

    waivers: list[Waiver]


class SavedItem(BaseModel):
    """An item that a member saved for later."""

    item_id: str
    saved_at: datetime


class SavedItems(BaseModel):
    """The items that a member saved for later."""

    saved: list[SavedItem]


class Interest(BaseModel):
    """A topic held about a member."""

    topic: str
    share: float = Field(description="Share of the weight of the member's study; an item counts for each topic.")
    items: list[str] = Field(description="Ids of items that it comes from, at most 20, those that count most first.")
    last_studied_at: datetime


class DeletedInterest(BaseModel):
    """A topic that a member deleted."""

    topic: str
    deleted_at: datetime


class Interests(BaseModel):
    """The topics held about a member, the largest share first, and those that it deleted."""

    interests: list[Interest]
    deleted: list[DeletedInterest]


class CurationBody(BaseModel):
    """A curation as sent by a caller; fields that are left out or null are empty."""

    model_config = ConfigDict(extra="forbid", strict=True, json_schema_extra=bounded_by(CURATIONS))

    action: Filled | None = Field(
        None, description="Put the items on top of lists, move them up, or offer them nowhere.", examples=["pin"]
    )
    items: list[Part] | None = Field(None, description="Ids of the items; pinned ones in order.", examples=[["knots"]])
    target_roles: list[Part] | None = Field(None, description="Codes of the roles it holds for, with those below.")
    target_industries: list[Part] | None = Field(None, description="Codes of the industries it holds for.")
    target_units: list[Part] | None = Field(None, description="Units it holds for, as paths.")
    target_regions: list[Part] | None = Field(None, description="Regions it holds for, as paths.")
    starts_at: Filled | None = Field(None, description="It holds from then on; null: at once.")
    ends_at: Filled | None = Field(None, description="It holds until then.", examples=["2026-09-01T00:00:00Z"])
    places: float | None = Field(None, description="Places that a boost moves an item up; by default 3.")


class StoredCuration(CurationBody):
    """Items that are pinned, boosted or banned for an audience, until a set time."""

    model_config = ConfigDict(json_schema_extra=None)

    curation_id: str


class WrittenCuration(StoredCuration):
    """A curation as it was written."""

    warnings: list[str] = Field(description=WARNINGS)


class Curations(BaseModel):
    """A page of curations, in order of their ids."""

    curations: list[StoredCuration]
