"""Reports of backtests, searches of settings and nights, as pages."""

from collections.abc import Sequence
from operator import itemgetter
from typing import Any, Final

import numpy as np
import pandas as pd
from sqlalchemy.orm import Session

from infra.errors import SettingsError
from infra.explanations.codes import chinese_detail, name_of
from infra.policy.entry_texts import listed_items
from infra.reports import analytics
from infra.reports.small_groups import suppress
from infra.runs import list_contents
from infra.runs import store as runs
from infra.runs.store import ANYONE
from jobs.evaluation.reports.charts import Bar, bar_chart, point_chart
from jobs.evaluation.reports.report_page import Section, Translate, page, translator
from jobs.evaluation.trade_off import SHARES
from jobs.evaluation.tune import TuningResult
from recommender.evaluation.cut_offs import DEFAULT
from recommender.evaluation.summary import weighted
from recommender.ranking.examples import OUTCOMES

NEEDED: Final = {"model", "slice", "lists", "ndcg", "ndcg_interval", "coverage", "novelty", "diversity"}
PARTS: Final = {"warm": "with history", "cold": "without history"}
METRICS: Final = ("recall", "ndcg", "hit_rate", "mrr", "coverage", "novelty", "diversity", "miscalibration")
RESULTS: Final = {True: "passed", False: "failed", None: "warning"}
MAX_SLICES: Final = 40
"""Slices that are charted, the largest first; the table of all figures has every one."""


def backtest_page(rows: Sequence[dict[str, Any]], name: str, *, language: str = "en") -> str:
    """Return the page of a backtest's rows (:func:`recommender.evaluation.summary.summarise`).

    Raises
    ------
    SettingsError
        They are not the rows of a backtest.
    """
    if not rows or not all(isinstance(row, dict) and row.keys() >= NEEDED for row in rows):
        raise SettingsError(f"{name} is no backtest; `xuelu backtest -o FILE` writes one")
    t = translator(language)
    curve = [row for row in rows if "learned_by" in row]
    single = [row for row in rows if "learned_by" not in row and (row["coverage"] or row["model"] == DEFAULT)]
    single = single or list(rows)
    parts = {part: [row for row in single if row["slice"] == part] for part in PARTS}
    sections = [_by_model(part_rows, t(PARTS[part]), t) for part, part_rows in parts.items() if part_rows]
    main_rows = parts["warm"] or parts["cold"] or [row for row in single if row["slice"] == rows[0]["slice"]]
    leader = (
        DEFAULT if any(row["model"] == DEFAULT for row in rows) else max(main_rows, key=itemgetter("ndcg"))["model"]
    )
    sections += _by_slice([row for row in rows if row["model"] == leader], leader, t)
    sections += _objectives(main_rows, leader, t)
    sections += _trade_off([row for row in curve if row["slice"] == main_rows[0]["slice"]], t)
    sections += _beyond_accuracy(main_rows, leader, t)
    head = [t("model"), t("slice"), t("lists"), *map(t, METRICS)]
    cells = [[row["model"], _slice(row, t), row["lists"], *(row.get(metric) for metric in METRICS)] for row in rows]
    sections.append(Section(t("All figures"), "", head, cells))
    return page(f"{t('Backtest')} {name}", "", sections, language=language)


def _of_bars(
    title: str,
    note: str,
    head: Sequence[str],
    rows: Sequence[Sequence[object]],
    bars: Sequence[Bar],
    *,
    points: bool = False,
) -> Section:
    """Return a section whose chart is one of bars, or of points."""
    return Section(title, note, head, rows, bar_chart(bars, title=title, points=points))


