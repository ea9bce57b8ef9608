"""Settings of the rules that are applied to ranked lists."""

from pydantic import BaseModel, ConfigDict, Field


class PolicySettings(BaseModel):
    """Rules that are applied to ranked lists."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    window: int = Field(default=5, ge=2, le=100, description="Successive entries of a list that variety looks at.")
    max_per_topic: int = Field(
        default=0, ge=0, le=100, description="Most entries of one topic in such a window; 0: any number."
    )
    max_per_provider: int = Field(
        default=0, ge=0, le=100, description="Most entries of one provider in such a window; 0: any number."
    )
    max_per_format: int = Field(
        default=0, ge=0, le=100, description="Most entries of one format in such a window; 0: any number."
    )
    diversity: float = Field(
        default=0.0, ge=0, le=1, description="0: lists by relevance alone; 1: by unlikeness of successive topics alone."
    )
