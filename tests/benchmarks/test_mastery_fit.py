"""The benchmark of mastery: what it fits is what made the attempts."""

import numpy as np
import pandas as pd

from benchmarks.mastery import by_power_law, fitted, with_history


def test_history_is_what_the_member_did_before() -> None:
    attempts = pd.DataFrame({"member": [1, 2, 1, 1], "score": [1.0, 0.5, 0.25, 0.0]})

    history = with_history(attempts, ["member"])

    assert history["successes"].tolist() == [0.0, 0.0, 1.0, 1.25]
    assert history["failures"].tolist() == [0.0, 0.0, 0.0, 0.75]


def test_planted_constants_are_found() -> None:
    rng = np.random.default_rng(1)
    columns = {name: rng.integers(0, 5, 2_000) for name in ("successes", "failures")}
    rows = pd.DataFrame(columns | {"days": rng.integers(1, 100, 2_000)})
    planted = np.array([1.0, 0.8, -0.9, 0.3])

    assert np.allclose(
        fitted(by_power_law, rows.assign(score=by_power_law(planted, rows)), [0.0] * 4), planted, atol=0.01
    )
