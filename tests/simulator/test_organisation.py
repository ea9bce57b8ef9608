"""The made-up organisation behaves like one, and its truth is true."""

import datetime as dt
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer

from content_catalog.prerequisites import check_acyclic, prerequisites_of
from content_catalog.schema import FORMATS
from content_catalog.taxonomy import shipped
from features.schema import SHOWN, VERBS
from simulator.organisation.world import LANGUAGES, industry_fits, load_world, role_fits
from simulator.simulate import simulate
from tests.simulator.written_files import good_rows, instants

UNTIL = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)
SECTIONS = {work.industry: work.section for work in load_world().works}


@dataclass(frozen=True)
class Written:
    """A simulation read back without its bad lines and duplicates, as text."""

    items: pd.DataFrame
    members: pd.DataFrame
    events: pd.DataFrame
    truth: pd.DataFrame
    segments: pd.DataFrame

    @property
    def studied(self) -> pd.DataFrame:
        """Events with the columns of their member and item; the times are instants."""
        return (
            self.events.merge(self.members, on="member_id")
            .merge(self.items, on="item_id")
            .assign(occurred_at=lambda frame: instants(frame["occurred_at"]))
        )


def read_back(folder: Path) -> Written:
    items, members, events = (good_rows(folder, name) for name in ("items.csv", "members.csv", "events.csv.gz"))
    truth = pd.read_parquet(folder / "truth.parquet")
    segments = pd.read_parquet(folder / "truth_segments.parquet")
    return Written(items, members, events, truth, segments)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Written:
    folder = tmp_path_factory.mktemp("organisation")
    simulate(folder, members=2_300, items=300, days=90, seed=5, until=UNTIL)
    return read_back(folder)


def test_nothing_is_studied_before_it_is_published_before_joining_or_after_the_end(written: Written) -> None:
    studied = written.studied
    assert (studied["occurred_at"] >= instants(studied["published_at"])).all()
    assert (studied["occurred_at"] >= instants(studied["joined_on"])).all()
    assert (studied["occurred_at"] < UNTIL).all()
    assert not (instants(studied["available_from"]) > UNTIL).any()
    opened = studied[studied["verb"].isin(["viewed", "started"])]
    assert not (opened["occurred_at"] >= instants(opened["available_until"])).any()
    assert studied["occurred_at"].min() >= UNTIL - dt.timedelta(days=90)


def test_restricted_items_are_studied_by_their_audience_only(written: Written) -> None:
    rows = written.studied.query("audience == 'restricted'")[
        ["role", "industry", "units", "target_roles", "target_industries", "target_units"]
    ].drop_duplicates()
    assert len(rows) > 20
    assert (rows[["target_roles", "target_industries", "target_units"]] != "").any().all()
    for row in rows.itertuples():
        units = [f"{unit}/" for unit in row.units.split(";")]
        assert (
            (row.target_roles and role_fits(row.role, tuple(row.target_roles.split(";"))))
            or (row.industry and industry_fits(row.industry, SECTIONS[row.industry], (row.target_industries,)))
            or (row.target_units and any(unit.startswith(f"{row.target_units}/") for unit in units))
        )


def test_parts_of_a_series_are_studied_in_order_and_close_no_cycle(written: Written) -> None:
    check_acyclic(prerequisites_of(written.items))
    later = written.items[written.items["prerequisites"] != ""]
    assert len(later) > 5
    done = written.events[written.events["verb"].isin(["completed", "passed"])]
    finished = done.groupby(["member_id", "item_id"])["occurred_at"].min()
    opened = written.events.merge(later[["item_id", "prerequisites"]], on="item_id")
    assert len(opened) > 50
    before = finished.reindex(pd.MultiIndex.from_frame(opened[["member_id", "prerequisites"]]))
    assert (opened["occurred_at"].to_numpy() > before.to_numpy()).all()


