"""Contract of every registered model."""

import inspect
import tracemalloc
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal
from sklearn.base import clone

from features.interactions import Interactions
from recommender.errors import ModelError, NotFittedYetError
from recommender.models.base import BLOCK_CELLS, CANDIDATE_COLUMNS, Eligibility, Model
from recommender.models.factor_base import FactorModel
from tests.recommender.builders import (
    MODELS,
    SMALL,
    Organisation,
    Study,
    items_of,
    make_interactions,
    make_model,
    random_organisation,
)

FROM_HISTORY = (
    "item_knn", "als", "ease", "ease_recent", "transitions", "next_day", "same_day", "user_knn", "user_knn_recent",
    "graph",
)  # fmt: skip
"""Models that have nothing to say to a member without evidence."""

FROM_DESCRIPTION = ("als_described", "content", "taste")  # nothing to say to members of whom nothing is known

FOR_NEWCOMERS = ("first_items", "cohort")
"""Models that have nothing to say to a member with history."""

OF_MORE_DAYS = ("next_day", "trend_returning")
"""Models that learn from members who come back on another day."""

QUIET = "m000"  # a member of the organisation that never studied anything


@pytest.fixture(params=MODELS)
def name(request: pytest.FixtureRequest) -> str:
    """Return the name of each model in turn."""
    chosen: str = request.param
    return chosen


@pytest.fixture
def known(organisation: Organisation) -> Interactions:
    """Return what the models learn from."""
    return organisation.interactions


@pytest.fixture
def model(name: str, known: Interactions) -> Model:
    """Return each model, fitted."""
    return make_model(name).fit(known)


@pytest.fixture
def whole(model: Model, known: Interactions) -> pd.DataFrame:
    """Return all that each model can say to anybody."""
    return model.recommend(known.members.index, k=len(known.items), exclude_seen=False)


def cut(whole: pd.DataFrame, keep: pd.Series, k: int) -> pd.DataFrame:
    """Return the best k of some rows of complete lists, ranked anew."""
    kept = whole[keep.to_numpy(dtype=bool)]
    rank = kept.groupby("member_id", sort=False).cumcount() + 1
    return kept.assign(rank=rank)[rank <= k].reset_index(drop=True)


def seen_pairs(known: Interactions) -> pd.MultiIndex:
    """Return who had anything to do with what."""
    cells = known.cells
    return pd.MultiIndex.from_arrays([known.members.index[cells["member"]], known.items.index[cells["item"]]])


def is_seen(lists: pd.DataFrame, known: Interactions) -> pd.Series:
    """Return for each row of lists whether its member has had anything to do with its item."""
    pairs = pd.MultiIndex.from_frame(lists[["member_id", "item_id"]])
    return pd.Series(pairs.isin(seen_pairs(known)), index=lists.index)


# -- asking


def test_a_model_that_is_not_fitted_says_so(name: str) -> None:
    with pytest.raises(NotFittedYetError, match=r"has not been fitted; call fit\(interactions\) first"):
        make_model(name).recommend(["m001"], k=3)


@pytest.mark.parametrize("k", [0, -1])
def test_k_below_one_is_refused_with_its_value(model: Model, k: int) -> None:
    with pytest.raises(ModelError, match=f"k = {k}; ask for at least 1 item"):
        model.recommend(["m001"], k=k)


@pytest.mark.parametrize("lacking", ["members", "items"])
def test_nothing_can_be_learned_without_members_or_items(name: str, lacking: str) -> None:
    known = make_interactions([], members={"m": {}}, items={"i": {}})
    empty = replace(known, **{lacking: getattr(known, lacking).iloc[:0]})

    with pytest.raises(ModelError, match="no members or no items to learn from"):
        make_model(name).fit(empty)


def test_k_beyond_the_catalogue_gives_every_item_that_the_model_has_a_score_for_once(
    model: Model, known: Interactions, whole: pd.DataFrame
) -> None:
    beyond = model.recommend(known.members.index, k=10_000, exclude_seen=False)

    assert_frame_equal(beyond, whole)
    assert not beyond.duplicated(["member_id", "item_id"]).any()


