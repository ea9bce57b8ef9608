"""Estimates of experiments beside the truth of a simulation, and beside Open Bandit Pipeline.

``python -m benchmarks.experiments --json FILE`` writes

- ``coverage_ips``, ``coverage_snips``, ``coverage_dr``: of simulated experiments the share whose 95 % interval holds
  the true reward of a policy that was not the one logged;
- ``chosen``: of the experiments whose two variants truly differ by 5 % or more, the share where the doubly robust
  estimate is higher for the better one, and ``differing``, their number;
- ``coverage_lists_ips``, ``coverage_lists_snips``, ``coverage_lists_dr``, ``chosen_lists``, ``differing_lists``: the
  same of a week of lists of :data:`PLACES` entries that explored by the product's own rule, a variant beside what was
  logged; ``decided_lists``: the share where the interval of the difference leaves 0 out, and ``decided_right_lists``:
  of these the share on the right side;
- ``vs_obp``: the largest difference of an estimate from that of Open Bandit Pipeline on the same logged choices, which
  runs in a virtual environment of its own (``--obp FOLDER``; made there where it is missing);
- ``false_alarms``: of the A/A experiments with a look after each day the share where any look shows an effect;
  ``false_alarms_fixed``: the same of intervals that are meant for one look; ``split_alarms``: of the test of the split;
- ``detected``: of A/B experiments whose variant raises the outcome by 3 percentage points the share found within the
  days, and ``effect_held``: of all experiments the share whose interval holds the true effect at every look;
- ``seconds``.

Members, items and what members would open come from the simulator: its appeal of an item to a member.
"""

import argparse
import json
import subprocess
import tempfile
import time
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.interactions import Interactions
from recommender.evaluation.always_valid import effect, split_p_value
from recommender.evaluation.off_policy import (
    LoggedChoices,
    choices_of_lists,
    difference,
    doubly_robust,
    ips,
    predicted_rewards,
    predicted_rewards_of_lists,
    snips,
)
from recommender.model_contract.sample import make_interactions
from recommender.policy.ranked_lists import RankedLists
from recommender.policy.rules.exploration import Exploration
from simulator.behaviour.affinity import make_affinities, member_vectors
from simulator.organisation.catalogue import DAY_SECONDS, Period, make_catalogue
from simulator.organisation.members import make_block
from simulator.organisation.world import load_world

POPULATION: Final = 10_000
ITEMS: Final = 200
CANDIDATES: Final = 10
MEMBERS: Final = 3_000
CHOICES: Final = 4
"""Logged choices of each member."""
EXPLORATION: Final = 0.2
"""Share of choices at random in the policy that logs."""
DIFFERENT: Final = 0.05
"""Variants whose true rewards differ by this share or more should be distinguished."""
TEST_MEMBERS: Final = 1_000
DAYS: Final = 60
LIFT: Final = 0.03
LIST_MEMBERS: Final = 1_000
PLACES: Final = 5
NIGHTS: Final = 7
LOOKED_AT: Final = np.array([0.9, 0.75, 0.6, 0.5, 0.4])
"""Chance that a member looks at each place."""
OBP: Final = ("obp==0.5.7", "matplotlib<3.9")
"""For Python 3.8 to 3.10; it calls a function that matplotlib 3.9 removed, and pins a PyTorch of 0.8 GB."""
OBP_SCRIPT: Final = """
import json, sys
import numpy as np
from obp.ope import DoublyRobust, InverseProbabilityWeighting, SelfNormalizedInverseProbabilityWeighting

log = np.load(sys.argv[1])
shown = dict(reward=log["reward"], action=log["action"], pscore=log["propensity"],
             action_dist=log["target"][:, :, None], position=np.zeros(len(log["reward"]), dtype=int))
print(json.dumps({
    "ips": float(InverseProbabilityWeighting().estimate_policy_value(**shown)),
    "snips": float(SelfNormalizedInverseProbabilityWeighting().estimate_policy_value(**shown)),
    "dr": float(DoublyRobust().estimate_policy_value(
        **shown, estimated_rewards_by_reg_model=log["predicted"][:, :, None])),
}))
"""
Floats = NDArray[np.float64]


def opening_chances(seed: int) -> Floats:
    """Return the chance that each member of the simulated population opens each item when it is shown."""
    until = int(datetime(2026, 3, 2, tzinfo=UTC).timestamp())
    span, world = Period(until - 30 * DAY_SECONDS, until), load_world()
    rng = np.random.default_rng([seed, 0])
    catalogue = make_catalogue(world, items=ITEMS, span=span, rng=rng)
    affinities = make_affinities(world, catalogue, rng=rng)
    block = make_block(world, first=0, members=POPULATION, span=span, rng=rng)
    appeal = member_vectors(world, affinities, block, rng=rng) @ affinities.items.T
    logits = appeal - appeal.mean() - 1.5
    return np.asarray(1.0 / (1.0 + np.exp(-logits)), dtype=np.float64)


