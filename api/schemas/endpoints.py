"""Schemas of delivery endpoints."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from infra.delivery.targets import MAX_URL_LENGTH

ADDRESS = r'^https?://([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?([/?][!"$-\[\]-~]*)?$'


class EndpointBody(BaseModel):
    """A webhook to register."""

    model_config = ConfigDict(extra="forbid", strict=True)

    url: str = Field(
        description="HTTPS address that takes pushes, without user, password and fragment.",
        max_length=MAX_URL_LENGTH,
        pattern=ADDRESS,
        examples=["https://app.example/pushes"],
    )


class RotationBody(BaseModel):
    """Overlap of the old secrets and the new one."""

    model_config = ConfigDict(extra="forbid", strict=True)

    overlap_hours: float = Field(24.0, ge=0, le=720, description="Hours in which older secrets sign along.")


class Endpoint(BaseModel):
    """An endpoint of a study app."""

    endpoint_id: str
    kind: Literal["webhook", "jsonl", "parquet"] = Field(description="Signed pushes, or batch files.")
    target: str = Field(description="Address of the webhook, or folder of the files.")
    status: Literal["active", "disabled"]
    reason: str | None = Field(description="Why it is disabled.")
    throttled_until: datetime | None = Field(description="Until when it asked to be left alone.")
    created_at: datetime


class Endpoints(BaseModel):
    """The endpoints of an organisation."""

    endpoints: list[Endpoint]


class Secret(BaseModel):
    """The secret of an endpoint, which is shown this once."""

    endpoint_id: str
    secret: str = Field(description="Signs the pushes; `whsec_` and Base64, by Standard Webhooks.")
