"""Past nights evaluated, models tuned, and the ranking that the night learns."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sqlalchemy import Engine, text

from infra.catalog import organisations
from infra.db.engine import opened, transaction
from infra.errors import SettingsError
from infra.explanations.codes import chinese_detail
from infra.runs import store as runs
from infra.settings.sections import NightlySettings, RankerSettings
from infra.settings.settings import Settings
from infra.training import examples
from jobs.evaluation.backtest import Span, moment, run_backtest
from jobs.evaluation.tune import SearchPlan, tune
from jobs.ingest.ingest import ingest
from jobs.nightly import learned_ranking
from jobs.nightly.gate import QUALITY
from jobs.nightly.night import nightly
from tests.conftest import ON_SQLITE, STEPS, States, with_artefacts

Run = Callable[..., Any]
DAYS = pd.date_range("2026-01-20", "2026-02-20", freq="D")
NOW = datetime(2026, 2, 21, 1, tzinfo=UTC)
SPAN = Span(moment("2026-02-16"), moment("2026-02-18"), k=5)


HOLDOUT = {"ranker": RankerSettings(window_days=20, min_samples_leaf=10), "nightly": NightlySettings(holdout_nights=4)}


def _take_in_school(settings: Settings) -> None:
    """Take in an organisation in which each of forty members studies one more item of a course every day."""
    rows = [
        f"e{member}-{number},m{member:02d},i{(member % 5 + number) % 40:02d},completed,{day:%Y-%m-%dT12:00:00Z}"
        for member in range(40)
        for number, day in enumerate(DAYS)
        if (member + number) % 3
    ]
    people = [f"m{number:02d},{'83' if number % 2 else '41'}" for number in range(40)]
    items = [f"i{number:02d},{'video' if number % 2 else 'article'},course;part{number % 3}" for number in range(40)]
    files = {
        "members": ["member_id,role", *people],
        "items": ["item_id,format,topics", *items],
        "events": ["event_id,member_id,item_id,verb,occurred_at", *rows],
    }
    with opened(settings.database_url) as engine, TemporaryDirectory() as folder:
        for kind, lines in files.items():
            path = Path(folder, f"{kind}.csv")
            path.write_text("\n".join(lines) + "\n")
            ingest(engine, settings, path, kind, now=NOW)


def _serve_school(settings: Settings) -> None:
    with opened(settings.database_url) as engine:
        nightly(engine, settings.model_copy(update=HOLDOUT), now=NOW - timedelta(days=1))


STEPS |= {"school": ("migrated", _take_in_school), "school_served": ("school", _serve_school)}


@pytest.fixture
def school(engine: Engine, settings: Settings) -> Settings:
    """Return the settings of the organisation before its first night."""
    del engine
    return settings.model_copy(
        update={"ranker": RankerSettings(window_days=12, backtest_refit_days=1, min_samples_leaf=10)}
    )


@pytest.fixture
def school_served(engine: Engine, settings: Settings, states: States) -> dict[str, Any]:
    """Return the run of the organisation's first night."""
    return with_artefacts(engine, settings, states, "school_served")


def of(rows: list[dict[str, object]], model: str, part: str) -> dict[str, object]:
    (row,) = (row for row in rows if row["model"] == model and row["slice"] == part)
    return row


@ON_SQLITE
def test_the_pipeline_and_every_model_are_evaluated_on_every_slice_and_alike_where_only_some_are_wanted(
    engine: Engine, school: Settings
) -> None:
    rows = run_backtest(engine, school, SPAN)

    mine = of(rows, "default", "warm")
    assert mine["lists"] == 80
    assert 0.7 < mine["recall"] <= 1.0, "who studies a course one item a day is offered the next one"  # type: ignore[operator]  # a row's values are of many types
    low, high = mine["recall_interval"]  # type: ignore[misc]  # as above
    assert low <= mine["recall"] <= high
    assert {row["slice"] for row in rows} == {
        "warm", "role=83", "role=41", "tenure=under a month", "format=video", "format=article",
    }  # fmt: skip
    assert of(rows, "default", "format=video")["lists"] + of(rows, "default", "format=article")["lists"] == 80  # type: ignore[operator]  # as above
    assert {row["baseline"] for row in rows} <= {row["model"] for row in rows} - {"default"}
    best = of(rows, str(mine["baseline"]), "warm")
    assert mine["ndcg_difference"] == pytest.approx(mine["ndcg"] - best["ndcg"])  # type: ignore[operator]  # as above
    assert best["ndcg_difference"] == 0
    some = run_backtest(engine, school, SPAN, models=["default", "ease"])
    assert {row["model"] for row in some} == {"default", "ease"}
    assert of(some, "default", "warm")["ndcg"] == mine["ndcg"]