def softmax(scores: Floats) -> Floats:
    """Return the probabilities of a choice by scores, row by row."""
    weights: Floats = np.exp(scores - scores.max(axis=1, keepdims=True))
    return weights / weights.sum(axis=1, keepdims=True)


def off_policy_experiment(chances: Floats, rng: np.random.Generator) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the figures of one experiment, and its log with the predictions: one policy logs, two are estimated."""
    items = rng.choice(chances.shape[1], CANDIDATES, replace=False)
    chance = chances[:, items]
    logits = np.log(chance / (1 - chance))
    noise = [rng.normal(0, spread, chance.shape) for spread in (1.5, rng.uniform(0.0, 2.0), rng.uniform(0.0, 2.0))]
    logging, first, second = (softmax(logits + part) for part in noise)
    logging = (1 - EXPLORATION) * logging + EXPLORATION / CANDIDATES
    members = rng.choice(len(chance), MEMBERS, replace=False).repeat(CHOICES)
    action = (rng.random((len(members), 1)) > logging[members].cumsum(axis=1)).sum(axis=1).clip(max=CANDIDATES - 1)
    shown = {
        "action": action,
        "reward": (rng.random(len(members)) < chance[members, action]).astype(np.float64),
        "propensity": logging[members, action],
        "member": members,
    }
    logged, other = (LoggedChoices(**shown, target=policy[members]) for policy in (first, second))
    predicted = predicted_rewards(logged)
    estimates = {"ips": ips(logged), "snips": snips(logged), "dr": doubly_robust(logged, predicted)}
    truth, other_truth = (float((policy * chance).sum(axis=1).mean()) for policy in (first, second))
    better, _, _ = difference(estimates["dr"], doubly_robust(other, predicted), members)
    figures: dict[str, Any] = {name: bool(each.low <= truth <= each.high) for name, each in estimates.items()}
    figures |= {
        "differ": abs(truth - other_truth) >= DIFFERENT * min(truth, other_truth),
        "chosen": (better > 0) == (truth > other_truth),
        "values": {name: each.value for name, each in estimates.items()},
    }
    return figures, {**shown, "target": logged.target, "predicted": predicted}


def list_experiment(chances: Floats, rng: np.random.Generator, seed: int) -> dict[str, bool]:
    """Return whether estimates from a week of lists that explored hold the truth of other lists."""
    members, items = rng.choice(len(chances), LIST_MEMBERS, replace=False), rng.choice(ITEMS, 3 * PLACES, replace=False)
    chance = chances[np.ix_(members, items)]
    base, wanted = (np.argsort(-(chance + rng.normal(0, spread, chance.shape)), axis=1) for spread in rng.random(2) / 2)
    every, nothing = np.arange(LIST_MEMBERS), no_study(LIST_MEMBERS, len(items))
    ranked = RankedLists.of(every, every.repeat(len(items)), base.ravel(), np.ones(base.size), np.arange(base.size))
    rule, parts = Exploration(1.0, PLACES, seed=seed), list[pd.DataFrame]()
    for night in range(NIGHTS):
        of_night = replace(nothing, as_of=nothing.as_of + pd.Timedelta(days=night))
        lists = rule.apply(ranked, of_night, k=PLACES, may_be_offered=lambda at, _: np.ones(len(at), dtype=bool))
        item, propensity = lists.item[:, :PLACES], lists.propensity[:, :PLACES]
        likely = np.take_along_axis(chance, item, axis=1) * LOOKED_AT
        opened = rng.random(item.shape) < likely
        columns = {"item": item, "wanted": wanted[:, :PLACES], "propensity": propensity, "likely": likely}
        flat = {name: np.ravel(values) for name, values in (columns | {"reward": opened}).items()}
        parts.append(
            pd.DataFrame({"member": every.repeat(PLACES), "place": np.tile(range(PLACES), len(every)), **flat})
        )
    entries = pd.concat(parts, ignore_index=True)
    logged, predicted = choices_of_lists(entries), predicted_rewards_of_lists(entries)
    estimates = {"ips": ips(logged), "snips": snips(logged), "dr": doubly_robust(logged, predicted)}
    truth = float((np.take_along_axis(chance, wanted[:, :PLACES], axis=1) * LOOKED_AT).mean())
    logged_truth = float(entries["likely"].mean())
    as_logged = ips(choices_of_lists(entries.assign(wanted=entries["item"], propensity=1.0)))
    better, low, high = difference(estimates["dr"], as_logged, logged.member)
    held = {f"lists_{name}": each.low <= truth <= each.high for name, each in estimates.items()}
    differ = abs(truth - logged_truth) >= DIFFERENT * min(truth, logged_truth)
    chosen = (better > 0) == (truth > logged_truth)
    return {**held, "decided": low > 0 or high < 0, "differ": differ, "chosen": chosen}


@cache
def no_study(members: int, items: int) -> Interactions:
    """Return members and items without any study."""
    names: list[dict[str, dict[str, str]]] = [{f"i{number}": {} for number in range(n)} for n in (members, items)]
    return make_interactions([], members=names[0], items=names[1])


def looks(chances: Floats, rng: np.random.Generator, lift: float) -> dict[str, bool]:
    """Return what the daily looks at one experiment show, whose variant raises each member's outcome by ``lift``.

    Members open with a chance of their own that stays, join on a day of the first half, and are shown a list on half of
    the days.
    """
    own = rng.choice(chances.mean(axis=1), TEST_MEMBERS)
    variant, joined = rng.random(TEST_MEMBERS) < 0.5, rng.integers(0, DAYS // 2, TEST_MEMBERS)
    outcome, shown = np.zeros(TEST_MEMBERS), np.zeros(TEST_MEMBERS)
    seen = {"alarm": False, "fixed": False, "split": False, "held": True}
    for day in range(DAYS):
        today = (joined <= day) & (rng.random(TEST_MEMBERS) < 0.5)
        shown += today
        outcome += today & (rng.random(TEST_MEMBERS) < own + lift * variant)
        exposed = shown > 0
        rates = outcome[exposed] / shown[exposed]
        control, other = rates[~variant[exposed]], rates[variant[exposed]]
        if min(len(control), len(other)) < 2:
            continue
        now = effect(control, other)
        error = np.sqrt(control.var(ddof=1) / len(control) + other.var(ddof=1) / len(other))
        seen["alarm"] |= now.decided
        seen["fixed"] |= bool(abs(now.difference) > 1.96 * error)
        seen["split"] |= split_p_value([len(control), len(other)], [0.5, 0.5]) < 0.001
        seen["held"] &= now.low <= lift <= now.high
    return seen


def obp_estimates(log: dict[str, Any], folder: Path) -> dict[str, float]:
    """Return the estimates of Open Bandit Pipeline, in a virtual environment that is made where it is missing."""
    python = folder / "bin" / "python"
    if not python.exists():
        subprocess.run(["python3.10", "-m", "venv", str(folder)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", *OBP], check=True)
    with tempfile.TemporaryDirectory() as scratch:
        np.savez(Path(scratch) / "log.npz", **log)
        command = [str(python), "-c", OBP_SCRIPT, str(Path(scratch) / "log.npz")]
        answer = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    estimates: dict[str, float] = json.loads(answer.stdout)
    return estimates


def measured(experiments: int, seed: int, obp: Path | None) -> dict[str, Any]:
    """Return the figures of all experiments; without those of Open Bandit Pipeline where its folder is None."""
    start = time.perf_counter()
    chances = opening_chances(seed)
    runs: list[dict[str, Any]] = []
    log: dict[str, Any] = {}
    for number in range(experiments):
        figures, log = off_policy_experiment(chances, np.random.default_rng([seed, 1, number]))
        runs.append(figures)
    differing = [run for run in runs if run["differ"]]
    listed = [
        list_experiment(chances, np.random.default_rng([seed, 4, number]), number) for number in range(experiments)
    ]
    same = [looks(chances, np.random.default_rng([seed, 2, number]), 0.0) for number in range(experiments)]
    lifted = [looks(chances, np.random.default_rng([seed, 3, number]), LIFT) for number in range(experiments)]
    seconds = time.perf_counter() - start
    result = {f"coverage_{name}": share([run[name] for run in runs]) for name in ("ips", "snips", "dr")}
    result |= {
        "chosen": share([run["chosen"] for run in differing]),
        "differing": len(differing),
        **{
            f"coverage_{name}": share([run[name] for run in listed])
            for name in ("lists_ips", "lists_snips", "lists_dr")
        },
        "chosen_lists": share([run["chosen"] for run in listed if run["differ"]]),
        "differing_lists": sum(run["differ"] for run in listed),
        "decided_lists": share([run["decided"] for run in listed]),
        "decided_right_lists": share([run["chosen"] for run in listed if run["decided"]]),
        "false_alarms": share([run["alarm"] for run in same]),
        "false_alarms_fixed": share([run["fixed"] for run in same]),
        "split_alarms": share([run["split"] for run in same]),
        "detected": share([run["alarm"] for run in lifted]),
        "effect_held": share([run["held"] for run in same + lifted]),
        "seconds": round(seconds, 1),
    }
    if obp is not None:
        theirs = obp_estimates(log, obp)
        result["vs_obp"] = max(abs(runs[-1]["values"][name] - value) for name, value in theirs.items())
    return result


def share(flags: list[bool]) -> float:
    """Return the share of true ones, 1 of none."""
    return round(sum(flags) / len(flags), 4) if flags else 1.0


def main() -> None:
    """Measure, print and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="file for the figures")
    parser.add_argument("--experiments", type=int, default=200, help="experiments of each kind")
    parser.add_argument("--seed", type=int, default=11)
    default = Path(tempfile.gettempdir()) / "xuelu-obp"
    parser.add_argument("--obp", type=Path, default=default, help="virtual environment with obp; made where missing")
    parser.add_argument("--without-obp", action="store_true", help="leave vs_obp out")
    options = parser.parse_args()
    figures = measured(options.experiments, options.seed, None if options.without_obp else options.obp)
    print(json.dumps(figures, indent=2))
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