def _by_model(rows: Sequence[dict[str, Any]], part: str, t: Translate) -> Section:
    ranked = sorted(rows, key=lambda row: -row["ndcg"])
    title = t("NDCG by model, {part}", part=part)
    bars = [
        Bar(row["model"], row["ndcg"], low, high, strong=row["model"] == DEFAULT)
        for row in ranked
        for low, high in [row["ndcg_interval"]]
    ]
    note = t("{lists} lists; whiskers: 95 % of a bootstrap over members.", lists=f"{rows[0]['lists']:,}")
    cells = [[row["model"], row["ndcg"], row["ndcg_interval"]] for row in ranked]
    return _of_bars(title, note, [t("model"), "NDCG", t("95 %")], cells, bars)


def _slice(row: dict[str, Any], t: Translate) -> str:
    """Return the name of a row's slice in words; codes of roles, formats and languages stay."""
    kind, _, value = row["slice"].partition("=")
    return f"{t(kind)}={t(value) if kind == 'tenure' else value}" if value else t(kind)


def _by_slice(rows: Sequence[dict[str, Any]], leader: str, t: Translate) -> list[Section]:
    largest = sorted(rows, key=lambda row: -row["lists"])[:MAX_SLICES]
    title = t("{model} in each slice", model=leader)
    bars = [Bar(_slice(row, t), row["ndcg"], *row["ndcg_interval"]) for row in largest]
    cells = [[_slice(row, t), row["lists"], row["ndcg"], row["ndcg_interval"]] for row in largest]
    head = [t("slice"), t("lists"), "NDCG", t("95 %")]
    note = t("NDCG of its lists, or of the items of a format or language.")
    sections = [_of_bars(title, note, head, cells, bars)]
    compared = [row for row in largest if row.get("baseline") not in {None, leader}]
    title = t("{model} beside the best single model of each slice", model=leader)
    bars = [
        Bar(f"{_slice(row, t)} ({row['baseline']})", row["ndcg_difference"], *row["ndcg_difference_interval"])
        for row in compared
    ]
    cells = [
        [_slice(row, t), row["baseline"], row["ndcg_difference"], row["ndcg_difference_interval"]] for row in compared
    ]
    head = [t("slice"), t("model"), "NDCG", t("95 %")]
    note = t("Paired difference in NDCG: right of the line it is better.")
    return [*sections, _of_bars(title, note, head, cells, bars, points=True)]


def _objectives(rows: Sequence[dict[str, Any]], leader: str, t: Translate) -> list[Section]:
    """Return what models do by each outcome side by side, and the best of them from all weight on one to the other."""
    rows = [row for row in rows if "objectives" in row]
    names = [name for name in OUTCOMES if any(row["objectives"].get(name) is not None for row in rows)]
    if len(names) < 2:
        return []
    title = t("NDCG by outcome")
    note = t("Of the items begun, only those that led to the outcome count.")
    cells = [[row["model"], *(row["objectives"].get(name) for name in names), row["objective"]] for row in rows]
    sections = [Section(title, note, [t("model"), *map(t, names), t("objective")], cells)]
    for other in names[1:]:
        measured = [row for row in rows if row["objectives"].get(other) is not None]
        points = [(row["model"], row["objectives"]["began"], row["objectives"][other]) for row in measured]
        title = t("From {first} to {second}", first=t("began"), second=t(other))
        best = []
        for share in SHARES:
            weights = {"began": 1.0 - share, other: share}
            values = [(weighted(row["objectives"], weights) or 0.0, row["model"]) for row in measured]
            value, model = max(values)
            best.append([f"{share:.0%}", model, value])
        chart = point_chart(points, title=title, x=t("began"), y=t(other), strong=leader)
        note = t("By both; the table has the best model by the weight of the second.")
        sections.append(Section(title, note, [t("weight"), t("model"), t("value")], best, chart))
    return sections


