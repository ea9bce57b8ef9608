"""An organisation with study rules holds each of them, and its members study by the role that they have."""

import datetime as dt
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from content_catalog.io.validation import check_rows
from content_catalog.schema import DEVICE_FORMATS, ITEMS, REQUIREMENTS
from features.schema import MEMBERS
from simulator.organisation.world import industry_fits, load_world
from simulator.simulate import simulate

UNTIL = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)
SIZE: dict[str, Any] = {"members": 1_000, "items": 150, "days": 60, "seed": 3, "until": UNTIL, "bad_lines_share": 0}
BEGINS = ["viewed", "started"]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Written:
    """Files of a simulation."""

    rows: dict[str, int]
    items: pd.DataFrame
    members: pd.DataFrame
    events: pd.DataFrame
    truth: pd.DataFrame
    segments: pd.DataFrame
    folder: Path


def written(folder: Path, *, study_rules: bool) -> Written:
    summary = simulate(folder, study_rules=study_rules, **SIZE)
    names = "items.csv", "members.csv", "events.csv.gz"
    items, members, events = (pd.read_csv(folder / name, dtype=str, keep_default_na=False) for name in names)
    truth, segments = (pd.read_parquet(folder / name) for name in ("truth.parquet", "truth_segments.parquet"))
    return Written(summary.rows, items, members, events, truth, segments, folder)


@pytest.fixture(scope="module")
def ruled(tmp_path_factory: pytest.TempPathFactory) -> Written:
    return written(tmp_path_factory.mktemp("ruled"), study_rules=True)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Written:
    return written(tmp_path_factory.mktemp("plain"), study_rules=False)


@pytest.fixture(scope="module")
def role_changes(ruled: Written) -> pd.DataFrame:
    """Return who changed role, from what to what, by member."""
    after = pd.read_csv(ruled.folder / "role_changes.csv", dtype=str).set_index("member_id")
    assert ruled.rows["role_changes.csv"] == len(after) > 30
    before = ruled.members.set_index("member_id").loc[after.index, ["role", "industry"]].add_prefix("previous_")
    return after.join(before)


def test_it_holds_requirements_series_advice_live_sessions_devices_dismissals_and_changes_of_role(
    ruled: Written, role_changes: pd.DataFrame
) -> None:
    required = pd.read_csv(ruled.folder / "requirements.csv", dtype=str, keep_default_na=False)
    assert ruled.rows["requirements.csv"] == len(required) > 2
    assert (required["due_on"].ne("") != required["days_after_joining"].ne("")).all()
    items, members, events = ruled.items, ruled.members, ruled.events
    asked = required.assign(item_id=required["items"].str.split(";")).explode("item_id").merge(items, on="item_id")
    sections = {work.industry: work.section for work in load_world().works}
    other = asked["target_industries_y"].ne("") & asked["target_industries_x"].ne("")
    pairs = asked.loc[other, ["target_industries_x", "target_industries_y"]]
    assert all(industry_fits(own, sections[own], tuple(of.split(";"))) for own, of in pairs.to_numpy())
    parts = items[items["series"].ne("")]
    assert (parts["series"].value_counts() > 1).sum() > 2
    assert not parts.duplicated(["series", "series_position"]).any()
    assert not any(item_id in parts["series"].str.cat() for item_id in items["item_id"]), "members read the name"
    assert members["follows"].isin(items["series"]).all()
    assert items["advised_prerequisites"].ne("").sum() > 5
    live = items[items["starts_at"].ne("")]
    assert len(live)
    assert set(live["format"]) == {"live"}
    assert pd.to_datetime(live["starts_at"]).dt.tz_convert("Asia/Shanghai").dt.hour.between(9, 18).all()
    assert {*members["devices"]} == {"", *DEVICE_FORMATS}
    used = events.merge(items[items["format"].isin(DEVICE_FORMATS)], on="item_id")
    assert used["format"].nunique() == len(DEVICE_FORMATS)
    assert events["verb"].eq("dismissed").sum() > 5
    assert (role_changes["role"] != role_changes["previous_role"]).all()
    assert (role_changes["industry"] != role_changes["previous_industry"]).any()
    assert {*role_changes["role_since"]} == {"2026-01-30", "2026-02-21", "2026-02-26"}
    for frame, schema in ((items, ITEMS), (members, MEMBERS), (required, REQUIREMENTS)):
        assert check_rows(frame.replace("", None).astype("object"), schema)[1].empty


