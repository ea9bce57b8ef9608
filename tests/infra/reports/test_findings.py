"""Thresholds of sound data: a message gives the figure, its bound and advice."""

import pytest

from infra.reports.data_quality import ADVICE, LABELS, findings

SOUND = {"events": 1_000, **dict.fromkeys(ADVICE, 0.0)}
THRESHOLDS = {"min_events": 100, **{f"max_{name}": 0.05 for name in ADVICE}}


def test_sound_data_has_no_findings() -> None:
    assert findings(SOUND, THRESHOLDS) == []


def test_figures_at_their_bounds_are_sound() -> None:
    assert findings({"events": 100, **dict.fromkeys(ADVICE, 0.05)}, THRESHOLDS) == []


def test_too_few_events_are_told_with_what_to_do() -> None:
    assert findings(SOUND | {"events": 99}, THRESHOLDS) == ["99 events, at least 100 are sound: ingest study logs"]


@pytest.mark.parametrize(("name", "advice"), ADVICE.items())
def test_a_share_above_its_bound_is_told_with_what_to_do(name: str, advice: str) -> None:
    finding = f"{LABELS[name]} is 12.3%, at most 5.0% is sound (doctor.max_{name}): {advice}"
    assert findings(SOUND | {name: 0.123}, THRESHOLDS) == [finding]


def test_a_share_without_a_bound_is_not_judged() -> None:
    assert findings({"events": 1, "future_share": 0.9}, {"min_events": 1}) == []


def test_findings_come_together_in_a_steady_order() -> None:
    figures = {"events": 0, **dict.fromkeys(ADVICE, 1.0)}
    finding_texts = findings(figures, THRESHOLDS)
    assert [finding.split(" is ")[0] for finding in finding_texts[1:]] == [LABELS[name] for name in ADVICE]
    assert finding_texts[0].startswith("0 events")
