"""Query parameters read strictly: only the spellings that the OpenAPI document allows.

Pydantic alone takes `+5`, `5.0`, `yes` and seconds since 1970 as well, any of which may be a mistake.
"""

import re
from collections.abc import Callable
from datetime import date
from typing import Annotated, Any, Final, Literal, Self

from pydantic import AwareDatetime, BaseModel, BeforeValidator, Field, model_validator

from content_catalog.schema import FORMATS
from infra.serving.list_json import MAX_LIST_LENGTH
from recommender.policy.selection import EVERYTHING, Selection

DEFAULT_LENGTH: Final = 10
NO_NUL: Final = r"^[^\u0000]*$"
"""Texts that both databases store."""
MAX_LANGUAGE: Final = 35


def _spelled(pattern: str, advice: str) -> Callable[[Any], Any]:
    """Return a check that a text is spelled in one way."""
    spelling = re.compile(pattern)

    def check(value: Any) -> Any:
        if isinstance(value, str) and not spelling.fullmatch(value):
            raise ValueError(advice)
        return value

    return check


DIGITS: Final = BeforeValidator(_spelled("-?(?:0|[1-9][0-9]{0,17})", "write an integer in decimal digits"))
Length = Annotated[int, Field(ge=1, le=MAX_LIST_LENGTH, description="Most items to return."), DIGITS]
Limit = Annotated[int, Field(ge=1, le=1_000, description="Most entries of a page."), DIGITS]
Minutes = Annotated[int, Field(ge=1, le=1_440), DIGITS]
TIME_TO_STUDY: Final = "Time to study: the items take no longer together. Those of unknown length do not fit."
Format = Literal[FORMATS]  # type: ignore[valid-type]  # made from a tuple
Flag = Annotated[bool, BeforeValidator(_spelled("true|false", "write true or false"))]
NonEmpty = Annotated[str, Field(min_length=1)]
Filter = Annotated[str | None, Field(min_length=1, max_length=255, pattern=NO_NUL)]
Moment = Annotated[
    AwareDatetime,
    BeforeValidator(
        _spelled(
            "[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]{1,6})?(Z|[+-][0-9]{2}:[0-9]{2})",
            "write a time with its offset, such as 2026-03-01T08:00:00Z; in an address + is %2B",
        )
    ),
]
UPDATED_SINCE: Final = (
    "Only those that were created or changed at this time or later: of a file, when its import began."
)
Day = Annotated[date, BeforeValidator(_spelled("[0-9]{4}-[0-9]{2}-[0-9]{2}", "write a day, such as 2026-03-01"))]


class PushListQuery(BaseModel):
    """Query parameters of a push list."""

    n: Length = DEFAULT_LENGTH
    exclude: list[NonEmpty] = Field(
        default=[],
        max_length=100,
        description="Ids of items that should not be on the list; may be given several times.",
    )
    language: str | None = Field(
        default=None,
        min_length=1,
        max_length=MAX_LANGUAGE,
        description="Language of the reasons; by default the member's.",
    )
    explain: Literal["true", "false", "full"] = Field(
        default="true",
        description="Whether every item comes with its reason; `full`: with the breakdown of its score as well.",
    )
    minutes: Minutes | None = Field(default=None, description=TIME_TO_STUDY)
    max_minutes: Minutes | None = Field(default=None, description="Most minutes of one item.")
    topics: list[NonEmpty] = Field(
        default=[], max_length=100, description="Items of one of these topics; may be given several times."
    )
    formats: list[Format] = Field(
        default=[], max_length=100, description="Items of one of these formats; may be given several times."
    )
    as_of: Day | None = Field(
        default=None, description="Day in UTC: the list of its night, as it was shown then; by default today's."
    )

    @property
    def selection(self) -> Selection:
        """The conditions on the items of the list."""
        return Selection(self.minutes, self.max_minutes, frozenset(self.topics), frozenset(self.formats))

    @model_validator(mode="after")
    def _select_of_today(self) -> Self:
        if self.as_of is not None and self.selection != EVERYTHING:
            raise ValueError("as_of shows a list as it was; leave minutes, max_minutes, topics and formats out")
        return self
