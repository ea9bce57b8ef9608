"""Experiments: named variants of the settings, of which each member gets the lists of one."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import orjson
import pandas as pd
from pydantic import ValidationError
from sqlalchemy import insert, select, update
from sqlalchemy.orm import Session

from infra.db.core_tables import experiments
from infra.errors import ExperimentError, NotFoundError, SettingsError
from infra.runs.store import ANYONE
from infra.settings.settings import Settings
from recommender.errors import EstimateError
from recommender.evaluation.split import CONTROL, Split

SECTIONS: Final = ("models", "ranker", "objective", "policy")
"""Sections that a variant may change: all variants share the interactions, and with them the weights."""
NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")
Changes = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Experiment:
    """An experiment of an organisation.

    Attributes
    ----------
    variants : dict
        By variant its ``share`` of the members and its changed ``settings`` by section; the control is none of them.
    """

    name: str
    variants: dict[str, dict[str, Any]]
    started_at: datetime
    stopped_at: datetime | None

    @property
    def split(self) -> Split:
        """The split of the members."""
        return Split(self.name, tuple((name, variant["share"]) for name, variant in self.variants.items()))

    def settings_of(self, settings: Settings) -> dict[str, Settings]:
        """Return the settings of each variant."""
        return {name: changed(settings, variant["settings"]) for name, variant in self.variants.items()}

    def digest(self, settings: Settings) -> str:
        """Return the digest of the settings that lists depend on, those of the variants included."""
        parts = [settings.digest(), self.name, orjson.dumps(self.variants, option=orjson.OPT_SORT_KEYS).decode()]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def changed(settings: Settings, changes: Changes) -> Settings:
    """Return settings with some values of some sections replaced.

    Raises
    ------
    SettingsError
        A section cannot differ between variants, or a value is unknown or out of range.
    """
    for section, values in changes.items():
        if section not in SECTIONS or not isinstance(values, Mapping):
            raise SettingsError(f"a variant cannot change {section}; it can change {', '.join(SECTIONS)}")
        present = getattr(settings, section)
        if section == "models" and "list_length" in values:
            raise SettingsError("a variant cannot change models.list_length: lists are checked for one length")
        try:
            section_settings = type(present).model_validate({**present.model_dump(), **values})
        except ValidationError as error:
            fault = error.errors()[0]
            name = ".".join([section, *map(str, fault["loc"])])
            raise SettingsError(f"{name} = {fault['input']!r} of a variant: {fault['msg']}") from error
        settings = settings.model_copy(update={section: section_settings})
    return settings


def start(
    session: Session, organisation_key: int, name: str, variants: dict[str, dict[str, Any]], *, now: datetime
) -> Experiment:
    """Start an experiment: from the next night on each variant's members get its lists.

    Raises
    ------
    ExperimentError
        A name is no name, another experiment runs, there was one of this name, or the shares leave no control.
    """
    for each in (name, *variants):
        if not NAME.fullmatch(each) or each == CONTROL:
            raise ExperimentError(
                f"{each!r} is no name; use up to 40 of a-z, 0-9, - and _, and not {CONTROL!r}, which is always there"
            )
    present = all_of(session, organisation_key)
    running_names = [experiment.name for experiment in present if experiment.stopped_at is None]
    if running_names:
        raise ExperimentError(f"experiment {running_names[0]!r} is running; stop it first")
    if name in {experiment.name for experiment in present}:
        raise ExperimentError(f"there was an experiment {name!r}; give this one another name")
    experiment = Experiment(name, variants, now, None)
    try:
        _ = experiment.split
    except EstimateError as error:
        raise ExperimentError(str(error)) from error
    session.execute(
        insert(experiments).values(
            organisation_key=organisation_key, name=name, variants=variants, started_at=now, stopped_at=None
        )
    )
    return experiment


def stop(session: Session, organisation_key: int, name: str, *, now: datetime) -> Experiment:
    """Stop an experiment: from the next night on all members get the lists of the settings.

    Raises
    ------
    NotFoundError, ExperimentError
        There is none of this name, or it was stopped.
    """
    experiment = find(session, organisation_key, name)
    if experiment.stopped_at is not None:
        raise ExperimentError(f"experiment {name!r} was stopped at {experiment.stopped_at:%Y-%m-%d %H:%M} UTC")
    own = (experiments.c.organisation_key == organisation_key) & (experiments.c.name == name)
    session.execute(update(experiments).where(own).values(stopped_at=now))
    return find(session, organisation_key, name)


def running(session: Session, organisation_key: int) -> Experiment | None:
    """Return the experiment that is running, None where none is."""
    return next((each for each in all_of(session, organisation_key) if each.stopped_at is None), None)


def find(session: Session, organisation_key: int, name: str) -> Experiment:
    """Return an experiment by its name.

    Raises
    ------
    NotFoundError
        There is none of this name.
    """
    present = {experiment.name: experiment for experiment in all_of(session, organisation_key)}
    if name not in present:
        raise NotFoundError(f"no experiment {name!r}; there is {', '.join(present) or 'none yet'}")
    return present[name]


def all_of(session: Session, organisation_key: int) -> list[Experiment]:
    """Return the experiments of an organisation, the newest first."""
    columns = (experiments.c[name] for name in ("name", "variants", "started_at", "stopped_at"))
    query = select(*columns).where(experiments.c.organisation_key == organisation_key)
    ordered = query.order_by(experiments.c.started_at.desc(), experiments.c.name)
    return [Experiment(**row) for row in session.execute(ordered).mappings()]


def assigned(lists: pd.DataFrame, experiment: Experiment, personalised: pd.Series) -> pd.DataFrame:
    """Return lists with the ``experiment`` and ``variant`` that each was made in.

    The list for anyone and those of members who switched personalisation off are in none.

    Parameters
    ----------
    lists : DataFrame
        ``member_id`` and other columns.
    personalised : Series
        Whether members want personal lists, by id; missing: they do.
    """
    taking_part = (lists["member_id"] != ANYONE) & lists["member_id"].map(personalised).fillna(value=True).astype(bool)
    variant = pd.Series(experiment.split.variants_of(lists["member_id"]), index=lists.index, dtype="str")
    name = pd.Series(experiment.name, index=lists.index, dtype="str")
    return lists.assign(experiment=name.where(taking_part), variant=variant.where(taking_part))
