"""Tables of the delivery: endpoints of study apps, their secrets, the outbox and its attempts."""

from sqlalchemy import Column, ForeignKey, Index, Integer, Table, Text, UniqueConstraint

from infra.db.core_tables import KEY, Instant, metadata, organisation_column, partial_index

endpoints = Table(
    "endpoints",
    metadata,
    Column("endpoint_key", KEY, primary_key=True),
    organisation_column(primary=False),
    Column("endpoint_id", Text, nullable=False, unique=True),
    Column("kind", Text, nullable=False),
    Column("target", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("reason", Text),
    Column("throttled_until", Instant),
    Column("created_at", Instant, nullable=False),
)

endpoint_secrets = Table(
    "endpoint_secrets",
    metadata,
    Column("secret_key", KEY, primary_key=True),
    organisation_column(primary=False),
    Column("endpoint_key", KEY, ForeignKey("endpoints.endpoint_key"), nullable=False),
    Column("encrypted_secret", Text, nullable=False),
    Column("expires_at", Instant),
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("delivery_key", KEY, primary_key=True),
    organisation_column(primary=False),
    Column("endpoint_key", KEY, ForeignKey("endpoints.endpoint_key"), nullable=False),
    Column("member_id", Text, nullable=False),
    Column("period", Text, nullable=False),
    Column("delivery_id", Text, nullable=False, unique=True),
    Column("run_key", KEY, ForeignKey("runs.run_key"), nullable=False),
    Column("status", Text, nullable=False),
    Column("reason", Text),
    *(Column(name, Instant, nullable=False) for name in ("push_at", "due_at", "expires_at")),
    Column("leased_until", Instant),
    *(Column(name, Integer, nullable=False) for name in ("attempts", "failures")),
    Column("finished_at", Instant),
    Column("item_ids", Text),
    UniqueConstraint("organisation_key", "endpoint_key", "member_id", "period"),
    Index("ix_deliveries_organisation_key_member_id_period", "organisation_key", "member_id", "period"),
)
partial_index(
    "ix_deliveries_pending", deliveries.c.endpoint_key, deliveries.c.due_at, where=deliveries.c.status == "pending"
)
partial_index("ix_deliveries_dead", deliveries.c.endpoint_key, where=deliveries.c.status == "dead")

delivery_attempts = Table(
    "delivery_attempts",
    metadata,
    organisation_column(primary=False),
    Column("delivery_key", KEY, ForeignKey("deliveries.delivery_key", ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("started_at", Instant, nullable=False),
    Column("finished_at", Instant),
    Column("outcome", Text),
)
