"""Cost and effect of the policies.

``python -m benchmarks.policy --json FILE`` simulates an organisation, or takes the one of ``--database`` for the losses
by the defaults alone, and prints

``ndcg``, ``ndcg_loss``, ``ndcg_loss_interval``
    NDCG@10 in a backtest of lists without any rule, the share of it that each setting of the rules loses, and the 95 %
    interval of this share, list by list; ``changed_lists``: the share of lists that a setting changes;
``optimum``
    smallest value of a list within a time budget as a share of the best subset's, over random lists of 15;
``deadlines_met``, ``deadlines_met_plain``
    share of the deadlines that can be met at the member's own pace which are met in sixty days, by lists with required
    study and without (:mod:`simulator.deadlines`);
``deadlines_met_irregular``
    the same with required study where days are longer and shorter by chance, and lists estimate the pace;
``ms_per_list``
    milliseconds of processor time that all rules together take for one member's list, as the service computes it: the
    median of members with history, each alone in its interactions and by the least of a few passes;
``seconds``, ``share_of_night``
    seconds that all rules take for everybody's lists, and as a share of a night's steps fit, rank and lists with them.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from benchmarks.simulated import UNTIL, Size, take_in
from features.histories import joining_order_of
from features.interactions import Interactions
from infra.db.engine import make_engine
from infra.settings.sections import RankerSettings
from infra.settings.settings import Settings
from jobs.evaluation.backtest import Span, make_backtest, moment, read_backtest_data, summarised
from jobs.nightly import learned_ranking, lists, training_data
from jobs.nightly.lists import make_ranker
from recommender.evaluation.backtest import Prepared
from recommender.evaluation.cut_offs import DEFAULT, EvaluatedCut
from recommender.linalg.topk import best_of
from recommender.pipeline import Pipeline
from recommender.policy.policies import NO_POLICIES, Policies
from recommender.policy.ranked_lists import RankedLists
from recommender.policy.registry import PolicyParameters, make_policies
from recommender.policy.selection import value_of, within_budget
from simulator.deadlines import deadlines_met

SETTINGS: Final[dict[str, PolicyParameters]] = {  # beside the defaults of the settings file
    "rotation .05": PolicyParameters(rotation=0.05),
    "diversity .1": PolicyParameters(diversity=0.1),
    "diversity .3": PolicyParameters(diversity=0.3),
    "2 of a topic in 5": PolicyParameters(max_per_topic=2),
    "1 begun item": PolicyParameters(continue_items=1),
    "difficulty .1": PolicyParameters(difficulty=0.1),
    "difficulty .3": PolicyParameters(difficulty=0.3),
    "review .1": PolicyParameters(review_share=0.1),
}
ALL_RULES: Final = PolicyParameters(
    difficulty=0.1,
    rotation=0.05,
    max_per_topic=2,
    max_per_provider=3,
    max_per_format=3,
    diversity=0.1,
    continue_items=2,
    review_share=0.1,
)
LIST_LENGTH: Final = 20
PASSES: Final = 3
PAIR: Final = ("without", DEFAULT)
"""Lists without and with rules: differences of the default ones are counted from the only other ones."""


def losses(settings: Settings, span: Span, dials: dict[str, Policies]) -> dict[str, Any]:
    """Return NDCG@10 of members with history without rules, and the share that the defaults and each dial lose."""
    engine = make_engine(settings.database_url)
    data = read_backtest_data(engine, settings, span, keep_cuts=True)
    backtest = make_backtest(data, settings, span, [DEFAULT])
    prepared = list(backtest.prepared())
    engine.dispose()

    def evaluated(policies: Policies) -> list[EvaluatedCut]:
        return list(backtest.run(make_ranker(settings), _with_policies(prepared, policies)))

    without = evaluated(NO_POLICIES)
    figures: dict[str, Any] = {"lists": 0, "ndcg": 0.0, "ndcg_loss": {}, "ndcg_loss_interval": {}, "changed_lists": {}}
    for name, policies in {"default": backtest.make().policies, **dials}.items():
        both = [_beside(plain, ruled) for plain, ruled in zip(without, evaluated(policies), strict=True)]
        rows = summarised(both, data, span, settings)
        plain, ruled = (next(row for row in rows if row["model"] == each and row["slice"] == "warm") for each in PAIR)
        figures |= {"lists": plain["lists"], "ndcg": round(plain["ndcg"], 4)}
        figures["ndcg_loss"][name] = round(1.0 - ruled["ndcg"] / plain["ndcg"], 4)
        low, high = (0.0 - share / plain["ndcg"] for share in reversed(ruled["ndcg_difference_interval"]))
        figures["ndcg_loss_interval"][name] = [round(low, 4), round(high, 4)]
        changed = [(cut.listed["without"] != cut.listed[DEFAULT]).any(axis=1)[cut.warm] for cut in both]
        figures["changed_lists"][name] = round(float(np.concatenate(changed).mean()), 4)
    return figures


def _beside(plain: EvaluatedCut, ruled: EvaluatedCut) -> EvaluatedCut:
    """Return a cut-off with lists without rules beside those with them, which differences are counted from."""
    listed = dict(zip(PAIR, (plain.listed[DEFAULT], ruled.listed[DEFAULT]), strict=True))
    return replace(ruled, listed=listed, hits=dict(zip(PAIR, (plain.hits[DEFAULT], ruled.hits[DEFAULT]), strict=True)))


def _with_policies(prepared: list[Prepared], policies: Policies) -> Iterator[Prepared]:
    for cut, state, examples in prepared:
        yield cut, state and replace(state, pipeline=replace(state.pipeline, policies=policies)), examples


def costs(settings: Settings, folder: Path) -> dict[str, float]:
    """Return what all rules cost in the lists of everybody and of one member."""
    engine = make_engine(settings.database_url)
    read = training_data.read(engine, 1, as_of=UNTIL)
    engine.dispose()
    start = time.process_time()
    interactions = training_data.interactions(read, settings)
    ranker = learned_ranking.learn(settings, read, folder / "examples" / "cost")
    fitted = lists.fit(settings, read, interactions, ranker)
    before = time.process_time() - start
    ruled = replace(fitted, policies=make_policies(ALL_RULES))
    plain = replace(fitted, policies=NO_POLICIES)
    members = interactions.members.index
    without = _seconds(plain, interactions, members)
    seconds = _seconds_of_rules(ruled, interactions)
    studied = np.flatnonzero(np.diff(interactions.seen.indptr))[:100]
    alone = [_alone(interactions, row) for row in studied.tolist()]
    of_one = [min(_seconds_of_rules(ruled, replace(each)) for _ in range(PASSES)) for each in alone]
    return {
        "members": len(members),
        "seconds": round(seconds, 2),
        "share_of_night": round(seconds / (before + without + seconds), 4),
        "ms_per_list": round(1_000 * float(np.median(of_one)), 2),
    }


def _alone(interactions: Interactions, row: int) -> Interactions:
    """Return the interactions of one member."""
    cells = interactions.cells[interactions.cell("member") == row]
    members = interactions.members.iloc[[row]].assign(position=joining_order_of(interactions)[[row]])
    return replace(interactions, members=members, cells=cells.assign(member=np.int32(0)))


def _seconds_of_rules(pipeline: Pipeline, interactions: Interactions) -> float:
    """Return the processor time of the rules for the lists of all members, what they may be offered included."""
    seconds = 0.0
    for rows, candidates in pipeline.proposals(interactions, interactions.members.index, k=LIST_LENGTH):
        score = pipeline.rank(interactions, rows, candidates)
        row, best = best_of(candidates.row, score, pipeline.policies.pool(interactions, LIST_LENGTH))
        ranked = RankedLists.of(rows, row, candidates.item[best], score[best], best)
        start = time.process_time()
        may_be_offered = pipeline.may_be_offered(interactions, rows)
        pipeline.policies.apply(ranked, interactions, k=LIST_LENGTH, may_be_offered=may_be_offered)
        seconds += time.process_time() - start
    return seconds


def _seconds(pipeline: Pipeline, interactions: Interactions, members: pd.Index) -> float:
    """Return the processor time of the lists of some members."""
    start = time.process_time()
    for _ in pipeline.listed(interactions, members, k=LIST_LENGTH):
        pass
    return time.process_time() - start


def optimum(n_lists: int = 20, n_items: int = 15) -> float:
    """Return the smallest value of a chosen list as a share of the best subset's."""
    rng = np.random.default_rng(7)
    shares = []
    for _ in range(n_lists):
        seconds = rng.integers(30, 1_500, n_items).astype(float).tolist()
        budget = float(rng.integers(5, 60) * 60)
        chosen = sum(map(value_of, within_budget(seconds, budget, n_items)))
        subsets = (each for size in range(n_items + 1) for each in combinations(range(n_items), size))
        best = max(sum(map(value_of, each)) for each in subsets if sum(seconds[rank] for rank in each) <= budget)
        shares.append(chosen / best if best else 1.0)
    return round(min(shares), 4)


