"""Always-valid inference for experiments: intervals and tests that hold however often one looks."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, log, sqrt
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

from recommender.errors import EstimateError

ALPHA: Final = 0.05
EFFECT_SCALE: Final = 0.05
"""Standard deviation of the effects that are searched for, fixed before the first look: intervals are narrowest near
it, and hold for all others."""
MIN_MEMBERS: Final = 30
"""Fewer members in a variant are no large sample, which the intervals rest on."""
SRM_CONCENTRATION: Final = 100.0
"""Members that the prior of the test of the split counts as."""
SRM_ALPHA: Final = 0.001
"""A split is called wrong at this level: every report tests it, and a wrong one makes the experiment worthless."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Effect:
    """Difference of a variant from the control.

    Attributes
    ----------
    control, variant : float
        Mean outcome over the members of each.
    low, high : float
        Interval that holds the true difference at every look with a probability of 95 %; without bounds where a variant
        has too few members.
    p_value : float
        Always-valid p-value: the chance, if there were no difference, that any look ever gives one as small.
    """

    control: float
    variant: float
    difference: float
    low: float
    high: float
    p_value: float

    @property
    def decided(self) -> bool:
        """Whether the interval excludes 0."""
        return self.low > 0 or self.high < 0


def effect(control: Floats, variant: Floats) -> Effect:
    """Return the difference of a variant's members from the control's, from one outcome of each member so far.

    Members are the unit: one who is shown lists on many days counts once, by the mean of them. Interval and p-value
    are those of the mixture sequential probability ratio test (Robbins 1970,
    https://doi.org/10.1214/aoms/1177696786; Johari et al. 2022, https://doi.org/10.1287/opre.2021.2135), a confidence
    sequence (Howard et al. 2021, https://doi.org/10.1214/20-AOS1991), for large samples (Waudby-Smith et al. 2024,
    https://doi.org/10.1214/24-AOS2408). Means of the same members at later looks have the covariances of Brownian
    motion in information time (Jennison and Turnbull 1997, https://doi.org/10.1080/01621459.1997.10473654), which the
    test is for.

    Parameters
    ----------
    control, variant : array (n_members,)
        Outcome of each member from 0 to 1, such as the share of days with a list on which it opened an item of it.

    Examples
    --------
    Fifty members each, of whom none and all opened an item of every list: no doubt is left.

    >>> effect(np.zeros(50), np.ones(50)).decided
    True
    """
    means = (float(control.mean()) if len(control) else 0.0, float(variant.mean()) if len(variant) else 0.0)
    value = means[1] - means[0]
    if min(len(control), len(variant)) < MIN_MEMBERS:
        return Effect(*means, value, -np.inf, np.inf, 1.0)
    square = squared_error(control) + squared_error(variant)
    width = half_width(square)
    return Effect(*means, value, value - width, value + width, _p_value(value, square))


def squared_error(outcomes: Floats) -> float:
    """Return the squared standard error of a mean of outcomes from 0 to 1, with one outcome of 0 and one of 1 added.

    Where all outcomes are equal, as before the first opened item, there would be no doubt left without these two
    (Agresti and Caffo 2000, https://doi.org/10.1080/00031305.2000.10474560).

    Two outcomes of 0: of 0, 0, 0 and 1 the variance is 1 / 4, over four of them.

    >>> squared_error(np.zeros(2))
    0.0625
    """
    added = np.append(outcomes, [0.0, 1.0])
    return float(added.var(ddof=1) / len(added))


def half_width(square: float, *, scale: float = EFFECT_SCALE) -> float:
    """Return the half-width of the always-valid interval of an estimate with a squared standard error.

    ``sqrt(2 v (v + s^2) / s^2 * ln(sqrt((v + s^2) / v) / alpha))``, beside 1.96 sqrt(v) at a single look.

    With v = s^2 = 0.0001: sqrt(4 * 0.0001 * ln(sqrt(2) / 0.05)) = sqrt(0.0004 * 3.3423).

    >>> round(half_width(0.0001, scale=0.01), 5)
    0.03656
    """
    total = square + scale**2
    return sqrt(2 * square * total / scale**2 * log(sqrt(total / square) / ALPHA))


def _p_value(value: float, square: float) -> float:
    """Return 1 / the mixture likelihood ratio against no difference, at most 1."""
    total = square + EFFECT_SCALE**2
    return min(1.0, sqrt(total / square) * exp(-(value**2) * EFFECT_SCALE**2 / (2 * square * total)))


def split_p_value(counts: Sequence[int], shares: Sequence[float]) -> float:
    """Return the always-valid p-value of a split of members: small where the counts do not fit the shares.

    A sample ratio mismatch (Fabijan et al. 2019, https://doi.org/10.1145/3292500.3330722) is tested by the Bayes factor
    of a Dirichlet mixture over the multinomial of the shares, which a look at any time does not void (Lindon and Malek
    2022, https://arxiv.org/abs/2011.03567).

    >>> split_p_value([500, 500], [0.5, 0.5])
    1.0
    >>> split_p_value([600, 400], [0.5, 0.5]) < 1e-6
    True

    Raises
    ------
    EstimateError
        The shares do not sum to 1, or are not one to a count.
    """
    n, prior = np.asarray(counts, dtype=np.float64), SRM_CONCENTRATION * np.asarray(shares, dtype=np.float64)
    if len(n) != len(prior) or not np.isclose(prior.sum(), SRM_CONCENTRATION) or (prior <= 0).any():
        raise EstimateError(f"shares {list(shares)} of {len(n)} variants; give each a share above 0, of 1 altogether")
    mixture = gammaln(prior.sum()) - gammaln(prior.sum() + n.sum()) + (gammaln(prior + n) - gammaln(prior)).sum()
    ratio = mixture - float(n @ np.log(np.asarray(shares)))
    return float(np.exp(-max(0.0, ratio)))