def test_a_shorter_list_is_the_head_of_a_longer_one(model: Model, known: Interactions, whole: pd.DataFrame) -> None:
    short = model.recommend(known.members.index, k=3, exclude_seen=False)

    assert_frame_equal(short, cut(whole, pd.Series(True, index=whole.index), 3))


def test_an_unknown_member_gets_nothing_and_takes_nothing_from_others(name: str, model: Model) -> None:
    first, second = ("m000", "m005") if name in FOR_NEWCOMERS else ("m001", "m002")
    alone = model.recommend([first, second], k=5)

    among = model.recommend(["nobody", first, "", second, "zzz"], k=5)

    assert len(alone)
    assert_frame_equal(among, alone)


def test_only_unknown_members_give_an_empty_frame_of_the_same_columns(model: Model) -> None:
    nothing = model.recommend(["nobody"], k=5)

    some = model.recommend(["m001"], k=5)
    assert nothing.empty
    assert list(nothing.columns) == CANDIDATE_COLUMNS
    assert (nothing.dtypes == some.dtypes).all()


def test_nobody_asked_gives_an_empty_frame(model: Model) -> None:
    assert model.recommend([], k=5).empty


def test_a_member_without_events_gets_a_list_from_models_that_need_no_history_alone(name: str, model: Model) -> None:
    mine = items_of(model.recommend([QUIET], k=5), QUIET)

    assert len(mine) == (0 if name in FROM_HISTORY else 5)


def test_a_member_who_disliked_everything_it_met_counts_as_one_without_evidence(name: str) -> None:
    known = make_interactions(
        [("a", "i"), ("a", "j"), ("b", "i"), ("b", "j"), Study("c", "i", "viewed", 3.0), Study("c", "i", "disliked")]
    )

    mine = items_of(make_model(name).fit(known).recommend(["c"], k=5), "c")

    assert mine == ([] if name in (*FROM_HISTORY, *FROM_DESCRIPTION, *FOR_NEWCOMERS, *OF_MORE_DAYS) else ["j"])


# -- what may be returned


def test_columns_and_kinds_are_the_declared_ones(whole: pd.DataFrame) -> None:
    assert list(whole.columns) == CANDIDATE_COLUMNS
    assert whole["member_id"].dtype == whole["item_id"].dtype == "str"
    assert whole["score"].dtype == np.float32
    assert whole["rank"].dtype == np.int64


def test_ranks_run_from_one_without_gaps_and_scores_never_rise(model: Model, known: Interactions) -> None:
    lists = model.recommend(known.members.index, k=7)

    for _, mine in lists.groupby("member_id"):
        assert mine["rank"].tolist() == list(range(1, len(mine) + 1))
        assert mine["score"].is_monotonic_decreasing


def test_lists_come_in_the_order_the_members_are_asked_in(model: Model, known: Interactions) -> None:
    backwards = known.members.index[::-1]

    lists = model.recommend(backwards, k=3)

    served = lists["member_id"].drop_duplicates()
    assert served.tolist() == [member for member in backwards if member in set(served)]


def test_scores_are_finite_and_items_known(whole: pd.DataFrame, known: Interactions) -> None:
    assert len(whole)
    assert np.isfinite(whole["score"]).all()
    assert whole["item_id"].isin(known.items.index).all()


def test_seen_items_are_left_out_and_nothing_else(
    name: str, model: Model, known: Interactions, whole: pd.DataFrame
) -> None:
    lists = model.recommend(known.members.index, k=6)

    assert is_seen(whole, known).any() != (name in FOR_NEWCOMERS)
    assert_frame_equal(lists, cut(whole, ~is_seen(whole, known), 6))


def test_only_allowed_items_are_returned_and_they_keep_their_order(
    model: Model, known: Interactions, whole: pd.DataFrame
) -> None:
    allowed = {"i001", "i003", "i014", "i022", "i031", "not in the catalogue"}

    lists = model.recommend(known.members.index, k=4, allowed=allowed, exclude_seen=False)

    assert_frame_equal(lists, cut(whole, whole["item_id"].isin(allowed), 4))


