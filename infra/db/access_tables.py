"""Tables of who may do what, and of who did what: keys of the API and the audit log."""

from sqlalchemy import BigInteger, Column, ForeignKey, Integer, Table, Text

from infra.db.core_tables import JSON_VALUE, Instant, metadata, organisation_column

api_keys = Table(
    "api_keys",
    metadata,
    Column("key_id", Text, primary_key=True),
    organisation_column(primary=False),
    Column("name", Text, nullable=False),
    Column("digest", Text, nullable=False),
    Column("scopes", JSON_VALUE, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("expires_at", Instant),
    Column("revoked_at", Instant),
    Column("last_used_at", Instant),
)

console_sessions = Table(
    "console_sessions",
    metadata,
    Column("token_digest", Text, primary_key=True),
    organisation_column(primary=False),
    Column("key_id", Text, ForeignKey("api_keys.key_id")),
    Column("subject", Text),
    Column("scopes", JSON_VALUE),
    Column("organisations", JSON_VALUE),
    Column("encrypted_id_token", Text),
    Column("created_at", Instant, nullable=False),
    Column("last_seen_at", Instant, nullable=False),
)

rate_counts = Table(
    "rate_counts",
    metadata,
    organisation_column(),
    Column("minute", BigInteger, primary_key=True, autoincrement=False),
    Column("caller", Text, primary_key=True),
    Column("count", Integer, nullable=False),
)

audit_heads = Table(
    "audit_heads",
    metadata,
    organisation_column(),
    Column("sequence", BigInteger, nullable=False),
    Column("hash", Text, nullable=False),
)

audit_entries = Table(
    "audit_entries",
    metadata,
    organisation_column(),
    Column("sequence", BigInteger, primary_key=True, autoincrement=False),
    Column("at", Instant, nullable=False),
    Column("actor", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("subject", Text),
    Column("detail", Text),
    Column("hash", Text, nullable=False),
)

audit_subjects = Table(
    "audit_subjects",
    metadata,
    organisation_column(),
    Column("member_id", Text, primary_key=True),
    Column("secret", Text, nullable=False),
)

data_folders = Table(
    "data_folders",
    metadata,
    organisation_column(),
    Column("kind", Text, primary_key=True),
    Column("path", Text, primary_key=True),
    Column("host", Text, nullable=False),
)
