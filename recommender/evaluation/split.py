"""Split of members into the variants of an experiment, by a hash that stays the same from night to night."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from recommender.errors import EstimateError

CONTROL: Final = "control"
"""The variant without changes; it has what the others leave."""


@dataclass(frozen=True, slots=True)
class Split:
    """Variants of members.

    Attributes
    ----------
    salt : str
        Name of the experiment: members of another experiment are split independently.
    shares : tuple of (str, float)
        Share of the members in each variant but :data:`CONTROL`, which has the rest.

    Examples
    --------
    >>> split = Split("spring", (("b", 0.5),))
    >>> [split.variant_of(member_id) for member_id in ("m1", "m2", "m3", "m4")]
    ['control', 'b', 'control', 'b']
    """

    salt: str
    shares: tuple[tuple[str, float], ...]

    def __post_init__(self) -> None:
        """Check the shares."""
        if not self.shares or any(share <= 0 for _, share in self.shares) or self.control_share < 1e-9:
            raise EstimateError(
                f"variants with shares {[share for _, share in self.shares]}; each needs one above 0, and the control"
                " what is left of 1"
            )

    @property
    def control_share(self) -> float:
        """Share of the members in the control."""
        return 1.0 - sum(share for _, share in self.shares)

    def variant_of(self, member_id: str) -> str:
        """Return the variant of a member (Kohavi et al. 2020, https://doi.org/10.1017/9781108653985, chapter 14)."""
        digest = hashlib.sha256(f"{self.salt}\0{member_id}".encode()).digest()
        place = int.from_bytes(digest[:8]) / 2**64
        for name, share in self.shares:
            if place < share:
                return name
            place -= share
        return CONTROL

    def variants_of(self, member_ids: Iterable[str]) -> list[str]:
        """Return the variant of each of some members."""
        return [self.variant_of(member_id) for member_id in member_ids]