def test_a_list_is_shorter_than_k_where_fewer_items_are_eligible_and_never_padded(
    model: Model, known: Interactions
) -> None:
    allowed = ["i001", "i002", "i003"]

    lists = model.recommend(known.members.index, k=10, allowed=allowed)

    assert len(lists)
    assert lists["item_id"].isin(allowed).all()
    assert not is_seen(lists, known).any()
    assert not lists.duplicated(["member_id", "item_id"]).any()


def test_nothing_allowed_gives_nothing(model: Model, known: Interactions) -> None:
    assert model.recommend(known.members.index, k=10, allowed=[]).empty


def test_a_member_who_has_seen_all_that_is_allowed_gets_nothing(model: Model, known: Interactions) -> None:
    seen = known.items.index[known.seen[known.members.index.get_loc("m001")].indices]

    assert len(seen)
    assert model.recommend(["m001"], k=10, allowed=seen).empty


def test_each_member_gets_only_what_its_own_group_may_be_offered(
    model: Model, known: Interactions, whole: pd.DataFrame
) -> None:
    rng = np.random.default_rng(3)
    groups = rng.integers(0, 3, len(known.members))
    masks = np.vstack([rng.random((2, len(known.items))) < 0.4, np.zeros((1, len(known.items)), dtype=bool)])

    lists = model.recommend(known.members.index, k=5, allowed=Eligibility(groups, masks), exclude_seen=False)

    members = known.members.index.get_indexer(whole["member_id"])
    may = masks[groups[members], known.items.index.get_indexer(whole["item_id"])]
    assert_frame_equal(lists, cut(whole, pd.Series(may, index=whole.index), 5))
    assert not lists["member_id"].isin(known.members.index[groups == 2]).any()


def test_of_equal_scores_the_item_whose_id_comes_first_wins(whole: pd.DataFrame) -> None:
    after = whole.groupby("member_id", sort=False)[["item_id", "score"]].shift()

    tied = (after["score"] == whole["score"]).to_numpy()
    assert (after["item_id"][tied] < whole["item_id"][tied]).all()


# ALS begins from different factors, the graph filter's vectors too, EASE inverts a matrix, and transitions take equal
# times in the order of ids.
NO_EXACT_TIES = ("als", "als_described", "graph", "ease", "ease_recent", "transitions")


@pytest.mark.parametrize(
    "name", [name for name in MODELS if name not in (*NO_EXACT_TIES, *FOR_NEWCOMERS, *OF_MORE_DAYS)]
)
def test_items_that_nothing_tells_apart_are_equal_and_come_by_id(name: str) -> None:
    twins = ["y", "x", "z"]
    told = {item: {"topics": "safety"} for item in [*twins, "w"]}
    known = make_interactions([(member, item) for member in "abc" for item in told] + [("d", "w")], items=told)

    lists = make_model(name).fit(known).recommend(["d"], k=2)

    assert items_of(lists, "d") == ["x", "y"]
    assert len(set(lists["score"])) == 1


# -- the same for the same


def test_the_same_seed_gives_the_same_lists_with_one_and_with_two_threads(name: str) -> None:
    known = random_organisation(2, members=300, items=60, studies=4_000).interactions
    made = [
        make_model(name, replace(SMALL, threads=threads, seed=5)).fit(known).recommend(known.members.index, k=10)
        for threads in (1, 1, 2, 0)
    ]

    assert len(made[0])
    for other in made[1:]:
        assert_frame_equal(made[0], other)


def test_a_single_call_and_a_call_for_many_agree_to_the_last_bit(model: Model, known: Interactions) -> None:
    together = model.recommend(known.members.index, k=8)

    alone = [model.recommend([member], k=8) for member in known.members.index]

    assert_frame_equal(together, pd.concat([one for one in alone if len(one)], ignore_index=True))


def test_asking_twice_gives_the_same_answer(model: Model, known: Interactions) -> None:
    first = model.recommend(known.members.index, k=8)

    model.recommend(known.members.index, k=2, allowed=["i001"])

    assert_frame_equal(model.recommend(known.members.index, k=8), first)


