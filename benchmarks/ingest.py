"""Ingest beside a bare load: 2 million events from CSV into SQLite, validated, against read_csv and executemany.

``python -m benchmarks.ingest --json FILE`` writes ``vs_bare`` (median of the rounds' ratios), the seconds of each side
and ``peak_gib`` of the ingest. Each side runs in a process of its own, in turn, on the same file.
"""

import argparse
import json
import resource
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import numpy as np
import pandas as pd

MEMBERS, ITEMS, DAYS = 50_000, 5_000, 90
CHUNK_ROWS = 250_000


def write_events(path: Path, rows: int) -> None:
    """Write canonical events with random ids, times and measures."""
    rng = np.random.default_rng(0)
    for start in range(0, rows, CHUNK_ROWS):
        n = min(CHUNK_ROWS, rows - start)
        ids = rng.bytes(16 * n)
        at = np.datetime64("2026-01-01T00:00:00") + rng.integers(0, DAYS * 86_400, n).astype("timedelta64[s]")
        frame = pd.DataFrame(
            {
                "event_id": [str(UUID(bytes=ids[16 * row : 16 * row + 16])) for row in range(n)],
                "member_id": [f"m{number:06d}" for number in rng.integers(0, MEMBERS, n)],
                "item_id": [f"i{number:05d}" for number in rng.integers(0, ITEMS, n)],
                "verb": rng.choice(["viewed", "started", "progressed", "completed"], n),
                "occurred_at": [f"{moment}Z" for moment in np.datetime_as_string(at)],
                "duration_seconds": rng.integers(1, 2_000, n),
                "progress": rng.random(n).round(2),
                "score": np.where(rng.random(n) < 0.1, rng.random(n).round(2), np.nan),
                "rating": np.nan,
                "device": rng.choice(["ios", "android", "web"], n),
                "push_list_id": "",
                "voided_event_id": "",
            }
        )
        frame.to_csv(path, mode="a", header=start == 0, index=False)


def bare(path: Path, folder: Path) -> float:
    """Return the seconds of ``pandas.read_csv`` and ``sqlite3.executemany``, nothing checked."""
    start = time.perf_counter()
    frame = pd.read_csv(path)
    connection = sqlite3.connect(folder / "bare.db")
    connection.execute(f"CREATE TABLE events ({', '.join(frame.columns)})")
    marks = ", ".join("?" * len(frame.columns))
    connection.executemany(f"INSERT INTO events VALUES ({marks})", frame.itertuples(index=False, name=None))  # noqa: S608 - no input
    connection.commit()
    connection.close()
    return time.perf_counter() - start


def ours(path: Path, folder: Path) -> float:
    """Return the seconds of ``xuelu ingest events``, the members and items being known."""
    from infra.db.engine import make_engine
    from infra.db.migrate import migrate
    from infra.settings.settings import Settings
    from jobs.ingest.ingest import ingest

    settings = Settings(database_url=f"sqlite:///{folder / 'xuelu.db'}", rejects_folder=folder)
    engine = make_engine(settings.database_url)
    migrate(engine)
    now = datetime.now(UTC)
    for kind, name, count, width in (("members", "member_id", MEMBERS, 6), ("items", "item_id", ITEMS, 5)):
        file = folder / f"{kind}.csv"
        pd.DataFrame({name: [f"{kind[0]}{number:0{width}d}" for number in range(count)]}).to_csv(file, index=False)
        ingest(engine, settings, file, kind, now=now)
    start = time.perf_counter()
    done = ingest(engine, settings, path, "events", now=now)
    seconds = time.perf_counter() - start
    assert done.counts.stored == done.counts.rows
    assert done.unresolved == 0
    return seconds


def run_apart(side: str, path: Path) -> tuple[float, float]:
    """Return seconds and peak GiB of one side in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "benchmarks.ingest", "--side", side, "--file", str(path), "--folder", folder]
        completed = subprocess.run(command, check=True, capture_output=True, text=True)
    seconds, peak_gib = json.loads(completed.stdout)
    return seconds, peak_gib


def main() -> None:
    """Run both sides in turn and print, or run one side where asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--side", choices=["bare", "ours"])
    parser.add_argument("--file", type=Path)
    parser.add_argument("--folder", type=Path)
    arguments = parser.parse_args()
    if arguments.side:
        seconds = {"bare": bare, "ours": ours}[arguments.side](arguments.file, arguments.folder)
        print(json.dumps([seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20]))
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "events.csv"
        write_events(path, arguments.rows)
        rounds = [{side: run_apart(side, path) for side in ("bare", "ours")} for _ in range(arguments.rounds)]
    figures = {
        "rows": arguments.rows,
        "vs_bare": round(statistics.median(round_["ours"][0] / round_["bare"][0] for round_ in rounds), 3),
        "seconds": round(statistics.median(round_["ours"][0] for round_ in rounds), 2),
        "bare_seconds": round(statistics.median(round_["bare"][0] for round_ in rounds), 2),
        "peak_gib": round(max(round_["ours"][1] for round_ in rounds), 3),
        "bare_peak_gib": round(max(round_["bare"][1] for round_ in rounds), 3),
    }
    print(json.dumps(figures, indent=2))
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
