"""Models of the bodies and answers of anonymous lists."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from api.schemas.lists import ListedItem
from api.schemas.queries import NO_NUL
from features.schema import NON_STUDY_VERBS, VERBS
from infra.serving.list_json import MAX_LIST_LENGTH

MAX_STEPS = 100
Text = Annotated[str, Field(min_length=1, max_length=1_000, pattern=NO_NUL)]


def whole(value: Any) -> Any:
    """Return a number that is whole as an integer, which in JSON it is however it is written.

    >>> whole(10.0), whole(1.5), whole("1")
    (10, 1.5, '1')
    """
    return int(value) if isinstance(value, float) and value.is_integer() else value


class SessionEvent(BaseModel):
    """One thing that was done in a session."""

    model_config = ConfigDict(extra="forbid", strict=True)

    item_id: Text
    verb: Literal[tuple(verb for verb in VERBS if verb not in NON_STUDY_VERBS)] = "viewed"  # type: ignore[valid-type]  # made from a tuple
    progress: float | None = Field(default=None, ge=0, le=1)


class SessionBody(BaseModel):
    """The events of a session, and parameters of the list."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        json_schema_extra={"examples": [{"events": [{"item_id": "knots", "verb": "completed"}], "n": 5}]},
    )

    events: list[SessionEvent] = Field(max_length=MAX_STEPS, description="In the order in which they happened.")
    role: Text | None = Field(default=None, description="Code of the role, where it is known.")
    industry: Text | None = Field(default=None, description="Code of the industry, where it is known.")
    n: Annotated[int, BeforeValidator(whole)] = Field(
        default=10, ge=1, le=MAX_LIST_LENGTH, description="Most items to return."
    )
    exclude: list[Text] = Field(default=[], max_length=100, description="Ids of items that should not be on the list.")
    language: Annotated[str, Field(min_length=1, max_length=35)] | None = Field(
        default=None, description="Language of the reasons."
    )
    explain: bool = Field(default=True, description="Whether every item comes with its reason.")


class AnonymousList(BaseModel):
    """A list without a member."""

    run_id: str
    made_at: datetime
    strategy: Literal["session", "segment", "popular"] = Field(description="Data that the list is based on.")
    language: str = Field(description="Language of the reasons.")
    items: list[ListedItem]