@ON_SQLITE
@pytest.mark.parametrize(
    ("span", "models", "message"),
    [
        (replace(SPAN, last=moment("2026-02-01")), (), "before the first"),
        (replace(SPAN, first=moment("2026-06-01"), last=moment("2026-06-02")), (), "no member studied anything new"),
        (SPAN, ("oracle",), "unknown model 'oracle'; known: "),
    ],
)
def test_what_cannot_be_evaluated_is_refused(
    engine: Engine, school: Settings, span: Span, models: tuple[str, ...], message: str
) -> None:
    with pytest.raises(SettingsError, match=message):
        run_backtest(engine, school, span, models=models)


@pytest.mark.parametrize(("day", "message"), [("yesterday", "is no day"), ("9999-01-01", "leave the years")])
def test_a_day_that_is_none_is_told(day: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        moment(day)


@ON_SQLITE
def test_an_item_that_nothing_told_of_before_a_cut_is_never_listed(
    engine: Engine, school: Settings, tmp_path: Path, now: datetime
) -> None:
    rows = [f"p{number},m{number:02d},planted,completed,2026-02-17T12:00:00Z" for number in range(40)]
    (tmp_path / "planted.csv").write_text("\n".join(["event_id,member_id,item_id,verb,occurred_at", *rows]) + "\n")
    (tmp_path / "more.csv").write_text("item_id\nplanted\n")
    ingest(engine, school, tmp_path / "more.csv", "items", now=now)
    ingest(engine, school, tmp_path / "planted.csv", "events", now=now)
    seen = []

    def watch(cuts: object, _total: int) -> object:
        seen.extend(cuts)  # type: ignore[call-overload]  # an iterable of cuts
        return seen

    run_backtest(engine, school, SPAN, watch=watch)  # type: ignore[arg-type]  # as above

    place = sorted([f"i{number:02d}" for number in range(40)] + ["planted"]).index("planted")
    by_day = {f"{evaluated_cut.cut:%d}": evaluated_cut for evaluated_cut in seen}
    assert by_day["17"].true[:, place].sum() == 40, "everybody studies it on that day"
    for day in ("16", "17"):
        assert all((listed != place).all() for listed in by_day[day].listed.values())
    assert not any(hits[(by_day["17"].listed[name] == place)].any() for name, hits in by_day["17"].hits.items())


@ON_SQLITE
def test_the_night_learns_a_ranking_once_and_keeps_examples_without_ids(engine: Engine, school: Settings) -> None:
    first = nightly(engine, school, now=NOW)
    pattern = f"examples/*/*{examples.SUFFIX}"
    modification_times = {path.name: path.stat().st_mtime_ns for path in school.artefacts_folder.glob(pattern)}
    for path in school.artefacts_folder.glob(pattern):
        columns = examples.read(path.parent, path.stem)
        assert columns is not None
        assert {column.dtype.kind for column in columns.values()} <= {"f", "b", "i", "u"}

    second = nightly(engine, school, now=NOW)

    (check,) = (entry for entry in second["checks"] if entry["name"] == learned_ranking.CHECK)
    assert (check["passed"], check["state"]) == (None, "mixed")
    assert "ships with xuelu counts too" in check["detail"]
    assert len(modification_times) == 13
    assert {path.name: path.stat().st_mtime_ns for path in school.artefacts_folder.glob(pattern)} == modification_times
    assert first["status"] == second["status"] == "published"


@ON_SQLITE
def test_without_history_the_run_says_that_nothing_is_learned(engine: Engine, school: Settings) -> None:
    first_day = NOW.replace(month=1, day=20)

    run = nightly(engine, school, now=NOW, as_of=first_day)

    (check,) = (check for check in run["checks"] if check["name"] == learned_ranking.CHECK)
    assert (check["passed"], check["state"]) == (None, "prior")
    assert check["detail"] == "nothing was studied yet, so lists show the newest items first"
    of_strangers = learned_ranking.check(None, 3)["detail"]
    assert "3 events are stored, but none of unknown members or items counts" in of_strangers
    assert "列表先列最新内容" in str(chinese_detail(check)), "the shipped ranking has no part in it"
    assert run["status"] == "published"


@ON_SQLITE
def test_a_search_goes_on_where_it_stopped_and_the_same_seed_gives_the_same(
    engine: Engine, school: Settings, tmp_path: Path
) -> None:
    half = tune(engine, school, "popularity", SPAN, SearchPlan(2, 1, storage=tmp_path / "trials.db"))
    whole = tune(engine, school, "popularity", SPAN, SearchPlan(3, 1, storage=tmp_path / "trials.db"))
    again = tune(engine, school, "popularity", SPAN, SearchPlan(3, 1))

    assert len(half.trials) == 2
    assert len(whole.trials) == len(again.trials) == 3
    assert len({trial["popularity_half_life_days"] for trial in whole.trials}) == 3, "no trial is drawn twice"
    with pytest.raises(SettingsError, match="holds a search of popularity of other days, data or settings"):
        tune(engine, school, "popularity", replace(SPAN, step_days=2), SearchPlan(3, 1, storage=tmp_path / "trials.db"))
    assert again == tune(engine, school, "popularity", SPAN, SearchPlan(3, 1))
    assert whole.toml.startswith("[models]\npopularity_half_life_days = ")
    assert [row[0] for row in whole.held_out] == ["as they were", "tuned"]
    assert sum(whole.importances.values()) == pytest.approx(1.0)


@ON_SQLITE
def test_a_setting_out_of_the_searched_bounds_is_compared_with_the_winner_and_its_nearest_is_tried(
    engine: Engine, school: Settings
) -> None:
    models = school.models.model_copy(update={"popularity_half_life_days": 500.0})

    result = tune(engine, school.model_copy(update={"models": models}), "popularity", SPAN, SearchPlan(1, 1))

    assert [trial["popularity_half_life_days"] for trial in result.trials] == [60.0]
    assert len(result.held_out) == 2


@ON_SQLITE
def test_the_ranker_can_be_tuned(engine: Engine, school: Settings) -> None:
    tuning = tune(engine, school, "ranker", SPAN, SearchPlan(3, 1))

    assert tuning.toml.startswith("[ranker]\n")
    assert set(tuning.importances) == {
        "max_iter",
        "max_leaf_nodes",
        "learning_rate",
        "min_samples_leaf",
        "l2_regularization",
    }


@ON_SQLITE
@pytest.mark.parametrize(
    ("what", "held_out", "message"), [("newest", 1, "nothing to tune is called 'newest'"), ("ease", 9, "leave no day")]
)
def test_what_cannot_be_searched_is_told(
    engine: Engine, school: Settings, what: str, held_out: int, message: str
) -> None:
    with pytest.raises(SettingsError, match=message):
        tune(engine, school, what, SPAN, SearchPlan(2, held_out))


@ON_SQLITE
@pytest.mark.usefixtures("school")
def test_the_commands_print_tables_and_write_files(xuelu: Run, tmp_path: Path) -> None:
    days = ("--from", "2026-02-16", "--to", "2026-02-18")
    reversed_days = ("--from", "2026-02-18", "--to", "2026-02-16")
    answer = xuelu(
        "backtest", *days, "--models", "default,ease", "-o", tmp_path / "rows.json", "--trade-off", "began,completed"
    )
    assert answer.status == 0
    assert "warm: 80 lists of 10, 2026-02-16 to 2026-02-18" in answer.out
    assert answer.out.count("default beside ease, the best single model: NDCG ") == len(
        {row["slice"] for row in json.loads((tmp_path / "rows.json").read_text())} & {"warm", "cold"}
    )
    rows = json.loads((tmp_path / "rows.json").read_text())
    by_name = {row["model"]: row for row in rows if row["slice"] == "warm"}
    curve = {name: row["learned_by"]["completed"] for name, row in by_name.items() if "learned_by" in row}
    assert curve == {f"default, completed {share:.0%}": share for share in (0.0, 0.25, 0.5, 0.75, 1.0)}
    assert by_name.keys() - curve.keys() == {"default", "ease"}
    assert {row["baseline"] for row in rows} == {"ease"}
    first, last = by_name["default, completed 0%"], by_name["default, completed 100%"]
    assert first["ndcg"] == by_name["default"]["ndcg"], "the same ranker"
    assert last["ndcg"] != first["ndcg"], "it is known a week later what is completed"
    refused = [
        xuelu("backtest", *days, *options).err
        for options in (
            ("--trade-off", "began"),
            ("--trade-off", "began,liked"),
            ("--trade-off", "began,passed", "--models", "ease"),
        )
    ]
    assert "began are not two outcomes; name two of began, completed, passed, returned" in refused[0]
    assert "began,liked are not two outcomes" in refused[1]
    assert "name default among the models ease" in refused[2]
    printed = xuelu("backtest", *days, "--models", "ease,precedence", "--json")
    assert {row["model"] for row in printed.json} == {"ease", "precedence"}, "one outside the pipeline"
    tuning_answer = xuelu("tune", "ease", *days, "--trials", 2, "--held-out", 1, "-o", tmp_path / "ease.toml")
    assert tuning_answer.status == 0
    fragment = (tmp_path / "ease.toml").read_text()
    assert fragment in tuning_answer.out
    assert re.search(r"days held out of the search, lists: \d+\n", tuning_answer.out)
    assert tuning_answer.err.endswith(f"{tmp_path / 'ease.toml'}: {len(fragment)} bytes\n")
    size = f"{(tmp_path / 'rows.json').stat().st_size:,}"
    assert answer.err == f"{tmp_path / 'rows.json'}: {size} bytes\n", "nothing before it where there is no terminal"
    assert "the last day, 2026-02-16, is before the first, 2026-02-18" in xuelu("tune", "ease", *reversed_days).err


def quality(run: dict[str, Any]) -> dict[str, Any] | None:
    """Return the check of what was studied next."""
    return next((check for check in run["checks"] if check["name"] == QUALITY), None)


@ON_SQLITE
def test_an_honest_next_night_ranks_as_well_as_the_one_before(
    engine: Engine, settings: Settings, school_served: dict[str, Any]
) -> None:
    second = nightly(engine, settings.model_copy(update=HOLDOUT), now=NOW)

    assert quality(school_served) is None, "there was nothing to compare with"
    assert quality(second) == {"name": QUALITY, "passed": True, "detail": ""}
    assert second["status"] == "published"


@ON_SQLITE
def test_shuffled_labels_are_held(engine: Engine, settings: Settings, school_served: dict[str, Any]) -> None:
    with engine.begin() as connection:
        events = connection.execute(text("SELECT event_id, item_id FROM events ORDER BY event_id")).all()
        shuffled = np.random.default_rng(5).permutation([event.item_id for event in events])
        changes = [{"event": event.event_id, "item": str(item)} for event, item in zip(events, shuffled, strict=True)]
        connection.execute(text("UPDATE events SET item_id = :item WHERE event_id = :event"), changes)

    run = nightly(engine, settings.model_copy(update=HOLDOUT), now=NOW)

    check = quality(run)
    assert run["status"] == "held"
    assert check is not None
    assert not check["passed"]
    assert "as served; difference -0." in check["detail"]
    with transaction(engine) as session:
        latest = runs.latest(session, organisations.key_of(session, "default"))
    assert latest["run_id"] == school_served["run_id"]


@ON_SQLITE
@pytest.mark.usefixtures("school_served")
def test_only_the_figures_of_the_served_run_and_of_this_one_are_stored(engine: Engine, settings: Settings) -> None:
    holdout = settings.model_copy(update=HOLDOUT)
    later = [nightly(engine, holdout, now=NOW + timedelta(hours=hours)) for hours in range(2)]

    run_ids = {path.stem for path in settings.artefacts_folder.glob("examples/*/figures/*")}

    assert run_ids == {run["run_id"] for run in later}
