"""Anonymous lists: session-based recommendations, and cold-start lists of a role and industry.

Both are made from what the published run has stored, so they answer at once, and nothing of the caller is stored.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson
from sqlalchemy import Select, exists, select
from sqlalchemy.orm import Session

from features.interactions import FINISHED_PROGRESS, FINISHING_VERBS
from infra.db.core_tables import SAME_ENTRIES, events, list_entries, lists, members
from infra.events.store import NEGATIVE_VERBS
from infra.policy.arrangement import Arrangement
from infra.policy.entry_texts import entry_with, item_ids_of, split_entries
from infra.runs import list_contents
from infra.runs import store as runs
from infra.serving import display_metadata
from infra.serving.display_metadata import offered_now
from infra.serving.eligibility import Recipient
from infra.serving.list_json import ListRequest, Rendering, curated_now, dated, list_json, shown_entries
from infra.serving.list_query import NON_PERSONAL
from recommender.explanations.reasons import reason_of
from recommender.explanations.translations import language_of
from recommender.ranking.session_knn import alike

SESSION: Final = "session"


@dataclass(frozen=True, slots=True)
class Profile:
    """Role and industry of an assumed member."""

    role: str | None = None
    industry: str | None = None


@dataclass(frozen=True, slots=True)
class SessionStep:
    """One event of a session."""

    item_id: str
    verb: str
    progress: float | None = None

    @property
    def finishes(self) -> bool:
        """Whether the item is finished."""
        return self.verb in FINISHING_VERBS or (self.progress or 0.0) >= FINISHED_PROGRESS


Entry = dict[str, Any]


def anonymous_list(
    session: Session, organisation_key: int, profile: Profile, request: ListRequest, steps: Sequence[SessionStep] = ()
) -> bytes:
    """Return the list, as JSON, of a member of this role and industry without history, after that of a session.

    Where there is no such member, it is that of one of the role alone, of the industry alone, or the list for anyone.
    Items similar to those of the session come before it. Left out are the items of the session, and all that may
    not be offered to this member, who has finished what the session finished.

    Parameters
    ----------
    steps : sequence of SessionStep
        Events of the session, the last at the end.

    Raises
    ------
    NoPublishedRunError
    """
    run = runs.latest(session, organisation_key)
    unwanted = {step.item_id for step in steps if step.verb in NEGATIVE_VERBS}
    finished = frozenset(step.item_id for step in steps if step.finishes)
    studied = [step.item_id for step in steps if step.item_id not in unwanted]
    similar = {
        item_id: [entry["item_id"] for entry in list_contents.similar(session, run, item_id)]
        for item_id in sorted(set(studied))
    }
    of_session: list[Entry] = [
        entry_with(item_id, reason_of("because_finished" if cause in finished else "because_studied", item_id=cause))
        for item_id, cause in alike(studied, similar)
    ]
    strategy, of_profile = _profile_entries(session, run, profile, request.language)
    listed = {entry["item_id"] for entry in of_session}
    entries = [*of_session, *(entry for entry in of_profile if entry["item_id"] not in listed)]
    texts = split_entries(orjson.dumps(entries).decode())
    names = display_metadata.current(session, organisation_key, sorted(item_ids_of(texts)))
    recipient = Recipient(names.taxonomies, role=profile.role, industry=profile.industry, finished=finished)
    if any(offered_now(item_id, names, recipient, request.now) for item_id in listed):
        strategy = SESSION
    language = language_of(request.language)
    rendering = Rendering(names, request, language, dated(runs.models_as_of(run), request.now))
    left_out = request.exclude | set(studied) | unwanted
    arrangement = Arrangement(curated=curated_now(names, recipient, request.now))
    shown = shown_entries(texts, rendering, recipient, left_out, arrangement)
    head = {"run_id": run["run_id"], "made_at": run["made_at"], "strategy": strategy, "language": language}
    return list_json(head, shown.entries)


def _profile_entries(
    session: Session, run: dict[str, Any], profile: Profile, language: str | None
) -> tuple[str, list[Entry]]:
    """Return strategy and entries of the list of such a member without history, or of the list for anyone."""
    role, industry = profile.role, profile.industry
    for segment in dict.fromkeys(((role, industry), (role, None), (None, industry))):
        if segment != (None, None):
            stored = session.scalar(_newcomers_entries(run, *segment, language=language))
            if stored is not None:
                return "segment", list(orjson.loads(stored))
    general = runs.push_list(session, run, runs.ANYONE)
    return NON_PERSONAL, general["entries"] if general else []


def _newcomers_entries(
    run: dict[str, Any], role: str | None, industry: str | None, *, language: str | None
) -> Select[Any]:
    """Return the query for the entries of a member without history of just this role and industry.

    Members who never had another role come first, as their lists are of this role alone. Of these come first those who
    read the language, and then those who joined last, as they are most like a newcomer.
    """
    studied = exists().where(
        events.c.organisation_key == members.c.organisation_key, events.c.member_id == members.c.member_id
    )
    own_list = (lists.c.organisation_key == members.c.organisation_key) & (lists.c.member_id == members.c.member_id)
    return (
        select(list_entries.c.entries)
        .select_from(members)
        .join(lists, own_list)
        .join(list_entries, SAME_ENTRIES)
        .where(
            members.c.organisation_key == run["organisation_key"],
            lists.c.run_key == run["run_key"],
            lists.c.strategy == "segment",
            members.c.role.is_not_distinct_from(role),
            members.c.industry.is_not_distinct_from(industry),
            ~studied,
        )
        .order_by(
            members.c.moved_on.is_not(None),
            members.c.language.is_not_distinct_from(language).desc(),
            members.c.joined_on.desc().nulls_last(),
            members.c.member_id,
        )
        .limit(1)
    )
