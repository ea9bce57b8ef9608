"""Prior ranking: boosted trees that ship with the product, fitted on public logs and simulated organisations.

``python -m benchmarks.prior`` makes ``prior.txt``. It rests on features that carry over from one organisation to
another: normalised scores and ranks of the models, ages in days, and fits of item and member. It knows no id.
"""

from collections.abc import Sequence
from functools import cache, cached_property, lru_cache
from pathlib import Path
from typing import Any, Final

import lightgbm as lgb
import numpy as np
from numpy.typing import NDArray

from recommender.errors import ModelError
from recommender.linalg.topk import Scores
from recommender.ranking.examples import TrainingExamples
from recommender.ranking.path_contributions import PathContributions

PRIOR_FILE: Final = Path(__file__).with_name("prior.txt")
LOCAL_FEATURES: Final = ("item_minutes", "member_items", "member_active_days", "last_day_items", "weekday")
"""Counts and habits that mean something else in another organisation: not used."""
N_TREES: Final = 150
REPRODUCIBLE: Final[dict[str, Any]] = {"deterministic": True, "force_row_wise": True, "num_threads": 1, "verbose": -1}
"""Settings of LightGBM for the prior and for own trees: the same trees on every machine."""
PARAMETERS: Final = REPRODUCIBLE | {
    "objective": "lambdarank",
    "lambdarank_truncation_level": 20,
    "label_gain": [0, 1],
    "num_leaves": 15,
    "learning_rate": 0.06,
    "min_data_in_leaf": 60,
    "lambda_l2": 5.0,
    "feature_fraction": 0.5,
    "seed": 0,
}


class Prior:
    """Fitted prior ranking.

    Parameters
    ----------
    text : str
        Trees, as LightGBM writes them.
    names : sequence of str
        Names of the features that scores are asked for, in order.
    """

    def __init__(self, text: str, names: Sequence[str]) -> None:
        self._text, self.names = text, tuple(names)
        self._booster = lgb.Booster(model_str=text)
        wanted = self._booster.feature_name()
        missing = sorted(set(wanted) - set(self.names))
        if missing:
            raise ModelError(f"the prior ranking needs the feature {missing[0]!r}; run python -m benchmarks.prior")
        self._columns = np.array([self.names.index(name) for name in wanted], dtype=np.intp)

    def score(self, features: Scores) -> NDArray[np.float64]:
        """Return a score of each candidate that orders those of one list: (n,)."""
        if not len(features):
            return np.zeros(0)
        return np.asarray(self._booster.predict(features[:, self._columns], num_threads=1), dtype=np.float64)

    def contributions(self, features: Scores, groups: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return what each group of features adds to the score (:meth:`PathContributions.of`): (n, n_groups)."""
        return self._paths.of(features[:, self._columns], groups[[*self._columns, -1]])

    @cached_property
    def _paths(self) -> PathContributions:
        return PathContributions(self._booster)

    def __reduce__(self) -> tuple[Any, ...]:
        """Store text and names."""
        return prior_of, (self._text, self.names)


@lru_cache(maxsize=4)
def prior_of(text: str, names: tuple[str, ...]) -> Prior:
    """Return the prior of a text, the same each time: all stored models share its tables."""
    return Prior(text, names)


@cache
def shipped_prior(names: tuple[str, ...]) -> Prior:
    """Return the prior that ships with the product, for features of these names."""
    return prior_of(PRIOR_FILE.read_text(encoding="utf-8"), names)


def fit_prior(parts: Sequence[TrainingExamples], names: Sequence[str]) -> str:
    """Return trees fitted on the examples of several organisations, as text; the same bytes for the same examples."""
    columns = [number for number, name in enumerate(names) if name not in LOCAL_FEATURES]
    parts = [part for part in parts if part.studied.any()]
    features = np.concatenate([part.features for part in parts])[:, columns]
    studied = np.concatenate([part.studied for part in parts]).astype(np.int32)
    sizes = np.concatenate([np.unique(part.row, return_counts=True)[1] for part in parts])
    data = lgb.Dataset(
        features, studied, group=sizes, feature_name=[names[number] for number in columns], params=dict(PARAMETERS)
    )
    return str(lgb.train(dict(PARAMETERS), data, N_TREES).model_to_string(importance_type="split"))
