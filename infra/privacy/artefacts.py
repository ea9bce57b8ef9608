"""Erasure of a member's data from the artefacts of runs: models for online lists, state and training examples."""

from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from infra.db.core_tables import runs as run_table
from infra.db.locks import night_lock
from infra.errors import NightRunningError, NoPublishedRunError
from infra.privacy import folders
from infra.runs import artefacts, steps
from infra.runs import store as runs
from infra.serving.online_model import ONLINE_MODEL
from infra.settings.settings import Settings
from infra.training import examples


def erase_from_artefacts(
    session: Session, settings: Settings, organisation_key: int, organisation: str, member_id: str
) -> list[str]:
    """Remove a member's data from all artefacts of an organisation; return what is left.

    The models for online lists stay, without the member: lists of others still follow new events. The run
    that is under way, the state for incremental runs and training examples go whole: the next run makes them again.
    """
    begun = runs.discard_unfinished(session, organisation_key)
    running = begun and _night_runs(session, organisation)
    ids = session.scalars(select(run_table.c.run_id).where(run_table.c.organisation_key == organisation_key)).all()
    served = _served(session, organisation_key)
    left = []
    places, elsewhere = folders.recorded(session, organisation_key, folders.ARTEFACTS, settings.artefacts_folder)
    for place in places:
        removed = [place / run_id for run_id in (*begun, *ids)]
        if served and _edited(session, served, place / served["run_id"], member_id):
            removed.remove(place / served["run_id"])
        removed += [folder_of(place, organisation_key) for folder_of in (examples.folder_of, examples.former_folder_of)]
        for folder in removed:
            artefacts.remove(folder)
        left += [f"{folder} cannot be removed; remove it" for folder in removed if folder.exists()]
        if running:
            left += [
                f"{place / run_id} is of a night that still runs; remove it when the night has ended"
                for run_id in begun
            ]
    return left + [f"artefacts in {place}; run this again there, or remove the folder" for place in elsewhere]


def _served(session: Session, organisation_key: int) -> dict[str, Any] | None:
    try:
        return runs.latest(session, organisation_key)
    except NoPublishedRunError:
        return None


def _edited(session: Session, run: dict[str, Any], folder: Path, member_id: str) -> bool:
    """Remove a member from a run's model for online lists, and its other artefacts; return whether the model stays."""
    recorded = steps.of_run(session, run).get(ONLINE_MODEL)
    if recorded is None:
        return False
    try:
        model = artefacts.load(folder, ONLINE_MODEL, recorded["artefact_digest"])
    except Exception:  # noqa: BLE001 - a model that another version wrote can raise anything; it goes whole
        return False
    if model is None:
        return False
    for path in folder.iterdir():
        if path != artefacts.path_of(folder, ONLINE_MODEL):
            path.unlink(missing_ok=True)
    if model.knows(member_id):
        digest = artefacts.save(folder, ONLINE_MODEL, model.without_member(member_id))
        steps.replace_digest(session, run, ONLINE_MODEL, digest)
    return True


def _night_runs(session: Session, organisation: str) -> bool:
    try:
        with night_lock(session.connection().engine, organisation):
            return False
    except NightRunningError:
        return True
