"""Segments: members of the same role and industry, and the coarser segments that contain them."""

from itertools import product

import numpy as np
import pandas as pd
from scipy.sparse import csr_matrix

from content_catalog.audience import factorize_rows
from content_catalog.taxonomy import Taxonomy
from features.interactions import Interactions
from recommender.linalg.topk import Positions

Segment = tuple[str, str]
"""A role code and an industry code; an empty one stands for all."""

EVERYONE: Segment = ("", "")


def chain(role_path: tuple[str, ...], industry_path: tuple[str, ...]) -> list[Segment]:
    """Return the segments of a member from everyone to its own role and industry, one step finer at a time.

    Each step goes down one level of the industry, then one of the role, as far as either is known.

    >>> chain(("8", "83"), ("G",))
    [('', ''), ('', 'G'), ('8', 'G'), ('83', 'G')]
    """
    steps = [EVERYONE]
    for level in range(max(len(role_path), len(industry_path))):
        role, industry = steps[-1]
        if level < len(industry_path):
            industry = industry_path[level]
            steps.append((role, industry))
        if level < len(role_path):
            steps.append((role_path[level], industry))
    return steps


class Segments:
    """Segments of some members.

    Attributes
    ----------
    leaf_of : array (n_members,)
        Each member's finest segment.
    chains : list
        For each finest segment the numbers of the segments that contain it, from everyone to itself.
    names : list of Segment
        Role and industry of each segment number.
    numbers : dict
        The number of each segment.
    """

    def __init__(self, members: pd.DataFrame, *, roles: Taxonomy, industries: Taxonomy) -> None:
        self.leaf_of, leaves = factorize_rows(members["role"], members["industry"])
        paths = [(path_of(roles, role), path_of(industries, industry)) for role, industry in leaves]
        chains = [chain(*both) for both in paths]
        self.names = sorted({segment for steps in chains for segment in steps})
        self.numbers = numbers = {segment: number for number, segment in enumerate(self.names)}
        self.chains = [[numbers[segment] for segment in steps] for steps in chains]
        # A leaf counts in every segment that contains it, also in those its own chain skips: a courier whose industry
        # is known counts among all couriers.
        containing = [product(("", *role_path), ("", *industry_path)) for role_path, industry_path in paths]
        self._containing = [[numbers[segment] for segment in segments if segment in numbers] for segments in containing]

    def of_at_least(self, min_members: int, evidence: csr_matrix) -> dict[Segment, int]:
        """Return the numbers of the segments with enough members who have any evidence, and of everyone.

        No list shows what a smaller one studies: its parent segment stands for it.
        """
        active = csr_matrix(np.diff(evidence.indptr)[:, None] > 0, dtype=np.float64)
        sizes = np.asarray(self.totals(active).toarray()).ravel()
        return {
            segment: number
            for segment, number in self.numbers.items()
            if segment == EVERYONE or sizes[number] >= min_members
        }

    def totals(self, matrix: csr_matrix) -> csr_matrix:
        """Return the sums of a (members, items) matrix by segment: (segments, items) of float64."""
        members = np.arange(len(self.leaf_of), dtype=np.int32)
        of_leaf = _indicator(self.leaf_of.astype(np.int32), members, (len(self.chains), len(members)))
        links = [(number, leaf) for leaf, containing in enumerate(self._containing) for number in containing]
        rows, columns = np.array(links, dtype=np.int32).T
        within = _indicator(rows, columns, (len(self.names), len(self.chains)))
        return (within @ (of_leaf @ matrix.astype(np.float64))).tocsr()


def segments_of(interactions: Interactions, *, roles: Taxonomy, industries: Taxonomy) -> Segments:
    """Return the segments of all members."""
    return interactions.memo(
        ("segments", roles, industries), lambda: Segments(interactions.members, roles=roles, industries=industries)
    )


def groups_of(interactions: Interactions, rows: Positions, *names: str) -> tuple[Positions, list[tuple[str, ...]]]:
    """Return the place of each member's values of some columns among the distinct ones, and these."""
    all_of, groups = interactions.memo(
        ("groups", *names), lambda: factorize_rows(*(interactions.members[name] for name in names))
    )
    numbers, which = np.unique(all_of[rows], return_inverse=True)
    return which, [groups[number] for number in numbers]


def path_of(taxonomy: Taxonomy, code: str) -> tuple[str, ...]:
    """Return a code and those above it, coarsest first; empty for an unknown code."""
    return taxonomy.path(code) if code in taxonomy else ()


def _indicator(rows: np.ndarray, columns: np.ndarray, shape: tuple[int, int]) -> csr_matrix:
    return csr_matrix((np.ones(len(rows), dtype=np.float64), (rows, columns)), shape=shape)
