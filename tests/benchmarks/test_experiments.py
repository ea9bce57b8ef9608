"""The benchmark of experiments, at a small size, without its peer."""

from benchmarks.experiments import measured


def test_figures_of_a_few_experiments_hold_what_all_must() -> None:
    figures = measured(12, 5, None)

    assert min(figures[f"coverage_{name}"] for name in ("ips", "snips", "dr")) >= 0.8
    assert min(figures[f"coverage_lists_{name}"] for name in ("ips", "snips", "dr")) >= 0.8
    assert figures["chosen"] == figures["decided_right_lists"] == 1.0
    assert figures["chosen_lists"] > 0.8
    assert min(figures["differing"], figures["differing_lists"]) > 0
    assert figures["false_alarms"] <= 0.1 < figures["false_alarms_fixed"]
    assert figures["detected"] > 0.5
