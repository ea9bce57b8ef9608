"""Dry runs of drafts: figures of the difference that a preview shows, over a sample of the population."""

import pytest
from sqlalchemy import Engine

from infra.settings.policy import PolicySettings
from infra.settings.settings import Settings
from jobs.evaluation.dry_run import dry_run
from jobs.evaluation.preview import preview, previewed_lists
from tests.conftest import ON_SQLITE

MEMBERS = 23
SAMPLE = 12


@ON_SQLITE
@pytest.mark.usefixtures("served")
def test_figures_are_those_of_the_preview_of_the_sample(engine: Engine, settings: Settings) -> None:
    draft = settings.model_copy(update={"policy": PolicySettings(window=3, max_per_topic=1, max_per_format=1)})
    rows = preview(engine, settings, draft)
    lists = [*previewed_lists(engine, settings, draft, sample=SAMPLE)]
    names = {each.member_id for each in lists}
    whole, part = (dry_run(engine, settings, draft, sample=sample) for sample in (MEMBERS, SAMPLE))
    assert (whole["members"], part["members"], whole["population"], part["population"]) == (23, 12, 23, 23)
    assert whole["gained"] == sum(row["change"] == "gains" for row in rows)
    of_sample = [row for row in rows if row["member_id"] in names]
    assert part["gained"] + part["lost"] == len(of_sample), "a list does not depend on whose else is computed"
    changed = [each for each in lists if _ids(each.before) != _ids(each.after)]
    assert part["slices"]["all"][0]["changed"] == len(changed)
    assert changed
    assert part["required"]["overdue"] == {"before": 0, "after": 0}
    same = dry_run(engine, settings, settings, sample=SAMPLE)
    assert (same["gained"], same["lost"], same["slices"]["all"][0]["changed"]) == (0, 0, 0)


def _ids(items: list[dict[str, object]]) -> list[object]:
    return [item["item_id"] for item in items]
