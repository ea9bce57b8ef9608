"""Dialects of SQLAlchemy that all engines of the product share in the tests, with their compiled statements.

An engine compiles each statement once. Each test opens engines of its own, so without this each would compile again
what the service compiles once in weeks. Engines of other libraries, such as Optuna's, have dialects of their own: the
product listens to events of its dialects.
"""

from contextvars import ContextVar
from typing import Any, ClassVar
from unittest.mock import patch

from sqlalchemy import Engine, create_engine
from sqlalchemy.dialects import registry
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.util import LRUCache

STATEMENTS = 2_000
SHARING = ContextVar("an engine of the product is being made", default=False)


class OneByOptions(type):
    """Class of classes with one instance for the same options."""

    _instances: ClassVar[dict[Any, Any]] = {}

    def __call__(cls, **options: Any) -> Any:
        """Return the instance for these options; a new one for an engine of another library."""
        if not SHARING.get():
            return super().__call__(**options)
        key = (cls, frozenset(options.items()))
        if key not in cls._instances:
            cls._instances[key] = super().__call__(**options)
        return cls._instances[key]


class Shared(metaclass=OneByOptions):
    """Dialect whose engines use the statements that those before them compiled."""

    supports_statement_cache = True
    compiled: ClassVar[LRUCache[Any, Any]] = LRUCache(STATEMENTS)

    @classmethod
    def engine_created(cls, engine: Engine) -> None:
        """Let an engine use the statements of those before it."""
        if SHARING.get():
            engine.update_execution_options(compiled_cache=cls.compiled)


class SharedSqlite(Shared, SQLiteDialect_pysqlite):
    """SQLite by Python's driver."""

    supports_statement_cache = True


class SharedPostgresql(Shared, PGDialect_psycopg):
    """PostgreSQL by psycopg."""

    supports_statement_cache = True


def create_sharing(*arguments: Any, **options: Any) -> Engine:
    """Return an engine with a shared dialect."""
    before = SHARING.set(True)
    try:
        return create_engine(*arguments, **options)
    finally:
        SHARING.reset(before)


def register() -> None:
    """Let addresses of databases name these dialects, and the product's engines share them."""
    registry.register("sqlite", __name__, SharedSqlite.__name__)
    registry.register("postgresql.psycopg", __name__, SharedPostgresql.__name__)
    patch("infra.db.engine.create_engine", create_sharing).start()
