"""Replay of the log: lists of past nights, judged by what members studied after them."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from sklearn.feature_extraction.text import CountVectorizer
from sqlalchemy import Engine

from content_catalog.io.validation import EARLIEST, LATEST
from content_catalog.schema import LIST_SEPARATOR
from infra.catalog import organisations
from infra.db.engine import transaction
from infra.errors import SettingsError
from infra.settings.settings import Settings
from infra.training.data import read_training_frames, weighting_rules
from jobs.nightly.lists import make_learning, make_pipeline, make_ranker
from recommender.evaluation.backtest import DEFAULT, Judged, Log, replay
from recommender.evaluation.summary import summarise

TENURES: Final = (
    ("under a week", 0, 7),
    ("under a month", 7, 30),
    ("under half a year", 30, 180),
    ("longer", 180, 1e9),
)


@dataclass(frozen=True)
class Span:
    """Which nights are replayed, and how they are judged.

    Attributes
    ----------
    first, last : Timestamp
        First and last cut, midnight UTC.
    step_days, horizon_days : int
        Days between cuts, and days after each that tell what was studied next.
    k : int
        Length of the lists.
    """

    first: pd.Timestamp
    last: pd.Timestamp
    step_days: int = 1
    horizon_days: int = 1
    k: int = 10

    @property
    def cuts(self) -> list[pd.Timestamp]:
        """The moments lists are made at."""
        return list(pd.date_range(self.first, self.last, freq=f"{self.step_days}D"))


def moment(text: str, *, horizon_days: int = 1) -> pd.Timestamp:
    """Return the midnight, UTC, at which a day begins.

    Raises
    ------
    SettingsError
        The text is no day, or one beyond all calendars.
    """
    try:
        day = datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError as error:
        raise SettingsError(f"{text!r} is no day; write it as 2021-03-01") from error
    if not EARLIEST <= day < LATEST - timedelta(days=horizon_days):
        raise SettingsError(f"{text} and {horizon_days} days after it leave the years 1970 to 2199; choose others")
    return pd.Timestamp(day)


def replayed(
    engine: Engine,
    settings: Settings,
    span: Span,
    *,
    models: Sequence[str] = (),
    watch: Callable[[Iterable[Judged], int], Iterable[Judged]] = lambda judged, _total: judged,
) -> list[dict[str, Any]]:
    """Return a row per model and slice, as :func:`recommender.evaluation.summary.summarise` makes them.

    Parameters
    ----------
    models : sequence of str
        Names of the models to judge, ``default`` for the pipeline; by default all.
    watch : callable
        Given the judged cuts and their number, yields them on: for a progress bar.

    Raises
    ------
    SettingsError
        A model is not known, the days are the wrong way round, or nobody studied anything new in them.
    """
    if span.last < span.first:
        raise SettingsError(f"the last cut, {span.last:%Y-%m-%d}, is before the first, {span.first:%Y-%m-%d}")
    with transaction(engine) as session:
        key = organisations.key_of(session, settings.organisation)
        taxonomies = organisations.taxonomies(session, key)
        end = (span.last + pd.Timedelta(days=span.horizon_days)).to_pydatetime()
        events, members, items = read_training_frames(session, key, as_of=end)
    log = Log(events, members, items, weighting_rules(settings))
    known = [*make_pipeline(settings, taxonomies).models, DEFAULT]
    unknown = sorted(set(models) - set(known))
    if unknown:
        raise SettingsError(f"unknown model {unknown[0]!r}; known: {', '.join(known)}")
    learning = make_learning(settings, span.horizon_days)
    warm_up = learning.window_days // span.step_days * span.step_days
    cuts = list(pd.date_range(span.first - pd.Timedelta(days=warm_up), span.last, freq=f"{span.step_days}D"))
    made = replay(
        log,
        [cut for cut in cuts if cut > log.first_at],
        make=lambda ranker: make_pipeline(settings, taxonomies, ranker),
        ranker=make_ranker(settings),
        learning=learning,
        k=span.k,
        judge_from=span.first,
        wanted=models,
    )
    judged = list(watch(made, len(span.cuts)))
    if not judged:
        raise SettingsError(
            f"nobody studied anything new from {span.first:%Y-%m-%d} to {span.last:%Y-%m-%d}; choose other days"
        )
    return summarise(judged, slices(judged, log), vectors=topics(items), n_members=len(members))


def slices(judged: Sequence[Judged], log: Log) -> dict[str, list[NDArray[np.bool_]]]:
    """Return which lists, or which of the items studied next, each slice takes in, by cut."""
    found: dict[str, list[NDArray[np.bool_]]] = {
        "warm": [one.warm for one in judged],
        "cold": [~one.warm for one in judged],
    }
    for name in ("role", "industry"):
        codes = log.members[name].to_numpy(dtype=object)
        for code in sorted({code for one in judged for code in codes[one.members] if isinstance(code, str)}):
            found[f"{name}={code}"] = [codes[one.members] == code for one in judged]
    for label, low, high in TENURES:
        found[f"tenure={label}"] = [(one.tenure_days >= low) & (one.tenure_days < high) for one in judged]
    for name in ("format", "language"):
        values = log.items[name].to_numpy(dtype=object)
        for value in sorted({value for value in values if isinstance(value, str)}):
            found[f"{name}={value}"] = [one.true & (values == value)[None, :] for one in judged]
    return {name: masks for name, masks in found.items() if any(mask.any() for mask in masks)}


def topics(items: pd.DataFrame) -> csr_matrix:
    """Return a column of ones and zeros per topic; nothing told of topics: one empty column."""
    told = items["topics"].fillna("")
    if (told == "").all():
        return csr_matrix((len(items), 1))
    counter = CountVectorizer(tokenizer=lambda text: text.split(LIST_SEPARATOR), token_pattern=None, binary=True)
    return csr_matrix(counter.fit_transform(told))
