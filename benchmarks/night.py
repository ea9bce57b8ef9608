"""The whole night of a large organisation: time and peak memory by step, growth, and ALS beside RecTools and LensKit.

``python -m benchmarks.night --json FILE`` simulates the organisation, takes in its logs, and runs the night in a
process of its own; then one in a hundred members studies something, and an incremental night remakes what that
changes. Beside seconds on the clock stand seconds of processor time, which others at work on the machine do not
lengthen as much. The peers fit ALS of the same size on the same interactions and list as many items for all members,
each in a virtual environment of its own below ``--peers``, made there on first use.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

UNTIL = datetime(2026, 3, 2, tzinfo=UTC)
DAYS = 360
"""As many as give about a hundred events for each member."""

LIST_LENGTH = 20
FACTORS = 32
"""Ours: four fits of eight factors each."""

ITERATIONS = 15
REFIT_DAYS = 7.0
"""The fitted models serve the incremental night as well."""

ACTIVE_SHARE = 0.01
PEERS = {"rectools": ["rectools==0.19.0", "implicit==0.7.3"], "lenskit": ["torch==2.13.0", "lenskit==2025.8.0"]}


def prepare(folder: Path, *, members: int, items: int, days: int) -> None:
    """Simulate an organisation and take in its logs."""
    from infra.db.engine import make_engine
    from infra.db.migrate import migrate
    from jobs.ingest.ingest import ingest
    from simulator.simulate import simulate

    settings = settings_in(folder)
    simulate(folder, members=members, items=items, days=days, seed=7, until=UNTIL, bad_lines_share=0.0)
    engine = make_engine(settings.database_url)
    migrate(engine)
    for name in ("units.csv", "items.csv", "members.csv", "events.csv.gz"):
        ingest(engine, settings, folder / name, name.partition(".")[0], now=UNTIL)
    engine.dispose()


def settings_in(folder: Path) -> Any:
    """Return the settings of the organisation in a folder; ``XUELU_DATABASE_URL`` puts it elsewhere."""
    from infra.settings.sections import NightlySettings
    from infra.settings.settings import Settings

    url = os.environ.get("XUELU_DATABASE_URL", f"sqlite:///{folder / 'xuelu.db'}")
    night = NightlySettings(refit_days=REFIT_DAYS)
    return Settings(database_url=url, rejects_folder=folder, artefacts_folder=folder / "artefacts", nightly=night)


def night(folder: Path) -> dict[str, Any]:
    """Return the figures of the night, and of an incremental one after it."""
    from infra.db.engine import make_engine
    from infra.runs.memory import collect_rarely
    from jobs.ingest.ingest import ingest

    collect_rarely()  # as the command does
    settings = settings_in(folder)
    engine = make_engine(settings.database_url)
    figures = one_night(engine, settings, UNTIL)
    later = UNTIL + timedelta(hours=1)
    ingest(engine, settings, some_study(folder), "events", now=later)
    figures["incremental"] = again = one_night(engine, settings, later)
    engine.dispose()
    figures["incremental_share"] = round(again["seconds"] / figures["seconds"], 4)
    figures["incremental_processor_share"] = round(again["processor_seconds"] / figures["processor_seconds"], 4)
    return figures


def some_study(folder: Path) -> Path:
    """Return a file in which one in a hundred members studies an item."""
    import pandas as pd

    members = pd.read_csv(folder / "members.csv", usecols=["member_id"], dtype=str)["member_id"]
    active = members.sample(frac=ACTIVE_SHARE, random_state=7)
    items = pd.read_csv(folder / "items.csv", usecols=["item_id"], dtype=str)["item_id"]
    studied = items.sample(len(active), replace=True, random_state=7).to_numpy()
    frame = pd.DataFrame({"event_id": "later-" + active, "member_id": active, "item_id": studied})
    frame = frame.assign(verb="completed", occurred_at=f"{UNTIL + timedelta(minutes=10):%Y-%m-%dT%H:%M:%SZ}")
    frame.to_csv(folder / "later.csv", index=False)
    return folder / "later.csv"


def one_night(engine: Any, settings: Any, now: datetime) -> dict[str, Any]:
    """Return the figures of a night."""
    from jobs.nightly.night import nightly
    from jobs.progress import StepProgress

    steps: dict[str, dict[str, Any]] = {}
    started: dict[str, float] = {}

    def progress(step: StepProgress) -> None:
        if step.state == "started":
            started[step.step] = time.process_time()
        else:
            steps[step.step] = {
                "seconds": step.seconds,
                "processor_seconds": round(time.process_time() - started[step.step], 1),
                "rows": step.rows,
                "peak_gib": round(step.peak_bytes / 2**30, 3),
            }
            print(step.step, steps[step.step], file=sys.stderr, flush=True)

    start, processor = time.perf_counter(), time.process_time()
    run = nightly(engine, settings, now=now, progress=progress)
    return {
        "seconds": round(time.perf_counter() - start, 1),
        "processor_seconds": round(time.process_time() - processor, 1),
        "peak_gib": max(step["peak_gib"] for step in steps.values()),
        "steps": steps,
        "counts": run["counts"],
        "status": run["status"],
        "failed_checks": [check for check in run["checks"] if not check["passed"]],
    }


def ours(folder: Path) -> dict[str, float]:
    """Return the seconds and peak memory of our ALS: fit, and lists for all members."""
    import numpy as np
    import pandas as pd

    from infra.catalog import organisations
    from infra.db.engine import make_engine, transaction
    from infra.training.data import load_interactions
    from recommender.models.als import Als

    settings = settings_in(folder)
    engine = make_engine(settings.database_url)
    with transaction(engine) as session:
        interactions = load_interactions(session, organisations.key_of(session, "default"), settings, as_of=UNTIL)
    engine.dispose()
    evidence = interactions.matrix(settings.weights.half_life_days).tocoo()
    # Not as Parquet: not every peer's environment reads it.
    np.savez(folder / "interactions.npz", user_id=evidence.row, item_id=evidence.col, weight=evidence.data)
    asked = interactions.members.index[pd.unique(evidence.row)]
    start = time.perf_counter()
    model = Als(factors=FACTORS, iterations=ITERATIONS)
    model.fits = 1  # as the peers have it
    model.fit(interactions)
    fitted = time.perf_counter()
    recommended = model.recommend(asked, k=LIST_LENGTH)
    end = time.perf_counter()
    assert recommended["member_id"].nunique() == len(asked)
    return {"fit_seconds": fitted - start, "lists_seconds": end - fitted, "seconds": end - start}


def rectools(file: Path) -> dict[str, float]:
    """Return the same of RecTools."""
    import numpy as np
    import pandas as pd
    from implicit.als import AlternatingLeastSquares
    from rectools.dataset import Dataset  # type: ignore[import-not-found]  # only in the peer's own environment
    from rectools.models import ImplicitALSWrapperModel  # type: ignore[import-not-found]  # only in the peer's own environment

    frame = pd.DataFrame(dict(np.load(file))).assign(datetime=UNTIL.replace(tzinfo=None))
    start = time.perf_counter()
    dataset = Dataset.construct(frame)
    als = AlternatingLeastSquares(factors=FACTORS, iterations=ITERATIONS, regularization=5.0, alpha=3.0, random_state=0)
    model = ImplicitALSWrapperModel(als).fit(dataset)
    fitted = time.perf_counter()
    users = frame["user_id"].unique()
    recommended = model.recommend(users=users, dataset=dataset, k=LIST_LENGTH, filter_viewed=True)
    end = time.perf_counter()
    assert recommended["user_id"].nunique() == len(users)
    return {"fit_seconds": fitted - start, "lists_seconds": end - fitted, "seconds": end - start}


def lenskit(file: Path) -> dict[str, float]:
    """Return the same of LensKit's batch pipeline."""
    import numpy as np
    import pandas as pd
    from lenskit.als import ImplicitMFScorer  # type: ignore[import-not-found]  # only in the peer's own environment
    from lenskit.batch import recommend  # type: ignore[import-not-found]  # only in the peer's own environment
    from lenskit.data import from_interactions_df  # type: ignore[import-not-found]  # only in the peer's own environment
    from lenskit.pipeline import topn_pipeline  # type: ignore[import-not-found]  # only in the peer's own environment

    frame = pd.DataFrame(dict(np.load(file))).rename(columns={"weight": "rating"})
    start = time.perf_counter()
    dataset = from_interactions_df(frame)
    scorer = ImplicitMFScorer(
        embedding_size=FACTORS, epochs=ITERATIONS, regularization=5.0, weight=3.0, use_ratings=True
    )
    pipeline = topn_pipeline(scorer, n=LIST_LENGTH)
    pipeline.train(dataset)
    fitted = time.perf_counter()
    users = frame["user_id"].unique()
    recommended = recommend(pipeline, users, n=LIST_LENGTH, n_jobs=os.cpu_count())
    end = time.perf_counter()
    assert len(recommended) == len(users)
    return {"fit_seconds": fitted - start, "lists_seconds": end - fitted, "seconds": end - start}


