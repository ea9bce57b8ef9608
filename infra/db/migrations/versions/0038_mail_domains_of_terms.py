"""Index stored xAPI statements by the mail addresses of their agents with the domain in lower case."""

import re
from hashlib import blake2b

import orjson
import sqlalchemy as sa
from alembic import op

revision = "0038"
down_revision = "0037"

MBOX = re.compile(r'"mbox":("(?:[^"\\]|\\.)*")')
ADD = sa.text(
    "INSERT INTO statement_terms (organisation_key, term, stored_at, direct)"
    " SELECT organisation_key, :lower, stored_at, direct FROM statement_terms"
    " WHERE organisation_key = :organisation AND stored_at = :stored AND term = :term"
    " ON CONFLICT (organisation_key, term, stored_at)"
    " DO UPDATE SET direct = statement_terms.direct OR excluded.direct"
)


def upgrade() -> None:
    connection = op.get_bind()
    query = sa.text("SELECT organisation_key, stored_at, statement FROM statements")
    for organisation, stored, statement in connection.execute(query, execution_options={"yield_per": 1_000}):
        for mbox in {orjson.loads(value) for value in MBOX.findall(statement)}:
            name, at, domain = mbox.rpartition("@")
            if domain != domain.lower():
                terms = {"term": _term(mbox), "lower": _term(name + at + domain.lower())}
                connection.execute(ADD, {"organisation": organisation, "stored": stored, **terms})


def downgrade() -> None:
    """Leave the added terms: those of before are there, too."""


def _term(mbox: str) -> str:
    return blake2b(orjson.dumps(["agent", "mbox", mbox]), digest_size=16).hexdigest()
