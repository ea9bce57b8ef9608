"""Tables of policy: requirements, waivers, completions that outlive their events, curations, choices of members."""

from sqlalchemy import Column, Double, Table, Text

from infra.db.core_tables import Instant, metadata, organisation_column

requirements = Table(
    "requirements",
    metadata,
    organisation_column(),
    Column("requirement_id", Text, primary_key=True),
    Column("items", Text, nullable=False),
    *(Column(name, Text) for name in ("target_roles", "target_industries", "target_units", "target_regions")),
    Column("due_on", Instant),
    Column("days_after_joining", Double),
    Column("days_after_role", Double),
    Column("recurrence", Text),
    Column("open_days", Double),
    Column("starts_on", Instant),
)

curations = Table(
    "curations",
    metadata,
    organisation_column(),
    Column("curation_id", Text, primary_key=True),
    Column("action", Text, nullable=False),
    Column("items", Text, nullable=False),
    *(Column(name, Text) for name in ("target_roles", "target_industries", "target_units", "target_regions")),
    Column("starts_at", Instant),
    Column("ends_at", Instant, nullable=False),
    Column("places", Double),
)
"""Pins, boosts and bans of editors."""

waivers = Table(
    "waivers",
    metadata,
    organisation_column(),
    Column("member_id", Text, primary_key=True),
    Column("requirement_id", Text, primary_key=True),
    Column("waived_at", Instant, nullable=False),
    Column("reason", Text),
)

completions = Table(
    "completions",
    metadata,
    organisation_column(),
    Column("member_id", Text, primary_key=True),
    Column("item_id", Text, primary_key=True),
    Column("finished_at", Instant, nullable=False),
)
"""Last completions of required items whose events retention deleted."""

member_choices = Table(
    "member_choices",
    metadata,
    organisation_column(),
    Column("member_id", Text, primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("value", Text, primary_key=True),
    Column("chosen_at", Instant, nullable=False),
)
"""Choices of members: items saved for later, and topics deleted from their interests."""
SAVED, DELETED_TOPIC = "saved", "refused_topic"
"""Kinds of choices as stored; the value is an item or a topic."""
