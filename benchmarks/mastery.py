"""Mastery and recall on the exams and quizzes of 365 Data Science, by log-loss beside a constant.

``python -m benchmarks.mastery --json FILE`` reads the folder that ``XUELU_DATA`` names. Exam attempts are split in
time: constants are fitted on the first 70 % of them, everything is evaluated on the rest. For each kind it prints
``attempts`` (evaluated ones), ``log_loss`` of :mod:`recommender.content.mastery` as it ships, ``constant`` (of the mean
of the fitted part) and ``fitted``, the constants that the fitted part gives:

``exams``
    the next exam attempt from all attempts before: mastery, of one topic as exams name none;
``quizzes``
    answers, which have no time: those of members who answered all of theirs before or after the split day, by the days
    on which they were engaged with quizzes, in the order of the file; only the intercept is fitted;
``repeats``
    exams attempted again on a later day: recall;
``half_life``
    the same by half-life regression (Settles and Meeder 2016, doi:10.18653/v1/P16-1174) fitted on them.
"""

import argparse
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit

from recommender.content import mastery

FITTED_SHARE: Final = 0.7
LEAST: Final = 1e-4

Floats = NDArray[np.float64]


def log_loss(predicted: Floats, score: Floats) -> float:
    """Return the mean log-loss of predicted probabilities against scores from 0 to 1.

    >>> round(log_loss(np.array([0.5, 0.5]), np.array([1.0, 0.0])), 4)
    0.6931
    """
    bounded = np.clip(predicted, LEAST, 1.0 - LEAST)
    return float(-(score * np.log(bounded) + (1.0 - score) * np.log(1.0 - bounded)).mean())


def with_history(attempts: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """Return attempts with the sums of ``score`` and of what it lacks of 1 before each, within groups of the keys."""
    groups = attempts.groupby(keys)["score"]
    before = groups.cumcount()
    successes = groups.cumsum() - attempts["score"]
    return attempts.assign(successes=successes, failures=before - successes, before=before)


def exams(folder: Path) -> pd.DataFrame:
    """Return exam attempts in their order: ``member, item, day, score``."""
    frame = pd.read_csv(folder / "365_student_exams.csv").sort_values(["date_exam_completed", "exam_attempt_id"])
    day = pd.to_datetime(frame["date_exam_completed"])
    columns = {"member": frame["student_id"], "item": frame["exam_id"], "day": day, "score": frame["exam_result"] / 100}
    return pd.DataFrame(columns).reset_index(drop=True)


def answers(folder: Path, split: pd.Timestamp) -> pd.DataFrame:
    """Return answers of members who gave all of theirs on one side of the split: ``member, late, score``."""
    answers = pd.read_csv(folder / "365_student_quizzes.csv").dropna(subset="answer_id")
    right = pd.read_csv(folder / "365_quiz_info.csv").set_index("answer_id")["answer_correct"] == "y"
    engaged = pd.read_csv(folder / "365_student_engagement.csv")
    engaged = engaged[engaged["engagement_quizzes"] > 0]
    late = (pd.to_datetime(engaged["date_engaged"]) >= split).groupby(engaged["student_id"]).mean()
    frame = pd.DataFrame({"member": answers["student_id"], "late": answers["student_id"].map(late)})
    frame["score"] = answers["answer_id"].map(right).astype(float)
    return frame[frame["late"].isin([0.0, 1.0])].dropna().reset_index(drop=True)


def by_mastery(weights: Floats, rows: pd.DataFrame) -> Floats:
    """Return the probabilities of success by performance factors analysis."""
    logs = np.log1p(rows[["successes", "failures"]].to_numpy())
    return np.asarray(expit(weights[0] + logs @ weights[1:3]))


def by_power_law(weights: Floats, rows: pd.DataFrame) -> Floats:
    """Return the probabilities of recall whose odds fall by a power law."""
    logs = np.log1p(rows[["successes", "failures"]].to_numpy())
    return np.asarray(expit(weights[0] + logs @ weights[1:3] - weights[3] * np.log(rows["days"].to_numpy())))


def by_half_life(weights: Floats, rows: pd.DataFrame) -> Floats:
    """Return the probabilities of recall that halve after a half-life."""
    roots = np.sqrt(1.0 + rows[["successes", "failures"]].to_numpy())
    half_life = 2.0 ** np.clip(weights[0] + roots @ weights[1:3], -4.0, 12.0)
    return np.asarray(2.0 ** (-rows["days"].to_numpy() / half_life))


def fitted(predict: Callable[[Floats, pd.DataFrame], Floats], rows: pd.DataFrame, start: list[float]) -> Floats:
    """Return the weights of least log-loss."""
    score = rows["score"].to_numpy()
    least = minimize(lambda weights: log_loss(predict(weights, rows), score), start, method="Nelder-Mead", tol=1e-6)
    return np.asarray(least.x)


def evaluated(
    predict: Callable[[Floats, pd.DataFrame], Floats],
    early: pd.DataFrame,
    late: pd.DataFrame,
    *,
    shipped: Floats | None = None,
    n: int,
) -> dict[str, Any]:
    """Return the figures of one kind; without shipped weights those fitted on the early rows are evaluated."""
    weights = fitted(predict, early, [0.0] * n)
    score = late["score"].to_numpy()
    return {
        "attempts": len(late),
        "log_loss": round(log_loss(predict(weights if shipped is None else shipped, late), score), 4),
        "constant": round(log_loss(np.full(len(late), early["score"].mean()), score), 4),
        "fitted": [round(float(weight), 2) for weight in weights],
    }


def run(folder: Path) -> dict[str, Any]:
    """Return all figures."""
    attempts = exams(folder)
    split = attempts["day"].quantile(FITTED_SHARE)
    history = with_history(attempts, ["member"])
    again = with_history(attempts, ["member", "item"])
    earlier_days = again.groupby(["member", "item"])["day"].rank("dense") - 1.0
    again["successes"] = again["successes"].clip(upper=earlier_days)  # at most one a day, as of item_recall
    again["days"] = again.groupby(["member", "item"])["day"].diff() / pd.Timedelta(days=1)
    again = again[again["days"] > 0]
    quizzes = with_history(answers(folder, split), ["member"])
    factors = np.array([mastery.INTERCEPT, mastery.SUCCESS, mastery.FAILURE])
    recall = np.array([mastery.RECALL_INTERCEPT, mastery.RECALL_SUCCESS, mastery.RECALL_FAILURE, mastery.DECAY])

    def intercept_alone(weights: Floats, rows: pd.DataFrame) -> Floats:
        return by_mastery(np.concatenate([weights, factors[1:]]), rows)

    def halves(rows: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
        return rows[rows["day"] < split], rows[rows["day"] >= split]

    early, late = (quizzes[quizzes["late"] == side] for side in (0, 1))
    return {
        "split": f"{split:%Y-%m-%d}",
        "exams": evaluated(by_mastery, *halves(history), shipped=factors, n=3),
        "quizzes": evaluated(intercept_alone, early, late, n=1),
        "repeats": evaluated(by_power_law, *halves(again), shipped=recall, n=4),
        "half_life": evaluated(by_half_life, *halves(again), n=3),
    }


def main() -> None:
    """Print the figures, and write them to a file."""
    parser = argparse.ArgumentParser(description="Mastery and recall on the exams and quizzes of 365 Data Science")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to this file too")
    args = parser.parse_args()
    figures = run(Path(os.environ.get("XUELU_DATA", "../shared/data")) / "ds365")
    print(json.dumps(figures, indent=2))
    if args.json:
        args.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
