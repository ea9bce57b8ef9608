"""Erasure of a member's data from the artefacts of runs: models, state, training examples, event copy."""

from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from infra.db.locks import night_lock
from infra.errors import NightRunningError
from infra.events import month_files
from infra.privacy import folders
from infra.privacy.data_subject import DataSubject
from infra.runs import artefacts, steps
from infra.runs import store as runs
from infra.runs.code_version import code_version
from infra.serving.online_model import ONLINE_MODEL
from infra.training import examples


def erase_from_artefacts(subject: DataSubject) -> list[str]:
    """Remove a member's data from all artefacts of an organisation; return what is left.

    The models of runs stay, without the member: lists of others still follow new events and can be explained. The run
    that is under way, the state for incremental runs and training examples are removed whole. The night under way
    notices and begins again; without one the next night makes them.
    """
    session, organisation_key, member_id = subject.session, subject.organisation_key, subject.member_id
    begun = runs.discard_unfinished(session, organisation_key)
    running = _night_runs(session, subject.organisation)
    every_run = runs.all_of(session, organisation_key)
    left = []
    places, elsewhere = subject.folders(folders.ARTEFACTS, subject.settings.artefacts_folder)
    for place in places:
        removed = [place / run_id for run_id in begun]
        removed += [place / run["run_id"] for run in every_run if not _edited(session, run, place, member_id)]
        removed += [folder_of(place, organisation_key) for folder_of in (examples.folder_of, examples.former_folder_of)]
        copy = month_files.folder_of(place, organisation_key)
        if running:  # what it writes of the member finds no folder
            removed.append(copy)
        else:
            left += _removed_from_copy(copy, member_id)
        for folder in removed:
            artefacts.remove(folder)
        left += [f"{folder} cannot be removed; remove it" for folder in removed if folder.exists()]
    if running and not begun:
        left.append("a night is storing its models; run this again when it has ended")
    return left + [f"artefacts in {place}; run this again there, or remove the folder" for place in elsewhere]


def _edited(session: Session, run: dict[str, Any], place: Path, member_id: str) -> bool:
    """Remove a member from a run's stored models, and its other artefacts; return whether the models stay."""
    folder = place / run["run_id"]
    if not folder.is_dir():
        return False
    recorded = steps.of_run(session, run).get(ONLINE_MODEL)
    if recorded is None or run["code_version"] != code_version():  # no other code reads the models
        return False
    try:
        model = artefacts.load(folder, ONLINE_MODEL, recorded["artefact_digest"])
        artefacts.remove_all_but(folder, ONLINE_MODEL)
    except Exception:  # noqa: BLE001 - a model that another version wrote can raise anything; the folder goes whole
        return False
    if model is None:
        return False
    if model.knows(member_id):
        digest = artefacts.save(folder, ONLINE_MODEL, model.without_member(member_id))
        if digest is None:  # a night removed the folder
            return False
        steps.replace_digest(session, run, ONLINE_MODEL, digest)
    return True


def _removed_from_copy(copy: Path, member_id: str) -> list[str]:
    """Remove a member from the copy of the events; return what is left."""
    try:
        month_files.remove_member(copy, member_id)
    except OSError as error:
        return [f"{copy} cannot be changed ({error.strerror}); remove it"]
    return []


def _night_runs(session: Session, organisation: str) -> bool:
    try:
        with night_lock(session.connection().engine, organisation):
            return False
    except NightRunningError:
        return True
