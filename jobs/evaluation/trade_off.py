"""Trade-off between two outcomes: rankers that learn by weights from all on the first to all on the second."""

from collections.abc import Sequence
from typing import Final

from infra.errors import SettingsError
from infra.settings.settings import Settings
from jobs.nightly.lists import make_ranker
from recommender.evaluation.cut_offs import DEFAULT
from recommender.ranking.examples import OUTCOMES
from recommender.ranking.ranker import Ranker

SHARES: Final = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Weights of the second outcome that a trade-off goes through."""


def rankers_between(settings: Settings, outcomes: Sequence[str], models: Sequence[str]) -> dict[str, Ranker]:
    """Return unfitted rankers from one outcome to another by the names of their lists; none without outcomes.

    Parameters
    ----------
    outcomes : sequence of str
        None, or two.
    models : sequence of str
        Models of the backtest; none are all of them.

    Raises
    ------
    SettingsError
        There is another number of outcomes, one is unknown, or the pipeline is not evaluated.
    """
    if not outcomes:
        return {}
    unknown = [name for name in outcomes if name not in OUTCOMES]
    if unknown or len(set(outcomes)) != 2 or len(outcomes) != 2:
        raise SettingsError(f"{','.join(outcomes)} are not two outcomes; name two of {', '.join(OUTCOMES)}")
    if models and DEFAULT not in models:
        raise SettingsError(f"a trade-off is one of the pipeline; name {DEFAULT} among the models {', '.join(models)}")
    first, second = outcomes
    return {
        f"{DEFAULT}, {second} {share:.0%}": make_ranker(settings).set_params(
            objective={first: 1.0 - share, second: share}
        )
        for share in SHARES
    }