def test_a_model_fitted_again_on_a_larger_matrix_is_as_good_as_new(name: str, known: Interactions) -> None:
    larger = random_organisation(7, members=90, items=70, studies=1_500).interactions

    again = make_model(name).fit(known).fit(larger).recommend(larger.members.index, k=10)

    assert_frame_equal(again, make_model(name).fit(larger).recommend(larger.members.index, k=10))


def test_a_model_fitted_again_on_a_smaller_matrix_has_forgotten_the_larger(name: str, known: Interactions) -> None:
    larger = random_organisation(7, members=90, items=70, studies=1_500).interactions

    again = make_model(name).fit(larger).fit(known).recommend(larger.members.index, k=100)

    assert_frame_equal(again, make_model(name).fit(known).recommend(known.members.index, k=100))


def test_the_order_in_which_events_came_makes_no_difference(name: str) -> None:
    organisation = random_organisation(4, members=30, items=20, studies=300)
    shuffled = [organisation.studied[place] for place in np.random.default_rng(0).permutation(300)]
    first, second = (
        make_model(name).fit(make_interactions(studied)).recommend([f"m{number:03d}" for number in range(30)], k=9)
        for studied in (organisation.studied, shuffled)
    )

    assert_frame_equal(first, second)


# -- scikit-learn's habits


def test_parameters_are_those_of_the_constructor(name: str) -> None:
    model = make_model(name)

    own = [parameter for parameter in inspect.signature(type(model)).parameters if parameter not in ("args", "kwargs")]
    assert sorted(model.get_params(deep=False)) == sorted(own)


def test_a_clone_has_the_same_parameters_and_has_learned_nothing(name: str, known: Interactions) -> None:
    copy = clone(make_model(name, replace(SMALL, half_life_days=11.0, seed=9)).fit(known))

    def plain(model: Model) -> dict[str, object]:
        return {key: value for key, value in model.get_params(deep=False).items() if isinstance(value, int | float)}

    assert plain(copy) == plain(make_model(name, replace(SMALL, half_life_days=11.0, seed=9)))
    with pytest.raises(NotFittedYetError):
        copy.recommend(["m001"], k=1)


def test_a_fitted_clone_gives_the_same_lists(model: Model, known: Interactions) -> None:
    assert_frame_equal(
        clone(model).fit(known).recommend(known.members.index, k=5), model.recommend(known.members.index, k=5)
    )


# -- memory


def test_many_members_are_served_in_blocks_of_bounded_memory_with_the_lists_they_get_alone(name: str) -> None:
    n_items, n_members = 2_000, 50
    rng = np.random.default_rng(0)
    studied = [
        (f"m{member:02d}", f"i{item:04d}") for member in range(n_members) for item in rng.integers(0, n_items, 8)
    ]
    items = {f"i{n:04d}": {"published_at": f"2026-01-{1 + n % 28:02d}", "topics": f"t{n % 90}"} for n in range(n_items)}
    known = make_interactions(studied, items=items)
    model = make_model(name).fit(known)
    once = model.recommend(known.members.index, k=2)
    per_block = BLOCK_CELLS // n_items // n_members

    def peak_bytes(times: int) -> tuple[int, pd.DataFrame]:
        tracemalloc.start()
        try:
            lists = model.recommend(list(known.members.index) * times, k=2)
            return tracemalloc.get_traced_memory()[1], lists
        finally:
            tracemalloc.stop()

    # While a block is made, the one before is still there: two are the least that many can take.
    two_blocks, _ = peak_bytes(per_block * 2)
    four_blocks, lists = peak_bytes(per_block * 4 - 1)

    # Products of vectors are taken in blocks of their own.
    assert isinstance(model, FactorModel) or two_blocks > BLOCK_CELLS * np.dtype(np.float32).itemsize
    assert four_blocks < two_blocks * 1.25
    assert len(lists) == len(once) * (per_block * 4 - 1)
    assert lists["item_id"].tolist() == once["item_id"].tolist() * (per_block * 4 - 1)
    assert lists["score"].tolist() == once["score"].tolist() * (per_block * 4 - 1)