def test_events_are_plausible(written: Written) -> None:
    events = written.events
    assert set(events["verb"]) == set(VERBS) - {SHOWN}
    per_member = events.groupby("member_id").size().reindex(written.members["member_id"], fill_value=0)
    assert 20 < per_member.mean() < 32
    assert per_member.median() < 0.7 * per_member.mean()
    assert 0.05 < (per_member == 0).mean() < 0.30
    progress = pd.to_numeric(events["progress"])
    assert (progress[events["verb"] == "completed"] == 1).all()
    assert (progress[events["verb"] == "progressed"] < 1).all()
    score = pd.to_numeric(events["score"])
    assert score[events["verb"] == "passed"].min() >= 0.6 > score[events["verb"] == "failed"].max()


def test_voids_point_to_events_before_and_after_them_in_the_file(written: Written) -> None:
    position = pd.Series(range(len(written.events)), index=written.events["event_id"])
    voids = written.events[written.events["verb"] == "voided"]
    assert 0.001 < len(voids) / len(written.events) < 0.005
    distance = position[voids["voided_event_id"]].to_numpy() - position[voids["event_id"]].to_numpy()
    assert (distance < 0).any()
    assert (distance > 0).any()


def test_couriers_study_in_the_evening_and_office_staff_at_noon(written: Written) -> None:
    studied = written.studied
    shanghai = studied[(studied["timezone"] == "Asia/Shanghai") & (studied["verb"] == "started")]
    hour = shanghai["occurred_at"].dt.tz_convert("Asia/Shanghai").dt.hour
    assert (
        hour[(shanghai["role"].isin(["44", "83"])) & shanghai["industry"].isin(["60", "64"])].between(20, 23).mean()
        > 0.6
    )
    assert hour[shanghai["role"] == "25"].between(12, 14).mean() > 0.35
    assert written.members["timezone"].value_counts(normalize=True)["Asia/Urumqi"] == pytest.approx(0.03, abs=0.02)


def test_some_have_joined_in_the_last_days_and_have_only_a_role_and_an_industry(written: Written) -> None:
    members = written.members
    recent = members[instants(members["joined_on"]) >= UNTIL - dt.timedelta(days=4)]
    silent = recent[~recent["member_id"].isin(written.events["member_id"])]
    assert len(silent[(silent["role"] != "") & (silent["industry"] != "")]) >= len(members) // 60
    missing = (members["role"] == "") | (members["industry"] == "")
    assert missing.mean() == pytest.approx(0.055, abs=0.02)
    assert (members["personalised"] == "false").mean() == pytest.approx(0.01, abs=0.01)


def test_items_come_in_all_formats_both_languages_and_until_the_last_week(written: Written) -> None:
    items = written.items
    assert set(items["format"]) == set(FORMATS)
    assert set(items["language"]) == {"zh-CN", "en"}
    assert items["title"].is_unique
    assert not (items["title"] + items["summary"] + items["text"]).str.contains("[{}]").any()
    published = instants(items["published_at"])
    assert (published < UNTIL - dt.timedelta(days=90)).mean() == pytest.approx(0.3, abs=0.03)
    assert (published > UNTIL - dt.timedelta(days=7)).sum() >= 10
    assert published.max() < UNTIL
    assert (instants(items["available_until"]) < UNTIL).any()
    assert (instants(items["available_from"]) > UNTIL).any()
    assert (items["hidden"] == "true").any()
    targeted = (items[["target_roles", "target_industries", "target_units"]] != "").any(axis=1)
    assert targeted.mean() == pytest.approx(0.42, abs=0.1)
    assert (items["audience"] == "restricted").mean() == pytest.approx(0.055, abs=0.03)


