"""Data-quality report: checks whether an organisation's data is sound enough to train on."""

from datetime import datetime
from typing import Any

from sqlalchemy import Engine

from infra.catalog import organisations
from infra.db.engine import transaction
from infra.privacy import folders, remains
from infra.reports import data_quality
from infra.settings.settings import Settings


def examine(engine: Engine, settings: Settings, *, now: datetime) -> dict[str, Any]:
    """Return the report: ``organisation, figures, findings, sound``."""
    with transaction(engine) as session:
        organisation_key = organisations.key_of(session, settings.organisation)
        report = data_quality.report(session, organisation_key, settings.doctor.model_dump(), now=now)
        places = folders.existing(session, organisation_key, folders.ARTEFACTS, settings.artefacts_folder)
        strays = [folder for place in places for folder in remains.stray_folders(session, place)]
        report["figures"]["stray_artefact_folders"] = list(map(str, strays))
    return {"organisation": settings.organisation, **report}