def apart(python: Path | str, *arguments: str) -> Any:
    """Return what this module tells when it runs in a process, and perhaps environment, of its own."""
    answer = subprocess.run(
        [str(python), str(Path(__file__).resolve()), *arguments], check=True, stdout=subprocess.PIPE, text=True
    )
    return json.loads(answer.stdout.splitlines()[-1])


def peer(folder: Path, name: str, file: Path) -> Any:
    """Return the figures of a peer, in its virtual environment, made where it is not there yet."""
    environment = folder / name
    python = environment / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(environment)], check=True)
        for package in PEERS[name]:
            subprocess.run([str(python), "-m", "pip", "install", "--quiet", package], check=True)
    return apart(python, "--side", name, "--file", str(file))


def measured(folder: Path, *, members: int, items: int, days: int) -> Any:
    """Return the figures of the night of an organisation of some size, made in a folder."""
    size = ("--members", str(members), "--items", str(items), "--days", str(days))
    apart(sys.executable, "--side", "prepare", "--folder", str(folder), *size)
    return apart(sys.executable, "--side", "night", "--folder", str(folder))


def compare(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Return all figures."""
    large = folder / "large"
    figures: dict[str, Any] = {"members": options.members, "items": options.items, "cores": os.cpu_count()}
    figures |= measured(large, members=options.members, items=options.items, days=options.days)
    if options.members >= 10 and not options.no_growth:
        small = measured(folder / "small", members=options.members // 10, items=options.items, days=options.days)
        figures["at_a_tenth"] = small
        figures["growth"] = round(figures["seconds"] / small["seconds"], 2)
        figures["processor_growth"] = round(figures["processor_seconds"] / small["processor_seconds"], 2)
    own = apart(sys.executable, "--side", "ours", "--folder", str(large))
    figures["als"] = {"ours": own}
    for name in PEERS if options.peers else ():
        figures["als"][name] = peer(options.peers, name, large / "interactions.npz")
        figures[f"vs_{name}"] = round(figures["als"][name]["seconds"] / own["seconds"], 2)
    return figures


def one_side(options: argparse.Namespace) -> dict[str, Any]:
    """Return the figures of the side that this process is for."""
    match options.side:
        case "prepare":
            prepare(options.folder, members=options.members, items=options.items, days=options.days)
            answer: dict[str, Any] = {}
        case "night":
            answer = night(options.folder)
        case "ours":
            answer = dict(ours(options.folder))
        case _:
            answer = dict((rectools if options.side == "rectools" else lenskit)(options.file))
    return answer | {"process_peak_gib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 3)}


def main() -> None:
    """Measure and print, or run one side where asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--members", type=int, default=100_000)
    parser.add_argument("--items", type=int, default=5_000)
    parser.add_argument("--days", type=int, default=DAYS)
    parser.add_argument("--peers", type=Path, help="folder of the peers' virtual environments; without it no peers")
    parser.add_argument("--no-growth", action="store_true", help="do not run a tenth of the size as well")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--side", choices=["prepare", "night", "ours", *PEERS])
    parser.add_argument("--file", type=Path)
    parser.add_argument("--folder", type=Path, help="keep everything here")
    options = parser.parse_args()
    if options.side:
        print(json.dumps(one_side(options)))
        return
    with tempfile.TemporaryDirectory() as temporary:
        figures = compare(options, options.folder or Path(temporary))
    print(json.dumps(figures, indent=2))
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
