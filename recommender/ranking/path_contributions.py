"""Contributions of features along the paths of boosted trees, which add up to the score."""

from typing import Any, Final

import lightgbm as lgb
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from recommender.linalg.topk import Scores

BLOCK_ROWS: Final = 20_000


class PathContributions:
    """Contributions of features to the score of fitted trees.

    The value of a node is the mean of its leaves, weighted by the examples in each. Each split on the way from the root
    to a row's leaf adds the difference that it makes to its feature (Saabas 2014, http://blog.datadive.net/
    interpreting-random-forests/); the roots are the constant. Shapley values would take about twenty times as long.

    Parameters
    ----------
    booster : Booster
        Trees with one value a leaf.
    """

    def __init__(self, booster: lgb.Booster) -> None:
        self._booster = booster
        trees = booster.dump_model()["tree_info"]
        tables = [_table(tree["tree_structure"], tree["num_leaves"], booster.num_feature()) for tree in trees]
        self._starts = np.cumsum([0, *(len(table) for table in tables)])[:-1]
        self._table = np.concatenate(tables)

    def of(self, features: Scores, groups: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return what each group of features adds to the score of each row: (n, n_groups).

        Parameters
        ----------
        groups : array (n_features + 1, n_groups)
            1 where a feature belongs to a group; the last row stands for the constant. Each leaf's contributions are
            summed by group once, not each row's.
        """
        table = self._table @ groups
        parts = [self._of(features[start : start + BLOCK_ROWS], table) for start in range(0, len(features), BLOCK_ROWS)]
        return np.concatenate([np.zeros((0, groups.shape[1])), *parts])

    def _of(self, features: Scores, table: NDArray[np.float64]) -> NDArray[np.float64]:
        leaves = self._booster.predict(features, pred_leaf=True, num_threads=1)
        columns = np.asarray(leaves, dtype=np.int64).reshape(len(features), -1) + self._starts
        ends = np.arange(len(features) + 1) * len(self._starts)
        shape = len(features), len(table)
        reached = csr_matrix((np.ones(columns.size), columns.ravel(), ends), shape=shape)
        return np.asarray(reached @ table)


def _table(root: dict[str, Any], n_leaves: int, n_features: int) -> NDArray[np.float64]:
    """Return the contributions of each leaf of a tree: (n_leaves, n_features + 1)."""
    table = np.zeros((n_leaves, n_features + 1))

    def fill(node: dict[str, Any], path: NDArray[np.float64]) -> None:
        if "split_feature" not in node:
            table[node.get("leaf_index", 0)] = path
            return
        value = _value(node)[0]
        for child in (node["left_child"], node["right_child"]):
            below = path.copy()
            below[node["split_feature"]] += _value(child)[0] - value
            fill(child, below)

    fill(root, np.append(np.zeros(n_features), _value(root)[0]))
    return table


def _value(node: dict[str, Any]) -> tuple[float, int]:
    """Return the mean value of a node's leaves, and its number of examples."""
    if "split_feature" not in node:
        return float(node["leaf_value"]), int(node.get("leaf_count", 1))
    (left, n_left), (right, n_right) = _value(node["left_child"]), _value(node["right_child"])
    return (left * n_left + right * n_right) / (n_left + n_right), n_left + n_right
