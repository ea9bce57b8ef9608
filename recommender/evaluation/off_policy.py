"""Off-policy estimates: the reward that other lists would have had, from lists logged with their propensities."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import t as student_t

from recommender.errors import EstimateError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

CONFIDENCE: Final = 0.95
SUM_TOLERANCE: Final = 1e-6


@dataclass(frozen=True, slots=True)
class LoggedChoices:
    """Choices of one item among some, as logged, with the probabilities of every choice under the policy to estimate.

    Attributes
    ----------
    action : array (n,) of int
        The item that was shown.
    reward : array (n,)
        What it led to: 1 for opened, 0 for not.
    propensity : array (n,)
        Probability with which the logging policy showed it, above 0.
    target : array (n, n_actions)
        Probabilities with which the policy to estimate shows each item; each row sums to 1.
    member : array (n,) of int
        Member of each choice: choices of one member are not independent.
    """

    action: Ints
    reward: Floats
    propensity: Floats
    target: Floats
    member: Ints

    def __post_init__(self) -> None:
        """Check that lengths agree and that probabilities are probabilities."""
        n = len(self.action)
        lengths = {len(values) for values in (self.reward, self.propensity, self.target, self.member)}
        if lengths != {n} or self.target.ndim != 2:
            raise EstimateError(f"choices have {n} actions and arrays of other lengths; give each choice one value")
        if len(np.unique(self.member)) < 2:
            raise EstimateError("choices of fewer than 2 members have no interval; log more of them")
        if not ((self.propensity > 0) & (self.propensity <= 1)).all():
            raise EstimateError("a propensity is not above 0 and up to 1; only choices made by chance can be weighted")
        if (self.action < 0).any() or (self.action >= self.target.shape[1]).any():
            raise EstimateError(f"an action is not one of 0 to {self.target.shape[1] - 1}, which the target covers")
        if (self.target < 0).any() or not np.allclose(self.target.sum(axis=1), 1.0, atol=SUM_TOLERANCE):
            raise EstimateError("probabilities of a choice under the target policy do not sum to 1")
        if not np.isfinite(self.reward).all():
            raise EstimateError("a reward is not a number; leave choices without an outcome out")

    @property
    def weight(self) -> Floats:
        """Importance weight of each choice: its probability under the target policy over its propensity."""
        shown: Floats = np.take_along_axis(self.target, self.action[:, None], axis=1)[:, 0]
        return shown / self.propensity


@dataclass(frozen=True, slots=True)
class OffPolicyEstimate:
    """Estimate of a policy's mean reward.

    Attributes
    ----------
    low, high : float
        95 % interval by Student's t over members, whose choices count together (Liang and Zeger 1986,
        https://doi.org/10.1093/biomet/73.1.13).
    effective_choices : float
        Kish's effective sample size ``(sum w)^2 / sum w^2``: far below the number of choices where the policies differ
        much, so that few choices carry the estimate.
    influence : array (n,)
        Influence of each choice on the value, with a mean of 0: the differences of two estimates on the same log are
        those of their influences.
    """

    value: float
    low: float
    high: float
    effective_choices: float
    influence: Floats


def ips(logged: LoggedChoices) -> OffPolicyEstimate:
    """Return the estimate by inverse propensity scores: the mean of weight times reward.

    Horvitz and Thompson 1952, https://doi.org/10.1080/01621459.1952.10483446. Unbiased, with a high variance where
    weights are large.

    Two members, shown items 0 and 1 with probability 1/2 each, of which the first was opened. A policy that always
    shows item 0 has weights 2 and 0: (2 * 1 + 0 * 0) / 2.

    >>> always = np.array([[1.0, 0.0], [1.0, 0.0]])
    >>> shown, opened, half = np.array([0, 1]), np.array([1.0, 0.0]), np.array([0.5, 0.5])
    >>> ips(LoggedChoices(shown, opened, half, always, np.array([0, 1]))).value
    1.0
    """
    weight = logged.weight
    terms = weight * logged.reward
    return _estimate(float(terms.mean()), terms - terms.mean(), weight, logged.member)


def snips(logged: LoggedChoices) -> OffPolicyEstimate:
    """Return the estimate by self-normalised inverse propensity scores: weighted rewards over the sum of the weights.

    Swaminathan and Joachims 2015, https://papers.nips.cc/paper/5748. Never beyond the rewards, with a small bias that
    vanishes with the number of choices; the interval is that of the ratio, by the delta method.

    Three choices with weights 2, 0 and 1, of which the first alone was opened: 2 / 3.

    >>> always = np.array([[1.0, 0.0], [1.0, 0.0], [0.5, 0.5]])
    >>> shown, opened = np.array([0, 1, 0]), np.array([1.0, 0.0, 0.0])
    >>> logged = LoggedChoices(shown, opened, np.full(3, 0.5), always, np.arange(3))
    >>> round(snips(logged).value, 4)
    0.6667

    Raises
    ------
    EstimateError
        All weights are 0: the policy shows nothing that was logged.
    """
    weight = logged.weight
    if not weight.any():
        raise EstimateError("the policy never shows any of the items that were logged; log more of its choices")
    value = float(weight @ logged.reward / weight.sum())
    return _estimate(value, weight * (logged.reward - value) / weight.mean(), weight, logged.member)


def doubly_robust(logged: LoggedChoices, predicted: Floats) -> OffPolicyEstimate:
    """Return the doubly robust estimate: the predicted reward of the policy, corrected by what was observed.

    Dudík, Langford and Li 2011, https://arxiv.org/abs/1103.4601: the mean of ``sum_a target(a) predicted(a) + w (reward
    - predicted(shown))``. Unbiased with right propensities whatever is predicted, with less variance than :func:`ips`
    the better the prediction.

    Parameters
    ----------
    predicted : array (n, n_actions)
        Reward expected of each item in each choice, learned from other members' choices
        (:func:`predicted_rewards`): one learned from the same choices makes the interval too narrow.

    Examples
    --------
    As for :func:`ips`, with rewards of 0.6 and 0.2 predicted: (0.6 + 2 * (1 - 0.6) + 0.6 + 0) / 2.

    >>> always = np.array([[1.0, 0.0], [1.0, 0.0]])
    >>> shown, opened, half = np.array([0, 1]), np.array([1.0, 0.0]), np.array([0.5, 0.5])
    >>> predicted = np.array([[0.6, 0.2], [0.6, 0.2]])
    >>> round(doubly_robust(LoggedChoices(shown, opened, half, always, np.array([0, 1])), predicted).value, 4)
    1.0

    Raises
    ------
    EstimateError
        The predictions have another shape than the target.
    """
    if predicted.shape != logged.target.shape:
        raise EstimateError(f"predictions of shape {predicted.shape} for choices of shape {logged.target.shape}")
    weight = logged.weight
    shown = np.take_along_axis(predicted, logged.action[:, None], axis=1)[:, 0]
    terms = (logged.target * predicted).sum(axis=1) + weight * (logged.reward - shown)
    return _estimate(float(terms.mean()), terms - terms.mean(), weight, logged.member)


def predicted_rewards(logged: LoggedChoices, *, folds: int = 5, shrinkage: float = 20.0) -> Floats:
    """Return each item's mean reward among members of the other folds, in each choice: (n, n_actions).

    Means are shrunk to the mean of all items with a weight of ``shrinkage`` choices. Members are dealt to the folds in
    the order of their numbers, so that nothing is predicted from a member's own choices (Chernozhukov et al. 2018,
    https://doi.org/10.1111/ectj.12097).

    Member 0 opened item 0, member 1 did not: each is predicted by the other, half-way to its mean.

    >>> logged = LoggedChoices(np.array([0, 0]), np.array([1.0, 0.0]), np.ones(2), np.ones((2, 1)), np.array([0, 1]))
    >>> predicted_rewards(logged, folds=2, shrinkage=1.0).tolist()
    [[0.0], [1.0]]
    """
    _, number = np.unique(logged.member, return_inverse=True)
    folds = min(folds, int(number.max()) + 1)
    fold, n_actions = number % folds, logged.target.shape[1]
    predicted = np.empty_like(logged.target)
    for part in range(folds):
        other = fold != part
        counts = np.bincount(logged.action[other], minlength=n_actions)
        totals = np.bincount(logged.action[other], weights=logged.reward[other], minlength=n_actions)
        predicted[~other] = (totals + shrinkage * logged.reward[other].mean()) / (counts + shrinkage)
    return predicted


def choices_of_lists(entries: pd.DataFrame) -> LoggedChoices:
    """Return each entry of logged lists as a choice: the item that the policy to estimate lists there, or another one.

    What an entry leads to is taken to depend on its item and its place alone (Li et al. 2018,
    https://doi.org/10.1145/3219819.3220028), so the mean over entries, times the entries of a list, is the value of a
    list.

    Parameters
    ----------
    entries : DataFrame
        ``member, place, item, propensity, reward`` of each logged entry, and ``wanted``: the item that the policy to
        estimate lists for the member at the place, missing where it lists none.

    Examples
    --------
    A list began with ``a``, by a probability of .9, another with ``b``, by .1, which was opened and is wanted in both.

    >>> entries = pd.DataFrame({"member": ["m", "n"], "place": 1, "item": ["a", "b"], "wanted": ["b", "b"]})
    >>> logged = choices_of_lists(entries.assign(propensity=[0.9, 0.1], reward=[0.0, 1.0]))
    >>> logged.weight.round(3).tolist(), round(ips(logged).value, 3)
    ([0.0, 10.0], 5.0)
    """
    same = (entries["item"] == entries["wanted"]).fillna(value=False)
    return LoggedChoices(
        action=same.to_numpy(dtype=np.intp),
        reward=entries["reward"].to_numpy(dtype=np.float64),
        propensity=entries["propensity"].to_numpy(dtype=np.float64),
        target=np.tile([0.0, 1.0], (len(entries), 1)),
        member=pd.factorize(entries["member"])[0],
    )


def predicted_rewards_of_lists(entries: pd.DataFrame, *, folds: int = 5, shrinkage: float = 20.0) -> Floats:
    """Return the rewards expected of the logged and of the wanted item of each entry: (n, 2).

    Entries are those of :func:`choices_of_lists`. Each reward is the mean of the place times that of the item over what
    its places let expect, ``shrinkage`` entries with the mean reward added to both; of members of other folds. 0 where
    no item is wanted.

    One member opened item ``a``, the other did not: each is predicted by the other.

    >>> entries = pd.DataFrame({"member": ["m", "n"], "place": 1, "item": "a", "wanted": [None, "a"]})
    >>> predicted_rewards_of_lists(entries.assign(reward=[1.0, 0.0]), folds=2).tolist()
    [[0.0, 0.0], [1.0, 1.0]]
    """
    member, item, place = (pd.factorize(entries[name])[0] for name in ("member", "item", "place"))
    wanted = pd.Index(pd.factorize(entries["item"])[1]).get_indexer(entries["wanted"])
    reward = entries["reward"].to_numpy(dtype=np.float64)
    folds = min(folds, int(member.max()) + 1)
    fold, n_items = member % folds, int(item.max()) + 1
    predicted = np.empty((len(entries), 2))
    for part in range(folds):
        other, own = fold != part, fold == part
        mean = float(reward[other].mean())
        of_place = _means(place, reward, other, mean)
        totals = np.bincount(item[other], weights=reward[other], minlength=n_items)
        expected = np.bincount(item[other], weights=of_place[place[other]], minlength=n_items)
        lift = (totals + shrinkage * mean) / np.maximum(expected + shrinkage * mean, np.finfo(float).tiny)
        base = of_place[place[own]]
        unseen = np.where(entries["wanted"].notna().to_numpy()[own], base, 0.0)
        predicted[own, 0] = base * lift[item[own]]
        predicted[own, 1] = np.where(wanted[own] >= 0, base * lift[wanted[own]], unseen)
    return predicted


def _means(code: Ints, values: Floats, chosen: NDArray[np.bool_], default: float) -> Floats:
    """Return the mean of the chosen values by code; a default where there is none."""
    n = int(code.max()) + 1
    counts = np.bincount(code[chosen], minlength=n)
    totals = np.bincount(code[chosen], weights=values[chosen], minlength=n)
    return np.where(counts > 0, totals / np.maximum(counts, 1), default)


def difference(first: OffPolicyEstimate, second: OffPolicyEstimate, member: Ints) -> tuple[float, float, float]:
    """Return how much better the first policy is, and the 95 % interval of that: two estimates on the same choices.

    >>> half, always = np.full((2, 2), 0.5), np.array([[1.0, 0.0], [1.0, 0.0]])
    >>> shown, opened, member = np.array([0, 1]), np.array([1.0, 0.0]), np.array([0, 1])
    >>> estimates = [ips(LoggedChoices(shown, opened, half[0], target, member)) for target in (always, half)]
    >>> difference(*estimates, member)[0]
    0.5
    """
    value = first.value - second.value
    margin = _margin(first.influence - second.influence, member)
    return value, value - margin, value + margin


def _estimate(value: float, influence: Floats, weight: Floats, member: Ints) -> OffPolicyEstimate:
    margin = _margin(influence, member)
    squares = float(weight @ weight)
    effective = float(weight.sum() ** 2 / squares) if squares else 0.0
    return OffPolicyEstimate(value, value - margin, value + margin, effective, influence)


def _margin(influence: Floats, member: Ints) -> float:
    """Return the half-width of the interval of a mean with these influences."""
    _, number = np.unique(member, return_inverse=True)
    totals = np.bincount(number, weights=influence)
    error = float(np.sqrt((totals @ totals) * len(totals) / (len(totals) - 1)) / len(influence))
    return error * float(student_t.ppf(0.5 + CONFIDENCE / 2, len(totals) - 1))
