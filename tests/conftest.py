"""Databases of both kinds for every test that wants one, built by the migrations; an environment without settings."""

import gc
import os
import shutil
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any
from uuid import uuid4

import hypothesis
import pytest
from sqlalchemy import Engine, delete, make_url

from benchmarks.servers import PostgresqlServer, postgresql
from infra.catalog import organisations
from infra.db.access_tables import data_folders
from infra.db.engine import make_engine, opened, transaction
from infra.db.migrate import migrate
from infra.privacy import folders
from infra.runs import store as runs
from infra.settings.sections import ModelSettings, NightlySettings, RankerSettings
from infra.settings.settings import Settings
from jobs.ingest.ingest import FileOptions, ImportResult, ingest
from jobs.nightly.night import nightly
from tests import shared_dialects, tracing
from tests.reused_databases import ReusedDatabases

# No test judges by the clock: a busy machine is no fault.
hypothesis.settings.register_profile("xuelu", deadline=None, max_examples=50)
hypothesis.settings.load_profile("xuelu")
shared_dialects.register()

Take = Callable[..., ImportResult]
NOW = datetime(2026, 3, 2, 1, 30, tzinfo=UTC)
SMALL_MODELS = ModelSettings(als_factors=4, als_iterations=3, threads=1)
SMALL_RANKER = RankerSettings(window_days=1)

COLLECTED_OBJECTS = 50_000
"""Of Python's 700, collections took a twentieth of the processor time of nights."""
SPEED = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "autovacuum=off", "jit=off")


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Import all modules without collections of garbage, leave what they made out of later ones, and collect rarely."""
    gc.disable()
    result = yield
    gc.freeze()
    gc.set_threshold(COLLECTED_OBJECTS)
    gc.enable()
    return result


def pytest_addoption(parser: pytest.Parser, pluginmanager: pytest.PytestPluginManager) -> None:
    """Add the option by which the tests of the console make the pictures of the docs, and the plugin of tracing."""
    pluginmanager.register(tracing)
    parser.addoption("--screenshots", metavar="FOLDER", help="write a picture of each screen of the console here")


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[PostgresqlServer]:
    """Start a server on a socket of its own, and stop it at the end, however the tests end."""
    with postgresql(SPEED) as server:
        yield server


NEAR = ("v1", "v2", "v3", "v4", "v5", "v6")
"""Items that drivers study."""

FAR = ("o1", "o2", "o3", "o4", "o5", "https://lms.example/items/6?part=1")
"""Items that clerks study."""


def courier_files() -> dict[str, str]:
    """Return an organisation with every kind of item and member the lists treat differently, as files by kind."""
    items = [
        "item_id,title,language,format,duration_seconds,topics,target_roles,audience,published_at,available_until,hidden"
    ]
    for number, item_id in enumerate(NEAR, 1):
        items.append(f"{item_id},安全驾驶第{number}课,zh-CN,video,{number * 60},safety,83,open,2026-01-01,,false")
    for number, item_id in enumerate(FAR, 1):
        items.append(f"{item_id},Office lesson {number},en,article,{number * 90},office,41,open,2026-01-02,,")
    items += [
        "new,New rules of the road,en,article,,policy,,open,2026-02-27,,",
        "hidden,Withdrawn,en,article,60,safety,,open,2026-01-01,,true",
        "drivers,For drivers only,en,live,3600,safety,83,restricted,2026-01-01,,",
        "closing,Open until the evening,en,live,3600,safety,,open,2026-01-01,2026-03-02T12:00:00Z,",
        "coming,Not published yet,en,video,60,safety,,open,2026-03-20,,",
    ]
    members = ["member_id,units,role,industry,language,joined_on,personalised"]
    events = ["event_id,member_id,item_id,verb,occurred_at,duration_seconds,progress"]
    for number in range(10):
        for kind, role, industry, language, theirs in (("d", 83, 54, "zh-CN", NEAR), ("c", 41, 60, "en", FAR)):
            member_id = f"{kind}{number}"
            members.append(f"{member_id},North/Depot {number % 2},{role},{industry},{language},2025-06-01,")
            for step in range(3):
                item_id = theirs[(number + step) % len(theirs)]
                day = f"2026-02-{20 + (number + step) % 8:02d}T08:{number:02d}:00Z"
                verb, progress = ("completed", 1) if step == 0 else ("progressed", 0.5)
                events.append(f"{member_id}-{step},{member_id},{item_id},{verb},{day},{30 + step},{progress}")
    members += ["new-driver,North,83,54,en,2026-03-01,", "unknown,,,,,2026-03-01,", "private,North,83,54,en,,false"]
    events.append("p-1,private,v1,completed,2026-02-24T09:00:00Z,60,1")
    return {"items": "\n".join(items), "members": "\n".join(members), "events": "\n".join(events)}


# What the databases of tests hold, each state made once from the one before, and copied for each test.

OPEN = NightlySettings(max_churn=1.0, max_event_loss=1.0, min_coverage=0.0, min_group_length=0.0)
"""Nothing holds lists back."""
WEEKLY = OPEN.model_copy(update={"refit_days": 7.0})
"""... and models serve for a week."""


def _migrate(settings: Settings) -> None:
    with opened(settings.database_url) as engine:
        migrate(engine)


def _ingest(settings: Settings) -> None:
    with opened(settings.database_url) as engine, tempfile.TemporaryDirectory() as folder:
        for kind, content in courier_files().items():
            path = Path(folder, f"{kind}.csv")
            path.write_text(content, encoding="utf-8")
            ingest(engine, settings, path, kind, now=NOW)


def _night(rules: NightlySettings) -> Callable[[Settings], None]:
    def night(settings: Settings) -> None:
        with opened(settings.database_url) as engine:
            nightly(engine, settings.model_copy(update={"nightly": rules}), now=NOW)

    return night


STEPS: dict[str, tuple[str, Callable[[Settings], None]]] = {
    "migrated": ("empty", _migrate),
    "couriers": ("migrated", _ingest),
    "served": ("couriers", _night(NightlySettings())),
    "served_online": ("couriers", _night(OPEN)),
    "served_weekly": ("couriers", _night(WEEKLY)),
}


class States(ABC):
    """Databases of one kind in the states that tests begin with.

    Parameters
    ----------
    folder : Path
        Of the artefacts that nights save.
    """

    def __init__(self, folder: Path) -> None:
        self._made: set[str] = {"empty"}
        self._folder = folder

    def new(self, name: str, state: str) -> str:
        """Return the address of a new database in a state."""
        self.make(state)
        return self._copy(name, state)

    def make(self, state: str) -> None:
        """Make the database that is named after a state, where it is not there yet."""
        if state not in self._made:
            before, step = STEPS[state]
            url = self.new(state, before)
            folder = self.artefacts(state)
            step(Settings(database_url=url, artefacts_folder=folder, models=SMALL_MODELS, ranker=SMALL_RANKER))
            self._made.add(state)

    @contextmanager
    def database(self, state: str) -> Iterator[str]:
        """Yield the address of a database in a state."""
        name = f"t{uuid4().hex}"
        yield self.new(name, state)
        self.drop(name)

    @abstractmethod
    def drop(self, name: str) -> None:
        """Remove a database."""

    def artefacts(self, state: str) -> Path:
        """Return the folder of the artefacts that belong to a state."""
        return self._folder / f"{state}-artefacts"

    @abstractmethod
    def _copy(self, name: str, state: str) -> str:
        """Copy the database that is named after a state, and return the copy's address."""