def test_truth_is_a_chance_and_names_only_items_that_can_be_studied_next(written: Written) -> None:
    assert written.truth.groupby("member_id").size().max() == 50
    total = written.truth.groupby("member_id")["interest"].sum()
    assert total.between(0.4, 1 + 1e-5).all()
    assert written.segments.groupby(["role", "industry"])["interest"].sum().to_numpy() == pytest.approx(1.0)
    items = written.items.set_index("item_id").loc[written.truth["item_id"].unique()]
    assert (items["hidden"] == "false").all()
    assert not (instants(items["available_until"]) <= UNTIL).any()
    assert not (instants(items["available_from"]) > UNTIL).any()
    done = written.events[written.events["verb"].isin(["completed", "passed", "dismissed"])]
    assert written.truth.merge(done, on=["member_id", "item_id"]).empty


def test_truth_of_a_small_catalogue_sums_to_one(tmp_path: Path) -> None:
    simulate(tmp_path, members=40, items=50, days=10, seed=3, until=UNTIL)
    total = pd.read_parquet(tmp_path / "truth.parquet").groupby("member_id")["interest"].sum()
    assert len(total) == 40
    assert total.to_numpy() == pytest.approx(1.0, abs=1e-4)


def chance_of_lists(written: Written, lists: pd.DataFrame) -> float:
    """Mean true interest in ten items; ``lists`` has a list per role and industry."""
    members = written.members.merge(lists, on=["role", "industry"])
    hits = members.merge(written.truth, on=["member_id", "item_id"])
    return float(hits["interest"].sum() / members["member_id"].nunique())


def test_role_and_industry_predict_far_better_than_popularity(written: Written) -> None:
    opened = written.studied.query("verb in ['viewed', 'started'] and role != '' and industry != ''")
    recent = opened[opened["occurred_at"] > UNTIL - dt.timedelta(days=30)]
    segments = recent.groupby(["role", "industry"], as_index=False).size()
    popular = recent["item_id"].value_counts().head(10).index
    everywhere = segments[["role", "industry"]].merge(pd.DataFrame({"item_id": popular}), how="cross")
    counted = recent.groupby(["role", "industry", "item_id"], as_index=False).size().sort_values("size")
    by_segment = counted.groupby(["role", "industry"]).tail(10)
    oracle = written.segments.sort_values("interest").groupby(["role", "industry"]).tail(10)
    popularity, counts, truth = (
        chance_of_lists(written, lists[["role", "industry", "item_id"]]) for lists in (everywhere, by_segment, oracle)
    )
    assert counts > 1.3 * popularity
    assert truth > counts


def test_new_items_are_predictable_from_their_targets_and_topics(written: Written) -> None:
    new = written.items[instants(written.items["published_at"]) > UNTIL - dt.timedelta(days=14)]
    rows = written.segments.merge(new[new["target_roles"] != ""], on="item_id")
    fits = [role_fits(role, tuple(roles.split(";"))) for role, roles in zip(rows.role, rows.target_roles, strict=True)]
    assert rows["interest"][fits].mean() > 3 * rows["interest"][~np.array(fits)].mean()


def test_codes_and_topics_are_known(written: Written) -> None:
    world = load_world()
    roles, industries = shipped("isco08"), shipped("gbt4754_2017")
    for subject in world.subjects:
        assert set(subject.roles) <= set(roles.table.index)
        assert set(subject.industries) <= set(industries.table.index)
    for work in world.works:
        assert work.role in roles.table.index
        assert industries.table.loc[work.industry, "parent"] == work.section
    assert set(";".join(written.items["topics"]).split(";")) == set(world.topics)


@pytest.mark.parametrize("language", LANGUAGES)
def test_texts_tell_the_topic(written: Written, language: str) -> None:
    items = written.items[written.items["language"] == language]
    topic = items["topics"].str.split(";").str[0].to_numpy()
    vectors = TfidfVectorizer(analyzer="char", ngram_range=(2, 3)).fit_transform(items["summary"] + items["text"])
    likeness = (vectors @ vectors.T).toarray()
    np.fill_diagonal(likeness, -1)
    assert (topic[likeness.argmax(axis=1)] == topic).mean() > 0.9
