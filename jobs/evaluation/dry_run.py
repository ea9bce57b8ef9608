"""Dry run of a draft of the settings: how the lists of a sample of the population would change, by group.

The service starts it as a process of its own (:mod:`infra.reports.runs.dry_runs`): models are fitted again, which takes
as long as in a night.
"""

import os
import sys
from collections import Counter
from itertools import chain
from typing import Any, Final

import orjson
import pandas as pd
from sqlalchemy import Engine

from content_catalog.errors import XueluError
from infra import log_setup
from infra.catalog import organisations
from infra.catalog import store as catalog
from infra.db.engine import opened, transaction
from infra.reports.runs.difference import changes_of, difference_of
from infra.reports.runs.dry_runs import DryRunRequest
from infra.runs import store as runs
from infra.settings.settings import Settings, import_own_models
from jobs.evaluation.preview import PreviewedList, previewed_lists

REQUIRED: Final = ("required", "needed_for_required", "overdue")
"""Codes of the reasons of required entries."""
NICENESS: Final = 10
"""Requests go first."""


def dry_run(engine: Engine, settings: Settings, draft: Settings, *, sample: int) -> dict[str, Any]:
    """Return how the lists that are shown would change under a draft of the settings.

    Returns
    -------
    dict
        That of :func:`infra.reports.runs.difference.difference_of` for a sample of the members; ``population``, the
        number of all; ``gained`` and ``lost``, items on the lists of the sample; ``required``, by each of
        :data:`REQUIRED` the entries with that reason ``before`` and ``after``.
    """
    lists = [*previewed_lists(engine, settings, draft, sample=sample)]
    index = pd.Index([each.member_id for each in lists], dtype="str")
    then, now = ([[item["item_id"] for item in items] for items in of] for of in _sides(lists))
    changes = changes_of(then, now, index).assign(strategy=[each.strategy for each in lists])
    reasons = [Counter(item["reason"]["code"] for item in chain.from_iterable(items)) for items in _sides(lists)]
    smallest = settings.privacy.smallest_group
    with transaction(engine) as session:
        key = organisations.key_of(session, settings.organisation)
        served = runs.latest(session, key)
        figures = difference_of(session, key, changes, as_of=served["as_of"], min_group_size=smallest)
        population = catalog.count(session, key, "members")
    before, after = reasons
    return figures | {
        "run_id": served["run_id"],
        "population": population,
        "gained": int(changes["came"].map(len).sum()),
        "lost": int(changes["left"].map(len).sum()),
        "required": {code: {"before": before[code], "after": after[code]} for code in REQUIRED},
    }


def _sides(lists: list[PreviewedList]) -> list[list[list[dict[str, Any]]]]:
    """Return the items of each list before, and after."""
    return [[each.before for each in lists], [each.after for each in lists]]


def main() -> int:
    """Read a request from standard input, and write the figures or an error to standard output, as JSON."""
    os.nice(NICENESS)
    log_setup.configure()
    request = DryRunRequest.model_validate_json(sys.stdin.buffer.read())
    import_own_models(request.settings.models)
    try:
        with opened(request.settings.database_url) as engine:
            answer = dry_run(engine, request.settings, request.draft, sample=request.sample)
    except XueluError as error:
        answer = {"error": str(error)}
    sys.stdout.buffer.write(orjson.dumps(answer))
    return int("error" in answer)


if __name__ == "__main__":
    sys.exit(main())
