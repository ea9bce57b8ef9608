"""Data subject of an erasure: the member, and the places that can hold its data."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from infra.db.delivery_tables import endpoints
from infra.privacy import folders
from infra.privacy.export import of_member
from infra.privacy.statements import moments_of_member
from infra.settings.settings import Settings


@dataclass(frozen=True, slots=True)
class DataSubject:
    """A member of an organisation, with the session and the settings by which its data is reached."""

    session: Session
    settings: Settings
    organisation_key: int
    organisation: str
    member_id: str

    def rows(self, table: Any) -> ColumnElement[bool]:
        """Return the condition for the member's rows of a table."""
        return of_member(table, self.organisation_key, self.member_id)

    def statements(self) -> list[datetime]:
        """Return when the statements that name the member were stored."""
        home_page = self.settings.xapi_home_page or None
        return moments_of_member(self.session, self.organisation_key, self.member_id, home_page=home_page)

    def folders(self, kind: str, *current: Path) -> tuple[list[Path], list[str]]:
        """Return the organisation's folders of a kind that exist here, and those on other machines."""
        return folders.recorded(self.session, self.organisation_key, kind, *current)

    def batch_folders(self) -> list[tuple[str, Path]]:
        """Return the endpoints that take files, removed ones included, with their folders."""
        of_files = (endpoints.c.organisation_key == self.organisation_key) & (endpoints.c.kind != "webhook")
        rows = self.session.execute(select(endpoints.c.endpoint_id, endpoints.c.target).where(of_files))
        return [(endpoint_id, Path(target)) for endpoint_id, target in rows]
