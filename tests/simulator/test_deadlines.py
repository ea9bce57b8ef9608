"""Deadlines that simulated members meet by their lists."""

from infra.settings.policy import PolicySettings
from simulator.deadlines import deadlines_met


def test_lists_with_required_study_meet_every_deadline_that_can_be_met_at_the_members_pace() -> None:
    figures = deadlines_met(6)
    assert figures["deadlines"] > 20
    assert figures["deadlines_met"] == 1.0
    assert figures["deadlines_met_plain"] < 0.3


def test_irregular_days_and_an_estimated_pace_miss_some_and_still_meet_more_than_lists_without() -> None:
    figures = deadlines_met(12, estimated=True)
    assert figures["deadlines_met_plain"] + 0.3 < figures["deadlines_met"] < 1.0


def test_the_margin_of_the_settings_meets_deadlines_on_irregular_days_too() -> None:
    figures = deadlines_met(12, estimated=True, margin=PolicySettings().required_margin)
    assert figures["deadlines_met"] >= 0.99
