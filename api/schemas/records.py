"""Request and response bodies of items, members, units and codes; their bounds are those of files."""

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from api.schemas.queries import NO_NUL
from content_catalog.schema import ITEMS, LIST_SEPARATOR, Column, Schema
from features.schema import MEMBERS

Part = Annotated[str, StringConstraints(pattern=rf"^[^{LIST_SEPARATOR}\x00]*$")]
"""Lists are stored as one text joined by the separator, so no part may contain it."""
Filled = Annotated[str, StringConstraints(pattern=r"\S")]
"""A time, day, choice, zone or hours: null, not a blank text, says that there is none."""


def _bounds(column: Column) -> dict[str, Any]:
    """Return the bounds of a column as JSON Schema keywords."""
    match column.kind:
        case "number":
            return {"minimum": column.low, "maximum": column.high}
        case "instant":
            return {"format": "date-time"}
        case "date":
            return {"format": "date"}
        case "text" if column.choices:
            return {"enum": list(column.choices)}
        case "text":
            return {"maxLength": column.longest, "pattern": NO_NUL}
        case _:
            return {}


def bounded_by(schema: Schema) -> Callable[[dict[str, Any]], None]:
    """Return a function that adds the bounds of a schema's columns to a model's JSON Schema."""

    def extend(json_schema: dict[str, Any]) -> None:
        for column in schema.columns:
            for part in json_schema["properties"].get(column.name, {}).get("anyOf", []):
                if part["type"] in {"string", "number"}:
                    part.update(_bounds(column))

    return extend


class ItemBody(BaseModel):
    """An item as sent by a caller; fields that are left out or null are empty."""

    model_config = ConfigDict(extra="forbid", strict=True, json_schema_extra=bounded_by(ITEMS))

    title: str | None = Field(None, examples=["Knots"])
    summary: str | None = None
    text: str | None = Field(None, description="Full text, used to find similar items.")
    language: str | None = Field(None, examples=["en"])
    format: Filled | None = Field(None, examples=["video"])
    duration_seconds: float | None = Field(None, examples=[90])
    difficulty: Filled | None = None
    topics: list[Part] | None = Field(None, examples=[["safety"]])
    target_roles: list[Part] | None = Field(None, description="Codes of the roles it is meant for.")
    target_industries: list[Part] | None = Field(None, description="Codes of industries it is meant for.")
    target_units: list[Part] | None = Field(None, description="Units it is meant for, as paths.")
    audience: Filled | None = None
    prerequisites: list[Part] | None = Field(None, description="Ids of items to finish first.")
    advised_prerequisites: list[Part] | None = Field(
        None, description="Ids of items that are better finished first; it stands lower until then."
    )
    series: str | None = Field(None, description="Series that it is part of.", examples=["induction"])
    series_position: float | None = Field(None, description="Its place in the series.", examples=[2])
    starts_at: Filled | None = Field(None, description="Begin of a live session, announced until then.")
    ends_at: Filled | None = Field(None, description="End of a live session; not offered from then on.")
    published_at: Filled | None = None
    available_from: Filled | None = None
    available_until: Filled | None = None
    hidden: bool | None = Field(None, description="Whether it is on no list, from the next request on.")
    provider: str | None = None
    url: str | None = Field(None, examples=["https://example.org/knots"])
    shared: bool | None = Field(None, description="Whether all organisations may read it and be recommended it.")


class Item(ItemBody):
    """An item; lists of items leave `text` out."""

    model_config = ConfigDict(strict=False, json_schema_extra=None)

    item_id: str


class MemberBody(BaseModel):
    """A member as sent by a caller; fields that are left out or null are empty."""

    model_config = ConfigDict(extra="forbid", strict=True, json_schema_extra=bounded_by(MEMBERS))

    units: list[Part] | None = Field(None, description="Units of the member, as paths.", examples=[["North/Depot 3"]])
    role: str | None = Field(None, description="Code of the role.", examples=["83"])
    industry: str | None = Field(None, description="Code of the industry.", examples=["60"])
    region: str | None = None
    language: str | None = Field(None, examples=["en"])
    timezone: Filled | None = Field(None, examples=["Asia/Shanghai"])
    joined_on: Filled | None = None
    role_since: Filled | None = Field(None, description="Day on which the member took its role.")
    personalised: bool | None = Field(
        None, description="False: history, role and industry play no part, from the next list on."
    )
    pushes: bool | None = Field(None, description="False: the member gets no pushes; the lists stay.")
    study_hours: Filled | None = Field(None, examples=["08:00-09:00"])
    quiet_hours: Filled | None = Field(None, examples=["22:00-07:00"])
    less_topics: list[Part] | None = Field(
        None, description="Topics that the member wants less of, from the next request on.", examples=[["history"]]
    )
    follows: list[Part] | None = Field(
        None,
        description="Series that the member follows: the next item of each is on the list.",
        examples=[["induction"]],
    )
    devices: list[Part] | None = Field(
        None, description="Devices that the member has: items of these formats may be offered.", examples=[["vr"]]
    )


