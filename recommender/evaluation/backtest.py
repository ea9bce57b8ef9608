"""Backtest: lists as they would have been made at past cut-offs, evaluated by what members studied after them."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

import pandas as pd

from recommender.evaluation.cut_offs import DEFAULT, EvaluatedCut, ExampleRules, PreparedCut, prepare_cut, seed_of
from recommender.evaluation.log import Log
from recommender.pipeline import Pipeline
from recommender.ranking.examples import TrainingExamples, n_positives
from recommender.ranking.ranker import Ranker

GROWTH: Final = 1.25
"""A ranker that the prior still has weight in is refitted once its items studied next have grown by this factor."""


@dataclass(frozen=True)
class Backtest:
    """Past cut-offs at which models and the pipeline are evaluated.

    Attributes
    ----------
    log : Log
    cuts : sequence of Timestamp
        In order of time; those before ``evaluate_from`` only give training examples.
    make : callable
        Returns an unfitted pipeline.
    make_outside : callable, optional
        Returns an unfitted pipeline of models evaluated beside it.
    rules : ExampleRules
    k : int
        Length of the lists.
    evaluate_from : Timestamp
    models : sequence of str
        Names of the models evaluated, ``default`` for the pipeline; none: all of the pipeline and itself. Without
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

    def prepared(self) -> Iterator[tuple[PreparedCut, TrainingExamples | None]]:
        """Yield the cut-offs with their training examples, none where no ranker is evaluated."""
        ranked = not self.models or DEFAULT in self.models
        for cut in self.cuts:
            if not ranked and cut < self.evaluate_from:
                continue
            outside = self.make_outside() if self.make_outside and cut >= self.evaluate_from else None
            prepared = prepare_cut(self.log, cut, self.make(), rules=self.rules, with_features=ranked, outside=outside)
            if prepared is not None:
                yield prepared, self._examples(prepared) if ranked else None

    def _examples(self, prepared: PreparedCut) -> TrainingExamples:
        return prepared.examples().sampled(self.rules.sampling_rate, seed=seed_of(prepared.cut))

    def run(
        self, ranker: Ranker, prepared: Iterable[tuple[PreparedCut, TrainingExamples | None]] | None = None
    ) -> Iterator[EvaluatedCut]:
        """Yield the evaluated cut-offs, the ranker being refitted on the examples before each.

        Parameters
        ----------
        ranker : Ranker
            Unfitted, with its parameters.
        prepared : iterable, optional
            Those of :meth:`prepared`, where several rankers are evaluated on the same.
        """
        past: list[tuple[pd.Timestamp, TrainingExamples]] = []
        fitted: Ranker | None = None
        fitted_at: pd.Timestamp | None = None
        horizon, window = (pd.Timedelta(days=days) for days in (self.rules.horizon_days, self.rules.window_days))
        for state, examples in self.prepared() if prepared is None else prepared:
            cut = state.cut
            if cut >= self.evaluate_from:
                usable = [part for at, part in past if cut - window <= at <= cut - horizon]
                old = fitted_at is None or cut - fitted_at >= pd.Timedelta(days=self.rules.refit_days)
                if old or fitted is None or _outgrown(fitted, usable):
                    fitted, fitted_at = Ranker(**ranker.get_params()).fit(usable), cut
                names = self.models or (*state.pipeline.models, DEFAULT)
                evaluated = state.evaluated(names, ranker=fitted, k=self.k)
                outcomes = self.log.outcomes(cut, evaluated.members, evaluated.true)
                yield replace(evaluated, outcomes=outcomes)
            if examples is not None:
                past.append((cut, examples))


def _outgrown(ranker: Ranker, examples: Sequence[TrainingExamples]) -> bool:
    """Return whether a ranker that has not fully learned yet would learn from many more examples now."""
    return ranker.state != "learned" and n_positives(examples) > GROWTH * ranker.n_positives
