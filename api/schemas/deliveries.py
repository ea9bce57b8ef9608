"""Schemas of deliveries: push lists on their way to endpoints."""

from datetime import date, datetime
from typing import Literal

from pydantic import BaseModel, Field

Status = Literal["pending", "delivered", "dead", "dropped"]


class Delivery(BaseModel):
    """A push list for an endpoint."""

    delivery_id: str
    member_id: str
    endpoint_id: str
    run_id: str = Field(description="Run that the list is of.")
    period: date = Field(description="Date of the push where the member is.")
    status: Status = Field(description="`dead`: given up after failures, see `reason`.")
    reason: str | None = Field(description="Result of the last attempt that failed.")
    push_at: datetime = Field(description="When the member's study hours begin on that date.")
    due_at: datetime = Field(description="When it is sent, or tried next.")
    expires_at: datetime = Field(description="It is not sent from then on.")
    attempts: int = Field(description="Attempts begun.")


class Deliveries(BaseModel):
    """A page of deliveries, the latest dates first."""

    deliveries: list[Delivery]


class DeliveryAttempt(BaseModel):
    """An attempt to send a delivery."""

    number: int
    started_at: datetime
    finished_at: datetime | None = Field(description="Null: under way, or its worker died.")
    outcome: str | None = Field(description="Status that the endpoint answered, or why there was no answer.")


class DeliveryDetail(Delivery):
    """A delivery with its attempts."""

    tries: list[DeliveryAttempt] = Field(description="Attempts, the first one first.")


class Queue(BaseModel):
    """Deliveries that wait for an endpoint, and those given up."""

    endpoint_id: str
    kind: Literal["webhook", "jsonl", "parquet"]
    pending: int = Field(description="Deliveries that are still to be sent.")
    due: int = Field(description="Those of them that are due now.")
    oldest_due_seconds: float = Field(description="For how long the oldest of these has been due.")
    dead: int = Field(description="Deliveries given up.")


class Queues(BaseModel):
    """The queues of the organisation's endpoints."""

    queues: list[Queue]