def _trade_off(rows: Sequence[dict[str, Any]], t: Translate) -> list[Section]:
    """Return the curve of rankers that learn by weights from one outcome to another."""
    if not rows:
        return []
    first, second = rows[0]["learned_by"]
    names = [name for name in OUTCOMES if any(row["objectives"].get(name) is not None for row in rows)]
    shares = [f"{row['learned_by'][second]:.0%}" for row in rows]
    cells = [[share, *map(row["objectives"].get, names)] for share, row in zip(shares, rows, strict=True)]
    title = t("Learned from {first} to {second}", first=t(first), second=t(second))
    points = [
        (share, row["objectives"][first], row["objectives"][second])
        for share, row in zip(shares, rows, strict=True)
        if None not in {row["objectives"].get(first), row["objectives"].get(second)}
    ]
    chart = point_chart(points, title=title, x=t(first), y=t(second), joined=True)
    note = t("NDCG by both outcomes of lists whose ranker learned them by weights, here that of the second.")
    return [Section(title, note, [t("weight"), *map(t, names)], cells, chart)]


def _beyond_accuracy(rows: Sequence[dict[str, Any]], leader: str, t: Translate) -> list[Section]:
    title = t("Accuracy beside novelty")
    points = [(row["model"], row["novelty"], row["ndcg"]) for row in rows]
    note = t("Mean self-information of listed items, in bits.")
    chart = point_chart(points, title=title, x=t("novelty"), y="NDCG", strong=leader)
    sections = [Section(title, note, [t("model"), t("novelty"), "NDCG"], points, chart)]
    for name, column, note in (
        ("Coverage", "coverage", "Share of the catalogue that stands on any list."),
        ("Variety", "diversity", "1 - the mean similarity of two items of a list, by topics."),
        ("Calibration", "miscalibration", "How far topics of lists are from those studied; 0: the same."),
    ):
        measured = [(row["model"], row[column]) for row in rows if row.get(column) is not None]
        if not measured:
            continue
        cells = sorted(measured, key=itemgetter(1), reverse=True)
        bars = [Bar(model, value, strong=model == leader) for model, value in cells]
        sections.append(_of_bars(t(name), t(note), [t("model"), t("value")], cells, bars))
    return sections


def tuning_page(result: TuningResult, target: str, *, language: str = "en") -> str:
    """Return the page of a search of settings."""
    t = translator(language)
    trials = [Bar(f"{number}", trial["ndcg"], strong=number == 1) for number, trial in enumerate(result.trials, 1)]
    names = list(result.trials[0])
    cells = [[f"{number}", *(trial.get(name) for name in names)] for number, trial in enumerate(result.trials, 1)]
    importances = sorted(result.importances.items(), key=lambda pair: -pair[1])
    held_out = [(t(str(label)), recall, ndcg) for label, recall, ndcg in result.held_out]
    of_held_out = [Bar(label, ndcg) for label, _, ndcg in held_out]
    of_settings = [Bar(*pair) for pair in importances]
    note, shares = t("NDCG over all lists of the searched days."), t("Share of the differences that each explains.")
    sections = [
        _of_bars(t("Days held out of the search"), "", [t("settings"), "recall", "NDCG"], held_out, of_held_out),
        _of_bars(t("Trials, best first"), note, [t("trial"), *names], cells, trials),
        _of_bars(t("Importance of the settings"), shares, [t("setting"), t("share")], importances, of_settings),
    ]
    return page(f"{t('Tuning')} {target}", "", sections, language=language)


