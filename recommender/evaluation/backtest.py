"""Backtest: lists as they would have been made at past cut-offs, evaluated by what members studied after them."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeVar

import pandas as pd

from recommender.evaluation.cut_offs import DEFAULT, EvaluatedCut, ExampleRules, PreparedCut, prepare_cut
from recommender.evaluation.log import Log, label_days
from recommender.pipeline import Pipeline
from recommender.ranking.examples import TrainingExamples, n_positives
from recommender.ranking.ranker import Ranker

Examples = TypeVar("Examples")
Prepared = tuple[pd.Timestamp, PreparedCut | None, TrainingExamples | None]
"""A cut-off: prepared where it is evaluated, and its examples where a ranker learns from them."""
NO_RANKERS: Final[Mapping[str, Ranker]] = {}
GROWTH: Final = 1.25
"""A ranker that the prior still has weight in is refitted once its items studied next have grown by this factor."""


def usable_examples(
    past: Iterable[tuple[pd.Timestamp, Examples]],
    cut: pd.Timestamp,
    rules: ExampleRules,
    objective: Mapping[str, float],
) -> list[Examples]:
    """Return the examples in the window whose outcomes, those of an objective, are known at a cut-off.

    >>> past = [(day, day.day) for day in pd.date_range("2026-03-01", "2026-03-12")]
    >>> usable_examples(past, past[-1][0], ExampleRules(window_days=9), {"began": 1.0, "passed": 0.0})
    [3, 4, 5, 6, 7, 8, 9, 10, 11]
    >>> usable_examples(past, past[-1][0], ExampleRules(window_days=9), {"began": 0.5, "passed": 0.5})
    [3, 4, 5]
    """
    outcomes = [name for name, weight in objective.items() if weight > 0]
    days = label_days(rules.horizon_days, outcomes), rules.window_days
    last, first = (cut - pd.Timedelta(days=each) for each in days)
    return [part for at, part in past if first <= at <= last]


@dataclass(frozen=True)
class Backtest:
    """Past cut-offs at which models and the pipeline are evaluated.

    Attributes
    ----------
    cuts : sequence of Timestamp
        In order of time; those before ``evaluate_from`` only give training examples.
    make : callable
        Returns an unfitted pipeline.
    make_outside : callable, optional
        Returns an unfitted pipeline of models evaluated beside it.
    k : int
        Length of the lists.
    models : sequence of str
        Names of the models evaluated, ``default`` for the pipeline; empty: the pipeline and all its models. Without
        ``default`` the pipeline needs no other models, no features and no earlier cut-offs.
    """

    log: Log
    cuts: Sequence[pd.Timestamp]
    make: Callable[[], Pipeline]
    rules: ExampleRules
    k: int
    evaluate_from: pd.Timestamp
    models: Sequence[str] = ()
    make_outside: Callable[[], Pipeline] | None = None

    def prepared(self) -> Iterator[Prepared]:
        """Yield the cut-offs as they are evaluated, with their training examples where a ranker is."""
        ranked = not self.models or DEFAULT in self.models
        for cut in self.cuts:
            if not ranked and cut < self.evaluate_from:
                continue
            outside = self.make_outside() if self.make_outside and cut >= self.evaluate_from else None
            prepared = prepare_cut(self.log, cut, self.make(), rules=self.rules, with_features=ranked, outside=outside)
            if prepared is not None:
                examples = prepared.sampled(self.rules.sampling_rate) if ranked else None
                yield cut, prepared if cut >= self.evaluate_from else None, examples

    def run(
        self,
        ranker: Ranker,
        prepared: Iterable[Prepared] | None = None,
        *,
        others: Mapping[str, Ranker] = NO_RANKERS,
    ) -> Iterator[EvaluatedCut]:
        """Yield the evaluated cut-offs, the ranker being refitted on the examples before each.

        Parameters
        ----------
        ranker : Ranker
            Unfitted, with its parameters.
        prepared : iterable, optional
            Those of :meth:`prepared`, where several rankers are evaluated on the same.
        others : mapping, optional
            Unfitted rankers, evaluated beside it under their names.
        """
        past: list[tuple[pd.Timestamp, TrainingExamples]] = []
        fitted: dict[str, Ranker] = {}
        fitted_at: dict[str, pd.Timestamp] = {}
        for cut, state, examples in self.prepared() if prepared is None else prepared:
            if state is not None:
                for name, unfitted in {DEFAULT: ranker, **others}.items():
                    usable = usable_examples(past, cut, self.rules, unfitted.objective)
                    if name not in fitted or self._outdated(fitted[name], fitted_at[name], cut, usable):
                        fitted[name], fitted_at[name] = Ranker(**unfitted.get_params()).fit(usable), cut
                names = self.models or (*state.pipeline.models, DEFAULT)
                evaluated = state.evaluated([*names, *others], rankers=fitted, k=self.k)
                outcomes = self.log.outcomes(cut, evaluated.members, evaluated.true)
                yield replace(evaluated, outcomes=outcomes)
            if examples is not None:
                past.append((cut, examples))

    def _outdated(
        self, ranker: Ranker, fitted_at: pd.Timestamp, cut: pd.Timestamp, examples: Sequence[TrainingExamples]
    ) -> bool:
        """Return whether a ranker is old, or has not fully learned yet and would from many more examples now."""
        old = cut - fitted_at >= pd.Timedelta(days=self.rules.refit_days)
        return old or (
            ranker.state != "learned" and n_positives(examples, ranker.objective) > GROWTH * ranker.n_positives
        )
