"""One cut in time: lists made from what was known before it, judged by what members studied after it."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd
from sqlalchemy import Engine

from content_catalog.catalog import available
from content_catalog.checks import EARLIEST, LATEST
from features.interactions import Interactions
from infra import organisations
from infra.db import transaction
from infra.errors import SettingsError
from infra.settings import Settings
from infra.study import load_interactions
from jobs.lists import make_pipeline
from recommender.evaluation import judge

DEFAULT = "default"


def evaluate(engine: Engine, settings: Settings, *, cut: str, horizon_days: int, k: int) -> list[dict[str, Any]]:
    """Return a row per model and slice: ``model, slice, lists, recall, ndcg, hit_rate, coverage``.

    The slice ``warm`` holds members with evidence before the cut, ``cold`` all others.

    Raises
    ------
    SettingsError
        The cut is no date or beyond all calendars, or nobody studied anything new within the horizon.
    """
    try:
        moment = datetime.strptime(cut, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError as error:
        raise SettingsError(f"cut {cut!r} is no date; write it as 2021-03-01") from error
    if not EARLIEST <= moment < LATEST or horizon_days > (LATEST - moment).days:
        raise SettingsError(f"cut {cut} and {horizon_days} days after it leave the years 1970 to 2199; choose others")
    end = moment + timedelta(days=horizon_days)
    with transaction(engine) as session:
        organisation_key = organisations.key_of(session, settings.organisation)
        taxonomies = organisations.taxonomies(session, organisation_key)
        known = _as_known_then(load_interactions(session, organisation_key, settings, as_of=moment))
        later = load_interactions(session, organisation_key, settings, as_of=end)
    truth = _first_studied(later, moment)
    if truth.empty:
        raise SettingsError(f"nobody studied anything new between {cut} and {end:%Y-%m-%d}; choose another cut")
    pipeline = make_pipeline(settings, taxonomies)
    pipeline.fit(known)
    asked = known.members.index.intersection(truth["member_id"].unique())
    offered = list(known.items.index[available(known.items, known.as_of)])
    made = {
        **{name: model.recommend(asked, k=k, allowed=offered) for name, model in pipeline.models.items()},
        DEFAULT: pipeline.recommend(known, asked, k=k),
    }
    warm = set(known.members.index[known.cells.loc[known.cells["weight"] > 0, "member"].unique()])
    rows = []
    for name, lists in made.items():
        for part, is_in in (("warm", truth["member_id"].isin(warm)), ("cold", ~truth["member_id"].isin(warm))):
            rows.append({"model": name, "slice": part, **judge(lists, truth[is_in], k=k, n_items=len(offered))})
    return rows


def _as_known_then(known: Interactions) -> Interactions:
    """Return interactions without the items that nothing told of before the cut: no publication and no event."""
    met = pd.Series(known.items.index.isin(known.items.index[known.cells["item"].unique()]), index=known.items.index)
    told = met | (known.items["published_at"] <= known.as_of)
    hidden = known.items.assign(hidden=known.items["hidden"].fillna(value=False) | ~told)
    return Interactions(known.members, hidden, known.cells, known.as_of, known.rules)


def _first_studied(later: Interactions, cut: datetime) -> pd.DataFrame:
    """Return ``member_id, item_id`` of what members studied for the first time since the cut."""
    cells = later.cells[(later.cells["first_at"] >= pd.Timestamp(cut).value // 1_000) & (later.cells["weight"] > 0)]
    members, items = later.members.index[cells["member"]], later.items.index[cells["item"]]
    return pd.DataFrame({"member_id": members, "item_id": items})
