"""Query parameters of GET /xAPI/statements (Communication, 2.1.3)."""

import re
from base64 import b64decode, urlsafe_b64encode
from datetime import datetime
from typing import Annotated, Final, Literal, Self

import orjson
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from api.errors import MalformedRequestError
from api.schemas.queries import DIGITS
from features.xapi.index_terms import activity_term, agent_term, registration_term, verb_term
from features.xapi.validation.formats import IRI, UUID, instant
from features.xapi.validation.parts import agent_or_group
from infra.db.core_tables import EPOCH, MICROSECOND
from infra.lrs.search import StatementFilter

MAX_PAGE: Final = 500
"""Largest page, and the default."""
ALONE: Final = {"format", "attachments"}
"""The only parameters that may stand beside an id."""


def _like(pattern: re.Pattern[str], what: str) -> AfterValidator:
    def check(value: str) -> str:
        if not pattern.fullmatch(value):
            raise ValueError(f"must be {what}, not {value[:100]!r}")
        return value

    return AfterValidator(check)


def _moment(value: str) -> str:
    """Return a time with its ``T`` and ``+``, for which some clients send spaces."""
    value = re.sub(r"(?<=[0-9]) (?=[0-9]{2}:?[0-9]{2}$)", "+", value) if value.count(":") > 1 else value
    value = re.sub(r"^([0-9-]{10}) ", r"\1T", value)
    if instant(value) is None:
        raise ValueError(f"must be an ISO 8601 timestamp such as 2026-03-01T08:30:00Z, not {value[:100]!r}")
    return value


def _agent(value: str) -> str:
    try:
        agent = orjson.loads(value)
    except orjson.JSONDecodeError as error:
        raise ValueError(f"must be an agent or an identified group in JSON: {error}") from error
    fault = agent_or_group(agent)
    if fault is not None:
        raise ValueError(f"must be an agent or an identified group: {fault.field} {fault.reason}")
    if agent_term(agent) is None:
        raise ValueError("must be an agent or an identified group; this group has no identifier")
    return value


def _lower(value: object) -> object:
    """Return a text in lower case: Python's clients send ``True``."""
    return value.lower() if isinstance(value, str) else value


Uuid = Annotated[str, _like(UUID, "a UUID")]
Iri = Annotated[str, _like(IRI, "an IRI with its scheme")]
Moment = Annotated[str, AfterValidator(_moment)]
Flag = Annotated[Literal["true", "false"], BeforeValidator(_lower)]


class StatementQuery(BaseModel):
    """The parameters of GET /xAPI/statements."""

    model_config = ConfigDict(extra="forbid", populate_by_name=False)

    statement_id: Uuid | None = Field(None, alias="statementId", description="Id of the one statement to return.")
    voided_statement_id: Uuid | None = Field(
        None, alias="voidedStatementId", description="Id of the one voided statement to return."
    )
    agent: Annotated[str, AfterValidator(_agent)] | None = Field(
        None, description="Agent or identified group, in JSON, that is actor or object, or a member of such a group."
    )
    verb: Iri | None = Field(None, description="IRI of the verb.")
    activity: Iri | None = Field(None, description="IRI of the activity that is the object.")
    registration: Uuid | None = Field(None, description="UUID of the registration.")
    related_activities: Flag = Field("false", description="Find the activity in contexts and substatements too.")
    related_agents: Flag = Field(
        "false", description="Find the agent as authority, instructor, team and in substatements too."
    )
    since: Moment | None = Field(None, description="Stored after this time.")
    until: Moment | None = Field(None, description="Stored at this time or before.")
    limit: Annotated[int, DIGITS] = Field(
        0, ge=0, description=f"Most statements to return; 0, and anything above {MAX_PAGE}, is {MAX_PAGE}."
    )
    format: Literal["ids", "exact", "canonical"] = Field("exact", description="Shape of the statements.")
    attachments: Flag = Field("false", description="true: answer as multipart/mixed, attachments included.")
    ascending: Flag = Field("false", description="true: oldest first.")
    more: str | None = Field(None, description="Where the page before ended: the link in its `more`.")

    @model_validator(mode="after")
    def _go_together(self) -> Self:
        present = {type(self).model_fields[name].alias or name for name in self.model_fields_set}
        for alone, beside in (("statementId", ALONE), ("voidedStatementId", ALONE), ("more", {"limit"})):
            extra = present - beside - {alone}
            if alone in present and extra:
                raise ValueError(f"{alone} cannot stand beside {', '.join(sorted(extra))}")
        return self

    def page(self) -> tuple["StatementQuery", datetime | None]:
        """Return the query of the first page, and the time of storing of the last statement before this page.

        Raises
        ------
        MalformedRequestError
            ``more`` is no token of this service.
        """
        if self.more is None:
            return self, None
        try:
            after, query = orjson.loads(b64decode(self.more.encode(), altchars=b"-_", validate=True))
            first = StatementQuery.model_validate(query)
            page = first.model_copy(update={"limit": self.limit}) if "limit" in self.model_fields_set else first
            return page, EPOCH + int(after) * MICROSECOND
        except (ValueError, TypeError, OverflowError, ValidationError) as error:
            raise MalformedRequestError("more: this is no link that an answer held; start again without it") from error

    def token(self, after: datetime) -> str:
        """Return the token of ``more`` for the page after a statement stored at some moment."""
        query = self.model_dump(by_alias=True, exclude_unset=True)
        return urlsafe_b64encode(orjson.dumps([(after - EPOCH) // MICROSECOND, query])).decode()

    def filter(self, after: datetime | None) -> StatementFilter:
        """Return the filter of the query."""
        related_agents, related_activities = self.related_agents == "true", self.related_activities == "true"
        terms = [
            (self.verb and verb_term(self.verb), False),
            (self.registration and registration_term(self.registration), False),
            (self.agent and agent_term(orjson.loads(self.agent)), related_agents),
            (self.activity and activity_term(self.activity), related_activities),
        ]
        return StatementFilter(
            terms=tuple((term, related) for term, related in terms if term),
            since=instant(self.since) if self.since else None,
            until=instant(self.until) if self.until else None,
            ascending=self.ascending == "true",
            after=after,
        )


def languages(accept: str | None) -> list[str]:
    """Return the languages of an ``Accept-Language`` header (RFC 9110, 12.5.4), by descending weight.

    >>> languages("de;q=0.5, zh-CN, en;q=0.8, *;q=0")
    ['zh-CN', 'en', 'de']
    """
    weighted = []
    for part in (accept or "").split(","):
        tag, _, parameter = part.partition(";")
        weight = parameter.strip().removeprefix("q=") if parameter.strip() else "1"
        if tag.strip() not in {"", "*"} and re.fullmatch(r"[01](\.[0-9]{0,3})?", weight) and float(weight) > 0:
            weighted.append((-float(weight), tag.strip()))
    return [tag for _, tag in sorted(weighted, key=lambda pair: pair[0])]
