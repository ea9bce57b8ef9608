"""The order of events makes no difference: any permutation, split, repetition and placement of voids."""

import gzip
import json
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st
from sqlalchemy import Engine, delete, text

from infra.catalog import organisations
from infra.db.core_tables import events
from infra.db.engine import transaction
from infra.settings.settings import Settings
from infra.training.data import load_interactions
from jobs.ingest.ingest import ingest
from tests.conftest import ON_SQLITE, Take

Event = dict[str, str]
Digest = Callable[[], str]

COLUMNS = [
    "event_id",
    "member_id",
    "item_id",
    "verb",
    "occurred_at",
    "duration_seconds",
    "progress",
    "voided_event_id",
    "session_id",
]
MOMENTS = ["2026-02-01T08:00:00Z", "2026-02-01T08:00:30Z", "2026-02-01T08:01:00.000001Z", "2026-02-01T00:00:00Z"]
VERBS = ["viewed", "progressed", "completed", "liked", "disliked", "dismissed"]

CONTENTS = st.fixed_dictionaries(
    {
        "member_id": st.sampled_from(["m1", "m1", "m2"]),
        "item_id": st.sampled_from(["i1", "i2"]),
        "verb": st.sampled_from(VERBS),
        "occurred_at": st.sampled_from(MOMENTS),
        "duration_seconds": st.sampled_from(["45", "90.25", "20", ""]),
        "progress": st.sampled_from(["", "0.1", "0.30000000000000004", "1"]),
        "session_id": st.sampled_from(["", "", "", "s1"]),
    }
)


@st.composite
def logs(draw: st.DrawFn) -> list[Event]:
    """Logs of study events, about half of them named, some of the named ones voided."""
    contents = draw(st.lists(CONTENTS, min_size=4, max_size=10))
    named = [
        {**content, "event_id": f"e{number}" if draw(st.booleans()) else ""} for number, content in enumerate(contents)
    ]
    targets = draw(
        st.lists(st.sampled_from([*(event["event_id"] for event in named if event["event_id"]), "nothing"]), max_size=3)
    )
    moment = st.sampled_from(MOMENTS)
    return [*named, *({"verb": "voided", "occurred_at": draw(moment), "voided_event_id": target} for target in targets)]


@pytest.fixture
def digest(engine: Engine, settings: Settings, take: Take, now: datetime) -> Digest:
    """Return what digests everything that lists would be made from."""
    if engine.dialect.name == "postgresql":
        # It reads a large table in the order of writing, but so small a one in the order of ids.
        with engine.begin() as connection:
            for way in ("indexscan", "indexonlyscan", "bitmapscan"):
                connection.execute(text(f'ALTER DATABASE "{engine.url.database}" SET enable_{way} = off'))
        engine.dispose()
    take("members", "member_id,role\nm1,83\nm2,41\n")
    take("items", "item_id,duration_seconds\ni1,600\ni2,\ni3,50\n")

    def of_now() -> str:
        with transaction(engine) as session:
            key = organisations.key_of(session, settings.organisation)
            return load_interactions(session, key, settings, as_of=now).digest()

    return of_now


def csv_of(log: Sequence[Event]) -> str:
    """Return a log as a canonical file."""
    return "\n".join([",".join(COLUMNS), *(",".join(event.get(name, "") for name in COLUMNS) for event in log)]) + "\n"


@examples(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=4)
@given(log=logs(), data=st.data())
def test_any_order_split_and_repetition_of_the_same_events_gives_the_same_interactions(
    engine: Engine, settings: Settings, digest: Digest, take: Take, log: list[Event], data: st.DataObject
) -> None:
    del settings
    with transaction(engine) as session:
        session.execute(delete(events))
    take("events", csv_of(log))
    expected = digest()
    with transaction(engine) as session:
        session.execute(delete(events))
    repeated = log + data.draw(st.lists(st.sampled_from(log), max_size=4), label="repetitions")
    shuffled = data.draw(st.permutations(repeated), label="order")
    cuts = sorted(data.draw(st.lists(st.integers(0, len(shuffled)), min_size=2, max_size=4), label="cuts"))
    for start, end in zip([0, *cuts], [*cuts, len(shuffled)], strict=True):
        done = take("events", csv_of(shuffled[start:end]))
        assert done.counts.rejected == 0
        assert done.counts.stored + done.counts.duplicates == end - start
    assert digest() == expected


