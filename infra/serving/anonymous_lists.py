"""Lists for nobody in particular: of a session whose events come along, and of a member there might be.

Both are made from what the run that is served has stored, so they answer at once and nothing is stored of who asks.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import orjson
import pandas as pd
from sqlalchemy import exists, select
from sqlalchemy.orm import Session

from content_catalog.audience import AudienceMask
from content_catalog.prerequisites import prerequisites_of
from features.interactions import FINISHED_PROGRESS, FINISHING_VERBS
from infra.catalog import organisations
from infra.catalog import store as catalog
from infra.catalog.sharing import visible
from infra.db.core_tables import events, items, list_entries, lists, members
from infra.events.store import AGAINST
from infra.runs import store as runs
from infra.serving import push_lists
from infra.serving.list_json import Asked
from recommender.explanations.reasons import Reason
from recommender.explanations.translations import language_of
from recommender.ranking.session_knn import alike

SESSION: Final = "session"
WHO_MAY: Final = ("audience", "target_roles", "target_industries", "target_units", "prerequisites")


@dataclass(frozen=True, slots=True)
class Profile:
    """What is known of a member there might be."""

    role: str | None = None
    industry: str | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """One event of a session."""

    item_id: str
    verb: str
    progress: float | None = None

    @property
    def finishes(self) -> bool:
        """Whether the item is finished."""
        return self.verb in FINISHING_VERBS or (self.progress or 0.0) >= FINISHED_PROGRESS


def of_profile(session: Session, organisation_key: int, profile: Profile, asked: Asked) -> dict[str, Any]:
    """Return the list that the night made for a member of this role and industry without history.

    Where there is no such member, it is that of one of the role alone, of the industry alone, or the list for anyone.

    Raises
    ------
    NoPublishedRunError
    """
    run = runs.latest(session, organisation_key)
    strategy, entries = _of_profile(session, run, profile, asked)
    return _shown(session, run, strategy, entries, asked)


def of_session(
    session: Session, organisation_key: int, steps: Sequence[Step], profile: Profile, asked: Asked
) -> dict[str, Any]:
    """Return items like those of a session, and after them the list of the profile.

    Left out are items of the session, those for an audience that the profile is not part of, and those with
    prerequisites that the session has not finished.

    Parameters
    ----------
    steps : sequence of Step
        What was done, the last at the end.

    Raises
    ------
    NoPublishedRunError
    """
    run = runs.latest(session, organisation_key)
    against = {step.item_id for step in steps if step.verb in AGAINST}
    finished = {step.item_id for step in steps if step.finishes}
    studied = [step.item_id for step in steps if step.item_id not in against]
    similar = {
        item_id: [entry["item_id"] for entry in runs.similar(session, run, item_id)] for item_id in sorted(set(studied))
    }
    proposed = alike(studied, similar)
    open_to = _open_to(session, organisation_key, [item_id for item_id, _ in proposed], profile, finished)
    entries = [
        {"item_id": item_id, "reason": _because(cause, finished=cause in finished)}
        for item_id, cause in proposed
        if item_id in open_to
    ]
    strategy, rest = _of_profile(session, run, profile, asked)
    there = {entry["item_id"] for entry in entries} | set(studied) | against
    return _shown(
        session,
        run,
        SESSION if entries else strategy,
        [*entries, *(entry for entry in rest if entry["item_id"] not in there)],
        asked,
    )


def _because(cause: str, *, finished: bool) -> Reason:
    return {"code": "because_finished" if finished else "because_studied", "arguments": {"item_id": cause}}


def _of_profile(
    session: Session, run: dict[str, Any], profile: Profile, asked: Asked
) -> tuple[str, list[dict[str, Any]]]:
    """Return strategy and entries of a list that nobody's history is part of."""
    narrower = ((profile.role, profile.industry), (profile.role, None), (None, profile.industry))
    for role, industry in dict.fromkeys(narrower):
        if role is None and industry is None:
            continue
        studied = exists().where(
            events.c.organisation_key == members.c.organisation_key, events.c.member_id == members.c.member_id
        )
        query = (
            select(list_entries.c.entries)
            .select_from(members)
            .join(
                lists,
                (lists.c.organisation_key == members.c.organisation_key) & (lists.c.member_id == members.c.member_id),
            )
            .join(
                list_entries,
                (list_entries.c.organisation_key == lists.c.organisation_key)
                & (list_entries.c.entries_hash == lists.c.entries_hash),
            )
            .where(
                members.c.organisation_key == run["organisation_key"],
                lists.c.run_key == run["run_key"],
                lists.c.strategy == "segment",
                members.c.role.is_not_distinct_from(role),
                members.c.industry.is_not_distinct_from(industry),
                ~studied,
            )
            # One who reads the language, and of these the one who came last: its list tells a newcomer's beginning.
            .order_by(
                members.c.language.is_not_distinct_from(asked.language).desc(),
                members.c.joined_on.desc().nulls_last(),
                members.c.member_id,
            )
            .limit(1)
        )
        found = session.scalar(query)
        if found is not None:
            entries = orjson.loads(found)
            # That member's unit may open items to it that are not open to all of its role.
            ids = [entry["item_id"] for entry in entries]
            open_to = _open_to(session, run["organisation_key"], ids, profile, set())
            return "segment", [entry for entry in entries if entry["item_id"] in open_to]
    made = runs.push_list(session, run, runs.ANYONE)
    return push_lists.IMPERSONAL, made["entries"] if made else []


def _open_to(
    session: Session, organisation_key: int, item_ids: list[str], profile: Profile, finished: set[str]
) -> set[str]:
    """Return which of some items a profile may be offered after what it finished."""
    names = ("item_id", *WHO_MAY)
    query = select(*(items.c[name] for name in names)).where(visible(organisation_key), items.c.item_id.in_(item_ids))
    frame = pd.DataFrame(session.execute(query).all(), columns=list(names), dtype=object).set_index("item_id")
    taxonomies = organisations.taxonomies(session, organisation_key)
    audience = AudienceMask(frame, roles=taxonomies["role"], industries=taxonomies["industry"])
    asking = pd.DataFrame({"role": [profile.role], "industry": [profile.industry], "units": [None]})
    _, [admitted] = audience.groups(asking)
    needs = prerequisites_of(frame)
    wanted = sorted({one for some in needs.values() for one in some} - finished)
    missing = set(catalog.display_items(session, organisation_key, wanted)) if wanted else set[str]()
    named = frame.index.to_numpy(dtype=object)[np.asarray(admitted, dtype=bool)]
    return {item_id for item_id in named if missing.isdisjoint(needs.get(item_id, ()))}


def _shown(
    session: Session, run: dict[str, Any], strategy: str, entries: Iterable[dict[str, Any]], asked: Asked
) -> dict[str, Any]:
    made = {
        "list_id": None,
        "strategy": strategy,
        "entries": [one for one in entries if one["item_id"] not in asked.exclude],
    }
    spoken = language_of(asked.language)
    shown = push_lists.shown_many(session, run, {runs.ANYONE: made}, {runs.ANYONE: spoken}, n=asked.n, now=asked.now)
    personal = {"member_id", "list_id", "fresh"}
    told = {name: value for name, value in shown[runs.ANYONE].items() if name not in personal}
    if not asked.explain:
        told["items"] = [{name: value for name, value in one.items() if name != "reason"} for one in told["items"]]
    return told