class Member(MemberBody):
    """A member."""

    model_config = ConfigDict(strict=False, json_schema_extra=None)

    member_id: str


class UnitBody(BaseModel):
    """A unit as sent by a caller."""

    model_config = ConfigDict(extra="forbid", strict=True)

    name_en: str | None = Field(None, max_length=1_000, examples=["Depot 3"])
    name_zh: str | None = Field(None, max_length=1_000, examples=["三号仓库"])


class Unit(UnitBody):
    """A unit of the organisation's tree, named by its path."""

    unit: str = Field(examples=["North/Depot 3"])
    parent: str | None = Field(examples=["North"])
    members: int = Field(description="Members of the unit itself and of those below it.")


class CodeBody(BaseModel):
    """A code of a taxonomy as sent by a caller."""

    model_config = ConfigDict(extra="forbid", strict=True)

    parent: str | None = Field(None, description="Code above it; none for a root.")
    name_en: str | None = Field(None, max_length=1_000, examples=["Riders"])
    name_zh: str | None = Field(None, max_length=1_000, examples=["骑手"])


class Code(CodeBody):
    """A code of a taxonomy."""

    code: str


class UnknownCodes(BaseModel):
    """Stored codes that the taxonomy which applies now lacks."""

    members_with_unknown_codes: int
    items_with_unknown_codes: int
    requirements_with_unknown_codes: int
    curations_with_unknown_codes: int
    unknown_codes: list[str]


class Items(BaseModel):
    """A page of items, in order of their ids."""

    items: list[Item]


class Members(BaseModel):
    """A page of members, in order of their ids."""

    members: list[Member]


class Units(BaseModel):
    """A page of units, in order of their paths."""

    units: list[Unit]


class Codes(BaseModel):
    """A page of a taxonomy's codes, in order of the codes."""

    own: bool = Field(description="Whether the taxonomy is the organisation's own, rather than the shipped one.")
    codes: list[Code]


class Reject(BaseModel):
    """A line of a file or bulk body that was not stored."""

    line: int
    field: str
    value: str
    reason: str


class BulkResult(BaseModel):
    """Counts and rejects of a bulk request."""

    lines: int
    stored: int
    duplicates: int
    rejected: int
    rejects: list[Reject] = Field(description="The first 1,000 of them.")
    unused_columns: list[str]
    warnings: list[str] = Field(description="The first 20 about lines that are sound and may not be meant.")


class MemberExport(BaseModel):
    """All stored data about a member."""

    member_id: str
    exported_at: datetime
    tables: dict[str, list[dict[str, Any]]] = Field(description="Rows that name the member, by table.")
    push_lists: list[dict[str, Any]] = Field(description="The member's lists with their entries and reasons.")
    statements: list[dict[str, Any]] = Field(description="xAPI statements that the member takes part in.")
    attachments: list[dict[str, str]] = Field(
        description="What is attached to them: `statement_id`, `sha2`, and the content in base64."
    )
    audit: list[dict[str, Any]] = Field(description="Who read or changed something of the member.")


class Erasure(BaseModel):
    """Erased rows, and the receipt of the erasure."""

    member_id: str
    erased_at: datetime
    erased: dict[str, int] = Field(description="Rows by table, and lines of files.")
    left: list[str] = Field(description="Data that could not be erased, and how to finish; empty where all is gone.")
    receipt: str | None = Field(description="Signed receipt, a JWS; none where no key for receipts is set.")


ImportKind = Literal["events", "members", "items", "units", "xapi", "requirements", "curations"]
ImportStatus = Literal["imported", "refused", "unfinished"]


class Import(BaseModel):
    """An imported or refused file or bulk body."""

    import_id: str
    kind: ImportKind
    file_name: str
    status: ImportStatus = Field(
        description="`refused`: too many bad lines, nothing was stored; `unfinished`: only a part is stored so far."
    )
    finished_at: datetime
    rows: int = Field(description="Lines of the file.")
    stored: int
    duplicates: int = Field(description="Lines that repeat an earlier one.")
    rejected: int = Field(description="Bad lines.")
    reasons: dict[str, int] = Field(description="Bad lines by field and reason.")


class Rejects(BaseModel):
    """A page of the rejects of an import, in the order of its lines."""

    rejects: list[Reject]


class Imports(BaseModel):
    """A page of imports, the newest first."""

    imports: list[Import]
