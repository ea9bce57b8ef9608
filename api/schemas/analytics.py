"""Response models of runs and analytics."""

from datetime import date, datetime
from typing import Any, Literal

from pydantic import BaseModel, Field

from api.schemas.policy import RequirementCounts


class Run(BaseModel):
    """A run: one batch of lists."""

    run_id: str
    status: Literal["built", "held", "published"] = Field(description="`built`: under way, or stopped in between.")
    as_of: datetime = Field(description="Events up to this moment are known to it.")
    made_at: datetime = Field(description="When the run began.")
    published_at: datetime | None = Field(description="When its lists began to be served.")
    settings_digest: str = Field(description="SHA-256 of the settings that lists depend on.")
    data_digest: str = Field(description="SHA-256 of its training data.")
    code_version: str = Field(description="Version of the code.")
    counts: dict[str, Any] = Field(description="Numbers of members, items, events and lists.")
    checks: list[dict[str, Any]] = Field(
        description="Checks of the run: `name`, `passed` (null: it only warns), `detail`, `facts`: the numbers in it."
    )


class Runs(BaseModel):
    """A page of runs, the newest first."""

    runs: list[Run]


class Step(BaseModel):
    """One step of a run."""

    name: str
    finished_at: datetime
    seconds: float = Field(description="How long it took.")
    rows: int = Field(description="Numbers of members, items, events and lists.")
    peak_bytes: int = Field(description="Most memory that the process had until then.")


class RunDetail(Run):
    """A run with its steps."""

    steps: list[Step]


class Row(BaseModel):
    """Figures of one group; null where they are suppressed."""

    value: str | None = Field(description="Value that the group has in common; null: unknown.")
    members: int | None = Field(description="Members behind the figures.")
    suppressed: bool = Field(description="Whether the figures are left out because they are of too few members.")


class ActivityRow(Row):
    """Study in one period; `value` is its first day."""

    events: int | None
    items: int | None = Field(description="Different items that were studied.")
    finished: int | None = Field(description="Pairs of a member and an item finished by the member.")


class Activity(BaseModel):
    """Study over time."""

    by: Literal["week", "month"]
    rows: list[ActivityRow]


class RatesRow(Row):
    """Counts and rates of the items of one group's lists."""

    lists: int | None
    shown: int | None
    opened: int | None
    completed: int | None
    dismissed: int | None
    liked: int | None
    opened_rate: float | None = Field(description="Share of the shown items that were opened, 0 to 1.")
    completed_rate: float | None = Field(description="Share of the shown items that were completed, 0 to 1.")


class Rates(BaseModel):
    """Counts and rates of push lists, by group."""

    by: str
    rows: list[RatesRow]


class TopicDemand(BaseModel):
    """A topic that members of a role or industry study, and the items on it that they may be offered."""

    by: Literal["role", "industry"]
    value: str = Field(description="Code of the role or industry.")
    topic: str
    members: int = Field(
        description="Members who studied the topic in the month, rounded down to a multiple of "
        "`privacy.smallest_group`."
    )
    items: int = Field(description="Items on the topic that could be offered to the group now.")
    members_per_item: float | None = Field(description="Members for each item; null: there is no item.")
    rising: bool = Field(description="Whether more members studied it than in the month before.")


class Coverage(BaseModel):
    """Reach of the served lists, state of requirements, and topics in demand that lack content."""

    run_id: str
    members: int
    members_with_list: int
    items_available: int = Field(description="Items that could be offered now.")
    items_listed: int = Field(description="Items on at least one list of the run, at most those above.")
    by_strategy: list[Row] = Field(description="Members by the strategy of their lists.")
    requirements: list[RequirementCounts] = Field(description="State of each requirement, over all and by unit.")
    month: date = Field(description="First day of the last whole month, whose study the topics are of.")
    topics: list[TopicDemand] = Field(description="Up to 10 topics of each role and industry, the scarcest first.")


class ItemReport(BaseModel):
    """Members who get an item in the served run, and what became of it on push lists."""

    item_id: str
    run_id: str = Field(description="The served run.")
    members: int = Field(description="Members whose list holds the item, without those of suppressed rows.")
    by_strategy: list[Row] = Field(description="Members whose list holds the item, by the strategy of the list.")
    months: list[RatesRow] = Field(description="Counts and rates by month; `value` is its first day.")
    total: RatesRow | None = Field(description="Counts and rates over all months; null: it was on no list shown.")


class DataQuality(BaseModel):
    """Data-quality report of an organisation."""

    figures: dict[str, Any] = Field(description="Figures by name, as `xuelu doctor` prints them; shares are 0 to 1.")
    findings: list[str] = Field(description="Figures beyond the thresholds of the settings `[doctor]`, with advice.")
    sound: bool = Field(description="Whether there are no findings.")