class SqliteStates(States):
    """SQLite files in a folder."""

    def _copy(self, name: str, state: str) -> str:
        path = self._folder / f"{name}.db"
        if state != "empty":
            shutil.copy(self._folder / f"{state}.db", path)
        return f"sqlite:///{path}"

    def drop(self, name: str) -> None:
        """Remove a database."""
        Path(self._folder, f"{name}.db").unlink(missing_ok=True)


class PostgresqlStates(States):
    """PostgreSQL databases on this session's server."""

    def __init__(self, folder: Path, server: PostgresqlServer) -> None:
        super().__init__(folder)
        self._server = server
        self._reused = ReusedDatabases(server, self.make, self.new, self.drop)

    @contextmanager
    def database(self, state: str) -> Iterator[str]:
        """Yield the address of a database in a state: a used one, unless it is to have no tables."""
        with super().database(state) if state == "empty" else self._reused.database(state) as url:
            yield url

    def _copy(self, name: str, state: str) -> str:
        template = "template0" if state == "empty" else state
        self._server.run(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY")
        return self._server.url(name)

    def close(self) -> None:
        """Close the connections to used databases."""
        self._reused.close()

    def drop(self, name: str) -> None:
        """Remove a database, whoever still uses it."""
        self._server.run(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="session")
def sqlite_states(tmp_path_factory: pytest.TempPathFactory) -> SqliteStates:
    """Return where SQLite databases come from."""
    return SqliteStates(tmp_path_factory.mktemp("databases"))


@pytest.fixture(scope="session")
def postgresql_states(
    tmp_path_factory: pytest.TempPathFactory, postgresql_server: PostgresqlServer
) -> Iterator[PostgresqlStates]:
    """Return where PostgreSQL databases come from."""
    with closing(PostgresqlStates(tmp_path_factory.mktemp("databases"), postgresql_server)) as states:
        yield states


@pytest.fixture
def state(request: pytest.FixtureRequest) -> str:
    """Return the state this test's databases begin in: what the fixtures it asks for say."""
    return next((name for name in ("empty", *reversed(STEPS)) if name in request.fixturenames), "migrated")


@pytest.fixture
def empty() -> None:
    """Ask for databases without any table."""


@pytest.fixture
def sqlite_url(sqlite_states: SqliteStates, state: str) -> Iterator[str]:
    """Return the address of a SQLite file of this test's own."""
    with sqlite_states.database(state) as url:
        yield url


@pytest.fixture
def postgresql_url(postgresql_states: PostgresqlStates, state: str) -> Iterator[str]:
    """Return the address of a PostgreSQL database of this test's own."""
    with postgresql_states.database(state) as url:
        yield url


ON_SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
"""For tests whose statements others run on PostgreSQL."""


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """Return the address of a database, once of each kind."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture
def open_engine() -> Iterator[Callable[[str], Engine]]:
    """Return what opens a database that the end of the test closes."""
    opened: list[Engine] = []

    def engine_for(url: str) -> Engine:
        opened.append(make_engine(url))
        return opened[-1]

    yield engine_for
    for engine in opened:
        engine.dispose()


@pytest.fixture
def engine(database_url: str, open_engine: Callable[[str], Engine]) -> Engine:
    """Return a migrated database, once of each kind."""
    return open_engine(database_url)


@cache
def small_settings() -> Settings:
    """Return settings of small models, made once: their sources are read in a dozen milliseconds."""
    return Settings(models=SMALL_MODELS, ranker=SMALL_RANKER)


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    """Return the settings of a fresh organisation on a fresh database, once of each kind."""
    folders = {"rejects_folder": tmp_path / "rejects", "artefacts_folder": tmp_path / "artefacts"}
    return small_settings().model_copy(update={"database_url": database_url, **folders})


@pytest.fixture
def now() -> datetime:
    """Return the moment at which these tests happen."""
    return NOW


TERMINAL = {"COLUMNS", "LINES", "FORCE_COLOR", "NO_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE", "GITHUB_ACTIONS"}
"""Variables of terminals and build servers that change what commands print."""


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name in TERMINAL or (name.startswith("XUELU_") and name != "XUELU_DATA"):
            monkeypatch.delenv(name)


@pytest.fixture
def working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a folder of the test's own."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def take(engine: Engine, settings: Settings, now: datetime, tmp_path: Path) -> Take:
    """Return what takes in a file, given by its path or its text."""

    def taken(kind: str, content: Path | str, *, mapping: str | None = None, **changes: object) -> ImportResult:
        path = content if isinstance(content, Path) else tmp_path / f"{kind}-{uuid4().hex}.csv"
        if isinstance(content, str):
            path.write_text(content, encoding="utf-8")
        return ingest(engine, settings.model_copy(update=changes), path, kind, now=now, options=FileOptions(mapping))

    return taken


@pytest.fixture
def couriers(engine: Engine) -> Engine:
    """Return a database that holds the organisation's files."""
    return engine


@pytest.fixture
def served(engine: Engine) -> dict[str, Any]:
    """Return the published run of the organisation's first night."""
    with transaction(engine) as session:
        return runs.latest(session, organisations.key_of(session, "default"))


def with_artefacts(engine: Engine, settings: Settings, states: States, state: str) -> dict[str, Any]:
    """Copy the artefacts of a state for a test of its own, and return the run that saved them."""
    shutil.copytree(states.artefacts(state), settings.artefacts_folder)
    with transaction(engine) as session:
        session.execute(delete(data_folders))
        key = organisations.key_of(session, "default")
        folders.record(session, key, folders.ARTEFACTS, settings.artefacts_folder)
        return runs.latest(session, key)


@pytest.fixture
def states(request: pytest.FixtureRequest, database_url: str) -> States:
    """Return where this test's database came from."""
    states: States = request.getfixturevalue(f"{make_url(database_url).get_backend_name()}_states")
    return states


@pytest.fixture
def served_online(engine: Engine, settings: Settings, states: States) -> dict[str, Any]:
    """Return the published run of a first night that nothing could hold back, with its online model."""
    return with_artefacts(engine, settings, states, "served_online")


@pytest.fixture
def served_weekly(engine: Engine, settings: Settings, states: States) -> dict[str, Any]:
    """Return the published run of a first night whose models serve for a week."""
    return with_artefacts(engine, settings, states, "served_weekly")