def run_page(session: Session, organisation_key: int, run_id: str, *, min_group_size: int, language: str = "en") -> str:
    """Return the page of a night.

    Raises
    ------
    UnknownRunError
        There is no such run.
    """
    t = translator(language)
    detail = analytics.run_detail(session, organisation_key, run_id)
    run = runs.find(session, organisation_key, run_id)
    listed = list_contents.lists_of(session, run)
    items = {text_hash: frozenset(listed_items(text)) for text_hash, text in listed.entries.items()}
    short = language.partition("-")[0]
    sections = [
        _strategies(session, run, min_group_size, t, short),
        _concentration(listed.hashes, items, t),
        _changes(session, run, listed.hashes, items, t),
    ]
    results = [
        [
            name_of("check", row["name"], short),
            t(RESULTS[row["passed"]]),
            (chinese_detail(row) if short == "zh" else None) or row["detail"],
        ]
        for row in detail["checks"]
    ]
    sections.append(Section(t("Checks"), "", [t("check"), t("result"), t("detail")], results))
    cells = [(name_of("step", step["name"], short), step["seconds"]) for step in detail["steps"]]
    bars = [Bar(*cell) for cell in cells]
    sections.append(_of_bars(t("Steps"), t("Seconds of each step."), [t("step"), t("seconds")], cells, bars))
    subtitle = f"{run['run_id']} · {name_of('run_status', run['status'], short)} · {run['as_of']:%Y-%m-%d %H:%M} UTC"
    return page(f"{t('Night')} {run['as_of']:%Y-%m-%d}", subtitle, sections, language=language)


def _strategies(session: Session, run: dict[str, Any], min_group_size: int, t: Translate, language: str) -> Section:
    counted = suppress(list_contents.members_by_strategy(session, run), min_group_size=min_group_size)
    rows = [(name_of("strategy", row["value"], language), row["members"]) for row in counted]
    bars = [Bar(name, n) for name, n in rows if n is not None]
    note = t("Members by strategy; small groups have no figures.")
    return _of_bars(t("Strategies"), note, [t("strategy"), t("members")], rows, bars)


def _concentration(hashes: pd.Series, items: dict[str, frozenset[str]], t: Translate) -> Section:
    """Return the shares of all places on lists by tenths of the listed items."""
    members = hashes.drop(ANYONE, errors="ignore").value_counts()
    places: dict[str, int] = {}
    for text_hash, n in members.items():
        for item_id in items[str(text_hash)]:
            places[item_id] = places.get(item_id, 0) + int(n)
    counts = np.sort(np.array(list(places.values()), dtype=np.float64))[::-1]
    tenths = [float(part.sum() / counts.sum()) for part in np.array_split(counts, 10)] if len(counts) else []
    rows = [(str(number), share) for number, share in enumerate(tenths, 1)]
    title = t("Popularity of listed items")
    note = t("Share of all places on lists, by tenths of the items listed most.")
    return _of_bars(title, note, [t("tenth"), t("share")], rows, [Bar(*row) for row in rows])


def _changes(
    session: Session, run: dict[str, Any], hashes: pd.Series, items: dict[str, frozenset[str]], t: Translate
) -> Section:
    """Return how much members' lists share with those of the run that was published before."""
    title, head = t("Changes since the run before"), [t("items that stayed"), t("share")]
    note = t("Members by the share of the items of their list that stayed.")
    earlier_keys = [
        other["run_key"]
        for other in runs.all_of(session, run["organisation_key"])
        if other["status"] == "published" and other["run_key"] < run["run_key"]
    ]
    if not earlier_keys:
        return Section(title, note, head, [])
    earlier = list_contents.lists_of(session, runs.get(session, max(earlier_keys)))
    old = {text_hash: frozenset(listed_items(text)) for text_hash, text in earlier.entries.items()}
    both = pd.concat({"now": hashes, "then": earlier.hashes}, axis=1).dropna().drop(ANYONE, errors="ignore")
    pairs = both.groupby(["now", "then"]).size()
    stayed = np.array([len(items[now] & old[then]) / max(1, len(old[then])) for now, then in pairs.index])
    bounds = [(0.0, 0.25), (0.25, 0.5), (0.5, 0.75), (0.75, 1.0)]
    total = max(1, int(pairs.sum()))
    rows = [
        (f"{low:.0%} – {high:.0%}", float(pairs[(stayed >= low) & (stayed < high)].sum() / total))
        for low, high in bounds
    ]
    rows.append((t("no change"), float(pairs[stayed >= 1.0].sum() / total)))
    return _of_bars(title, note, head, rows, [Bar(*row) for row in rows])
