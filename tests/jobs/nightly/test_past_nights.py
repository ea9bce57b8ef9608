"""Names of stored training examples: whatever they were computed from is in the digest that names them."""

from dataclasses import fields, replace
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
import pytest

from infra.catalog import organisations
from infra.db.engine import opened, transaction
from infra.settings.settings import Settings
from infra.training.data import weighting_rules
from jobs.nightly import training_data
from jobs.nightly.learned_ranking import PastNights, past_cuts
from jobs.nightly.lists import make_pipeline
from jobs.nightly.training_data import TrainingData
from recommender.evaluation.cut_offs import ExampleRules, prepare_cut, seed_of
from recommender.evaluation.log import Log
from recommender.ranking import candidate_generation
from recommender.ranking.examples import TrainingExamples
from tests.changed_settings import changed_settings
from tests.conftest import NOW, SqliteStates

CUT: Final = pd.Timestamp("2026-02-24", tz="UTC")
NO_INPUT: Final = (
    "policy.", "nightly.", "delivery.", "oidc.", "doctor.", "objective.began", "models.threads", "models.list_length",
    "ranker.max_interactions", "ranker.max_iter", "ranker.max_leaf_nodes", "ranker.learning_rate",
    "ranker.min_samples_leaf", "ranker.l2_regularization",
)  # fmt: skip
"""Settings that change no candidate of a past night and no feature of one: of lists, and of the fit to examples."""


@pytest.fixture(scope="module")
def data(sqlite_states: SqliteStates) -> TrainingData:
    """Return the data of an organisation; what is named does not depend on the database."""
    with opened(sqlite_states.new("past_nights", "couriers")) as engine:
        with transaction(engine) as session:
            key = organisations.key_of(session, "default")
        return training_data.read(engine, key, as_of=NOW)


def name_of(settings: Settings, data: TrainingData, **changed: pd.DataFrame) -> str:
    """Return the name under which the examples of a past night are stored, some frames of the data changed."""
    data = replace(data, **changed)  # type: ignore[arg-type]  # all changed fields are frames
    log = Log(data.events, data.members, data.items, weighting_rules(settings))
    return PastNights(settings, data, log, Path("unused"), stored=False).name_of(CUT)


@pytest.mark.parametrize(
    ("outcomes", "days", "most", "first", "last"),
    [
        ((), 3, 10**9, "03-04", "03-07"),
        (("passed",), 3, 10**9, "02-26", "03-01"),
        ((), 999, 10**9, "02-21", "03-07"),
        ((), 3, 1, "03-07", "03-07"),
    ],
)
def test_past_nights_end_where_their_outcomes_are_known(
    data: TrainingData, outcomes: tuple[str, ...], days: int, most: int, first: str, last: str
) -> None:
    log = Log(data.events, data.members, data.items, weighting_rules(Settings()))
    assert f"{log.first_at:%m-%d %H}" == "02-20 08"
    rules = ExampleRules(window_days=days, outcomes=outcomes)

    cuts = past_cuts(log, pd.Timestamp("2026-03-08T15:00", tz="UTC"), rules, most)

    assert (f"{cuts[0]:%m-%d}", f"{cuts[-1]:%m-%d}") == (first, last)
    assert [cut.hour for cut in cuts] == [0] * len(cuts)


def test_every_setting_that_candidates_or_their_features_depend_on_is_in_the_name(data: TrainingData) -> None:
    settings = Settings()
    before = name_of(settings, data)

    different = {name for name, changed in changed_settings(settings) if name_of(changed, data) != before}

    names = {name for name, _ in changed_settings(settings) if "." in name or name == "timezone"}
    assert different == {name for name in names if not name.startswith(NO_INPUT)}


def test_the_place_of_a_member_in_the_order_of_joining_is_in_the_name(data: TrainingData) -> None:
    """One that another member takes, too: of an earlier date, and without any event."""
    settings, members = Settings(), data.members.copy()
    assert "new-driver" not in set(members.index[data.events["member"]]), "who has no event has no row that is hashed"
    members.loc["new-driver", "joined_on"] = members["joined_on"].min() - pd.Timedelta(days=1)

    assert name_of(settings, data, members=members) != name_of(settings, data)


@pytest.mark.parametrize("kind", ["members", "items"])
def test_every_column_of_who_studied_what_is_in_the_name(data: TrainingData, kind: str) -> None:
    settings, frame = Settings(), getattr(data, kind)
    studied = frame.index[data.events[kind.removesuffix("s")].iloc[0]]
    before = name_of(settings, data)

    for column in frame:
        changed = frame.astype({column: object})
        changed.loc[studied, column] = "another value"
        if column not in {"joined_on", "published_at", "personalised", "hidden"}:
            assert name_of(settings, data, **{kind: changed}) != before, column


def test_samples_of_a_past_night_are_drawn_block_by_block_as_of_all_its_candidates(
    data: TrainingData, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(candidate_generation, "CACHED_CELLS", 2 * len(data.items))
    settings = Settings()
    log, rules = Log(data.events, data.members, data.items, weighting_rules(settings)), ExampleRules(horizon_days=7.0)
    night = prepare_cut(log, CUT, make_pipeline(settings, data.taxonomies), rules=rules)
    assert night is not None
    assert len(night.blocks) > 2

    whole, seed = night.examples(), seed_of(CUT)
    for part, expected in (
        (night.sampled(0.3), whole.sampled(0.3, seed=seed)),
        (night.of_lists(3), whole.of_lists(3, seed=seed)),
    ):
        assert 0 < len(part.row) < len(whole.row)
        for column in fields(TrainingExamples):
            np.testing.assert_array_equal(getattr(part, column.name), getattr(expected, column.name))
