"""Profiles of members: what models and policies use of them."""

from typing import Any, Final

import pandas as pd
from sqlalchemy.orm import Session

from content_catalog.schema import LIST_SEPARATOR
from infra.catalog import refused_topics
from infra.catalog import store as catalog

PROFILE: Final = ("units", "role", "industry", "language", "timezone", "less_topics", "follows")
"""Columns of a member that models and policies use."""
PROFILE_COLUMNS: Final = (*PROFILE, "personalised", "refused_topics")


def current_profile(session: Session, organisation_key: int, member_id: str) -> pd.DataFrame:
    """Return a member's present profile: :data:`PROFILE_COLUMNS` in one row.

    Raises
    ------
    UnknownMemberError
        The organisation has no such member any more.
    """
    member = catalog.member(session, organisation_key, member_id)
    profile: dict[str, Any] = {name: member[name] for name in PROFILE}
    profile["personalised"] = member["personalised"] is not False
    refused = refused_topics.of_member(session, organisation_key, member_id)
    profile["refused_topics"] = LIST_SEPARATOR.join(refused) or None
    index = pd.Index([member_id], dtype=object, name="member_id")
    return pd.DataFrame({name: [value] for name, value in profile.items()}, index=index, dtype=object)


def profiles_of(members: pd.DataFrame) -> pd.DataFrame:
    """Return the profiles of members as :func:`current_profile` does."""
    profiles = members[list(PROFILE)].astype(object)
    profiles = profiles.where(profiles.notna(), None)
    off = members["personalised"].eq(other=False).fillna(value=False).astype(bool)
    refused = members.get("refused_topics", pd.Series(None, index=members.index, dtype=object)).astype(object)
    return profiles.assign(personalised=~off, refused_topics=refused.where(refused.notna(), None))
