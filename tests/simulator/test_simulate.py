"""The files of a simulation: reproducible, bad on purpose in known places, and written as a stream."""

import csv
import datetime as dt
import tracemalloc
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from content_catalog.io.readers import read_chunks
from content_catalog.io.validation import check_rows
from content_catalog.references import check_codes
from content_catalog.schema import ITEMS, Schema
from content_catalog.taxonomy import shipped
from features.events import check_events, deduplicate
from features.schema import EVENTS, MEMBERS
from simulator.bad_lines import kinds_of_bad_lines
from simulator.simulate import SimulationError, SimulationSummary, simulate
from tests.simulator.written_files import good_rows, instants, lines_of

UNTIL = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)
INPUTS: dict[str, Schema] = {"items.csv": ITEMS, "members.csv": MEMBERS, "events.csv.gz": EVENTS}
CODES = {
    "items.csv": {"target_roles": "isco08", "target_industries": "gbt4754_2017"},
    "members.csv": {"role": "isco08", "industry": "gbt4754_2017"},
}


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, SimulationSummary]:
    folder = tmp_path_factory.mktemp("organisation")
    return folder, simulate(folder, members=2_300, items=100, days=90, seed=5, until=UNTIL)


def test_same_arguments_give_the_same_bytes_and_another_seed_gives_others(tmp_path: Path) -> None:
    size: dict[str, Any] = {"members": 200, "items": 60, "days": 30, "until": UNTIL}
    folders = [tmp_path / name for name in ("first", "again", "other")]
    for folder, seed in zip(folders, (1, 1, 2), strict=True):
        summary = simulate(folder, seed=seed, **size)
        assert sorted(folder / name for name in summary.rows) == sorted(folder.iterdir())
    first, again, other = [{path.name: path.read_bytes() for path in folder.iterdir()} for folder in folders]
    assert first == again
    assert all(first[name] != other[name] for name in first if name != "units.csv")


def test_members_of_a_full_block_do_not_depend_on_how_many_follow(
    written: tuple[Path, SimulationSummary], tmp_path: Path
) -> None:
    simulate(tmp_path, members=2_000, items=100, days=90, seed=5, until=UNTIL)
    for name in INPUTS:
        alone, followed = lines_of(tmp_path / name), lines_of(written[0] / name)
        assert followed[: len(alone)] == alone


def test_summary_counts_what_is_in_the_files(written: tuple[Path, SimulationSummary]) -> None:
    summary = written[1]
    rows = {name: len(lines_of(written[0] / name)) - 1 for name in ["units.csv", *INPUTS, "expected_rejects.csv"]}
    rows |= {name: len(pd.read_parquet(written[0] / name)) for name in ("truth.parquet", "truth_segments.parquet")}
    assert summary.rows == rows
    assert rows["expected_rejects.csv"] == sum(sum(kinds.values()) for kinds in summary.bad.values())
    for name in INPUTS:
        frame = good_rows(written[0], name)
        bad, duplicates = sum(summary.bad[name].values()), summary.duplicates[name]
        assert duplicates == round(0.15 * bad)
        assert rows[name] == len(frame) + bad + duplicates
        assert frame.iloc[:, 0].is_unique


def test_two_in_a_hundred_lines_are_bad_in_every_way_that_fits(written: tuple[Path, SimulationSummary]) -> None:
    for name, kinds in written[1].bad.items():
        every = kinds_of_bad_lines(INPUTS[name].name)
        bad, rows = sum(kinds.values()), written[1].rows[name]
        assert bad / rows == pytest.approx(0.02, abs=0.0002 + 0.5 / rows)
        assert len(kinds) == min(len(every), bad)
        assert set(kinds) <= set(every)


@pytest.mark.parametrize("name", INPUTS)
def test_an_import_refuses_exactly_the_expected_lines(written: tuple[Path, SimulationSummary], name: str) -> None:
    refused: set[int] = set()
    for chunk in read_chunks(written[0] / name):
        if name == "events.csv.gz":
            sound, rejects = check_events(chunk.frame)
            _, _, unknown = deduplicate(sound)
        else:
            sound, rejects = check_rows(chunk.frame, INPUTS[name])
            _, unknown = check_codes(sound, {column: shipped(code) for column, code in CODES[name].items()})
        refused.update(*(frame["line"] for frame in (chunk.rejects, rejects, unknown)))
    expected = pd.read_csv(written[0] / "expected_rejects.csv")
    assert refused == set(expected.loc[expected["file"] == name, "line"])


def test_a_clean_simulation_has_no_dirt_and_no_duplicates(tmp_path: Path) -> None:
    summary = simulate(tmp_path, members=50, items=20, days=20, seed=1, until=UNTIL, bad_lines_share=0)
    assert not any(summary.bad.values())
    assert not any(summary.duplicates.values())
    assert summary.rows["members.csv"] == 50
    assert summary.rows["items.csv"] == 20


def peak_bytes(folder: Path, members: int) -> tuple[int, int]:
    """Peak of Python's memory in this simulation, and of Arrow's since the program began."""
    tracemalloc.start()
    simulate(folder, members=members, items=40, days=20, seed=1, until=UNTIL)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak, pa.default_memory_pool().max_memory() or 0


def test_memory_does_not_grow_with_the_members(tmp_path: Path) -> None:
    few, few_arrow = peak_bytes(tmp_path, 2_000)
    many, many_arrow = peak_bytes(tmp_path, 8_000)
    assert many < 1.2 * few
    assert many_arrow < 1.2 * few_arrow


@settings(max_examples=15, deadline=None)
@given(
    members=st.integers(1, 70),
    items=st.integers(1, 60),
    days=st.integers(1, 40),
    seed=st.integers(0, 2**40),
    until=st.datetimes(dt.datetime(2001, 1, 1), dt.datetime(2060, 1, 1), timezones=st.just(dt.UTC)),  # noqa: DTZ001  hypothesis wants naive bounds
)
def test_any_size_works(
    tmp_path_factory: pytest.TempPathFactory, members: int, items: int, days: int, seed: int, until: dt.datetime
) -> None:
    folder = tmp_path_factory.mktemp("any")
    shares: list[float] = []
    simulate(folder, members=members, items=items, days=days, seed=seed, until=until, progress=shares.append)
    assert shares[-1] == 1.0
    events = good_rows(folder, "events.csv.gz")
    assert instants(events["occurred_at"]).between(until - dt.timedelta(days=days + 1), until).all()
    with (folder / "items.csv").open(encoding="utf-8", errors="replace", newline="") as file:
        assert next(csv.reader(file)) == ITEMS.names


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"members": 0}, "members is 0"),
        ({"items": 0}, "items is 0"),
        ({"days": 0}, "days is 0"),
        ({"seed": -1}, "seed is -1"),
        ({"bad_lines_share": 0.7}, "bad_lines_share is 0.7"),
        ({"until": UNTIL.replace(tzinfo=None)}, "without a time zone"),
    ],
)
def test_impossible_simulations_are_refused(tmp_path: Path, wrong: dict[str, object], message: str) -> None:
    size: dict[str, Any] = {"members": 1, "items": 1, "days": 1, "seed": 0, "until": UNTIL, **wrong}
    with pytest.raises(SimulationError, match=message):
        simulate(tmp_path, **size)