def test_nothing_else_is_changed_for_members_who_keep_their_role(
    plain: Written, ruled: Written, role_changes: pd.DataFrame
) -> None:
    columns = ["follows", "less_topics", "devices"]
    before, after = (frame[~frame["member_id"].isin(role_changes.index)] for frame in (plain.members, ruled.members))
    assert after.drop(columns=columns).equals(before.drop(columns=columns))
    columns = ["series", "series_position", "advised_prerequisites", "starts_at", "ends_at"]
    assert ruled.items.drop(columns=columns).equals(plain.items.drop(columns=columns))

    def begun(of: Written) -> pd.DataFrame:
        log = of.events[of.events["verb"].isin(BEGINS) & ~of.events["member_id"].isin(role_changes.index)]
        return log[["member_id", "item_id", "occurred_at"]].sort_values(["member_id", "occurred_at", "item_id"])

    assert begun(ruled).to_numpy().tolist() == begun(plain).to_numpy().tolist()
    truths = [of.truth[~of.truth["member_id"].isin(role_changes.index)] for of in (ruled, plain)]
    assert truths[0].reset_index(drop=True).equals(truths[1].reset_index(drop=True))
    assert ruled.segments.equals(plain.segments)


def liking(pairs: pd.DataFrame, role_changes: pd.DataFrame, segments: pd.DataFrame, prefix: str) -> Floats:
    """Return how much each item interests members of the role of a member, before or after its change."""
    codes = role_changes[[f"{prefix}role", f"{prefix}industry"]].set_axis(["role", "industry"], axis=1)
    named = pairs.join(codes, on="member_id").merge(segments, on=["role", "industry", "item_id"], how="left")
    return named["interest"].fillna(0.0).to_numpy(dtype=np.float64)


def test_members_study_as_their_first_role_does_until_the_day_and_as_the_next_one_from_then_on(
    ruled: Written, role_changes: pd.DataFrame
) -> None:
    begun = ruled.events[ruled.events["verb"].isin(BEGINS) & ruled.events["member_id"].isin(role_changes.index)]
    day = role_changes["role_since"].reindex(begun["member_id"]).to_numpy()
    late = begun["occurred_at"].str[:10].to_numpy() >= day
    pairs = begun[["member_id", "item_id"]]
    first, second = (liking(pairs, role_changes, ruled.segments, prefix) for prefix in ("previous_", ""))
    assert late.sum() > 50
    assert first[~late].mean() > 1.3 * second[~late].mean()
    assert second[late].mean() > 1.3 * first[late].mean()

    truth = ruled.truth[ruled.truth["member_id"].isin(role_changes.index)]
    pairs = truth[["member_id", "item_id"]]
    first, second = (liking(pairs, role_changes, ruled.segments, prefix) for prefix in ("previous_", ""))
    assert np.average(second, weights=truth["interest"]) > 1.3 * np.average(first, weights=truth["interest"])
    done = ruled.events[ruled.events["verb"].isin(["completed", "passed", "dismissed"])]
    assert truth.merge(done, on=["member_id", "item_id"]).empty


def test_who_masters_a_topic_by_the_truth_passes_more_of_its_quizzes(ruled: Written) -> None:
    truth = pd.read_parquet(ruled.folder / "truth_mastery.parquet")
    quizzes = ruled.items[ruled.items["format"] == "quiz"]
    topics = quizzes.assign(topic=quizzes["topics"].str.split(";").str[0])[["item_id", "topic"]]
    graded = ruled.events[ruled.events["verb"].isin(["passed", "failed"])].merge(topics, on="item_id")
    graded = graded.merge(truth, on=["member_id", "topic"])
    assert len(graded) > 200
    assert truth["mastery"].between(0, 1).all()
    assert set(truth["topic"]) == set(topics["topic"])
    passed = graded["verb"].eq("passed").groupby(graded["mastery"] > graded["mastery"].median()).mean()
    assert passed[True] > passed[False] + 0.03


def test_the_truth_of_pace_is_what_members_finish_in_a_day(ruled: Written) -> None:
    pace = pd.read_parquet(ruled.folder / "truth_pace.parquet").set_index("member_id")["pace_seconds"]
    assert ruled.rows["truth_pace.parquet"] == len(pace) == len(ruled.members)
    seconds = pd.to_numeric(ruled.items.set_index("item_id")["duration_seconds"])
    events = ruled.events[ruled.events["verb"].isin(["completed", "passed"])]
    finished = seconds[events["item_id"]].groupby(events["member_id"].to_numpy()).sum()
    joined = pd.to_datetime(ruled.members.set_index("member_id")["joined_on"])
    full = pace.index[(joined[pace.index] < "2025-12-31") & (pace > 0)]
    done = finished.reindex(full, fill_value=0) / SIZE["days"]
    assert done.mean() == pytest.approx(pace[full].mean(), rel=0.25)
    assert np.corrcoef(done, pace[full])[0, 1] > 0.7