def run(args: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Return all figures."""
    if args.database:
        ranker = RankerSettings(window_days=args.training)
        settings = Settings(database_url=args.database, artefacts_folder=folder / "artefacts", ranker=ranker)
        with threadpool_limits(limits=1):
            return losses(settings, Span(moment(args.first), moment(args.last)), {})
    settings, _ = take_in(folder, Size(members=args.members, items=1_000, days=60, training=14))
    last = pd.Timestamp(UNTIL) - pd.Timedelta(days=1)
    span = Span(last - pd.Timedelta(days=6), last)
    margin = settings.policy.required_margin
    dials = {name: make_policies(parameters) for name, parameters in SETTINGS.items()}
    with threadpool_limits(limits=1):
        figures: dict[str, Any] = losses(settings, span, dials) | {"optimum": optimum()} | deadlines_met(margin=margin)
        figures["deadlines_met_irregular"] = deadlines_met(estimated=True, margin=margin)["deadlines_met"]
        return figures | costs(settings, folder)


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--members", type=int, default=1_000)
    parser.add_argument("--database", help="an organisation's database, to backtest from --first to --last")
    parser.add_argument("--first", default="", help="first cut-off, such as 2021-03-01")
    parser.add_argument("--last", default="")
    parser.add_argument("--training", type=int, default=30, help="nights of it to learn from")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures = run(args, Path(folder))
    print(json.dumps(figures, indent=2))
    if args.json:
        args.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