@ON_SQLITE
def test_the_digest_tells_different_logs_apart(engine: Engine, digest: Digest, take: Take) -> None:
    study = {"event_id": "e1", "member_id": "m1", "item_id": "i1", "verb": "viewed", "occurred_at": MOMENTS[1]}
    logs_apart = [
        [],
        [study],
        [study | {"progress": "0.1"}],
        [study | {"progress": "0.10000000000000001"}],
        [study | {"occurred_at": MOMENTS[2]}],
        [study | {"member_id": "m2"}],
        [study, {"verb": "voided", "occurred_at": MOMENTS[3], "voided_event_id": "e1"}],
    ]
    digests = []
    for log in logs_apart:
        with transaction(engine) as session:
            session.execute(delete(events))
        take("events", csv_of(log))
        digests.append(digest())
    assert digests[2] == digests[3], "the same number, written differently"
    assert digests[0] == digests[-1], "all that was studied is voided"
    assert len(set(digests)) == len(logs_apart) - 2


LOG = [
    {
        "event_id": "e1",
        "member_id": "m1",
        "item_id": "i1",
        "verb": "completed",
        "occurred_at": MOMENTS[1],
        "progress": "1",
    },
    {"member_id": "m1", "item_id": "i2", "verb": "viewed", "occurred_at": MOMENTS[2], "duration_seconds": "45"},
    {
        "event_id": "e3",
        "member_id": "m2",
        "item_id": "i3",
        "verb": "viewed",
        "occurred_at": MOMENTS[3],
        "session_id": "s1",
    },
    {"verb": "voided", "occurred_at": MOMENTS[0], "voided_event_id": "e3"},
]


def test_the_same_file_twice_changes_nothing(digest: Digest, take: Take) -> None:
    first = take("events", csv_of(LOG))
    expected = digest()
    second = take("events", csv_of(LOG))
    assert (first.counts.stored, first.counts.duplicates) == (4, 0)
    assert (second.counts.stored, second.counts.duplicates, second.counts.rejected) == (0, 4, 0)
    assert digest() == expected


@pytest.mark.parametrize("first", [[LOG[2]], [LOG[3]]])
def test_a_void_may_come_before_or_after_what_it_voids(digest: Digest, take: Take, first: list[Event]) -> None:
    nothing = digest()
    take("events", csv_of(first))
    take("events", csv_of([LOG[2], LOG[3]]))
    assert digest() == nothing


def typed(event: Event) -> dict[str, object]:
    """Return an event as a program would write it: numbers as numbers, nothing for nothing."""
    return {name: float(value) if name in {"progress", "duration_seconds"} else value for name, value in event.items()}


def write_jsonl(path: Path) -> Path:
    path = path.with_suffix(".jsonl")
    path.write_text("".join(json.dumps(typed(event)) + "\n" for event in LOG), encoding="utf-8")
    return path


def write_gzip(path: Path) -> Path:
    path = path.with_suffix(".csv.gz")
    path.write_bytes(gzip.compress(csv_of(LOG).encode()))
    return path


def write_jsonl_gzip(path: Path) -> Path:
    plain = write_jsonl(path)
    path = path.with_suffix(".jsonl.gz")
    path.write_bytes(gzip.compress(plain.read_bytes()))
    return path


def write_parquet(path: Path) -> Path:
    path = path.with_suffix(".parquet")
    frame = pd.DataFrame([typed(event) for event in LOG])
    frame["occurred_at"] = pd.to_datetime(frame["occurred_at"], format="ISO8601")
    frame.to_parquet(path)
    return path


@ON_SQLITE
@pytest.mark.parametrize("write", [write_gzip, write_jsonl, write_jsonl_gzip, write_parquet])
def test_the_same_events_in_any_format_are_the_same_events(
    engine: Engine,
    settings: Settings,
    digest: Digest,
    take: Take,
    tmp_path: Path,
    now: datetime,
    write: Callable[[Path], Path],
) -> None:
    shares: list[float] = []
    first = ingest(engine, settings, write(tmp_path / "log"), "events", now=now, progress=shares.append)
    expected = digest()
    assert (first.counts.stored, first.counts.rows, first.unresolved) == (4, 4, 0)
    assert shares[-1] == 1.0
    again = take("events", csv_of(LOG))
    assert (again.counts.stored, again.counts.duplicates) == (0, 4)
    assert digest() == expected


def test_both_databases_give_the_same_digest(
    sqlite_url: str,
    postgresql_url: str,
    open_engine: Callable[[str], Engine],
    tmp_path: Path,
    now: datetime,
) -> None:
    path = tmp_path / "log.csv"
    path.write_text(csv_of(LOG), encoding="utf-8")
    digests = []
    for url in (sqlite_url, postgresql_url):
        engine = open_engine(url)
        settings = Settings(database_url=url, rejects_folder=tmp_path, auto_create=True)
        ingest(engine, settings, path, "events", now=now)
        with transaction(engine) as session:
            key = organisations.key_of(session, "default")
            digests.append(load_interactions(session, key, settings, as_of=now).digest())
    assert digests[0] == digests[1]
