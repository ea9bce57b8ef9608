"""Files of a made-up organisation, its catalogue and its study log, with the truth behind them, written as a stream."""

import datetime as dt
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from threadpoolctl import threadpool_limits

from content_catalog.schema import FORMATS
from simulator.bad_lines import csv_line
from simulator.behaviour.affinity import Affinities, make_affinities, member_vectors, work_vectors
from simulator.behaviour.sessions import draw_attempts
from simulator.behaviour.study import ProfileChanges, Singles, StudyModel
from simulator.behaviour.trend import PopularityTrend, make_trend
from simulator.errors import SimulationError
from simulator.events import log_of
from simulator.lines import event_lines
from simulator.organisation.audience import Restrictions, restrictions_of
from simulator.organisation.catalogue import DAY_SECONDS, Catalogue, Floats, Period, make_catalogue
from simulator.organisation.members import Block, all_units, make_block, member_rows
from simulator.organisation.role_changes import (
    ROLE_CHANGES_FILE,
    RoleChanges,
    role_changes_of,
    write_role_changes,
)
from simulator.organisation.study_rules import REQUIREMENTS_FILE, ruled_items, ruled_members, write_requirements
from simulator.organisation.titles import item_rows
from simulator.organisation.world import World, load_world
from simulator.output import REJECTS_FILE, UNITS_FILE, Outputs, open_outputs, write_units
from simulator.truth import SEGMENTS_FILE, TRUTH_FILE, StudyTruthFiles, TruthFiles

BLOCK_MEMBERS: Final = 2_000
"""Members simulated at once; fixed, because the random numbers of a member depend on its block."""
BLOCK_CELLS: Final = 8_000_000
"""With a large catalogue blocks hold fewer members, so that members times items stay below this."""


@dataclass(frozen=True, slots=True)
class SimulationSummary:
    """Summary of the files written.

    Attributes
    ----------
    rows : dict
        Rows by file name; bad lines and duplicates included, headers not.
    bad : dict
        For each of the three inputs the number of bad lines by kind; an import must refuse exactly these.
    duplicates : dict
        For each of the three inputs the number of exact copies of good lines; they change nothing.
    """

    rows: dict[str, int]
    bad: dict[str, dict[str, int]]
    duplicates: dict[str, int]


@dataclass(frozen=True, slots=True)
class _Setting:
    """Settings and data shared by all blocks of members."""

    members: int
    seed: int
    span: Period
    world: World
    catalogue: Catalogue
    affinities: Affinities
    restrictions: Restrictions
    trend: PopularityTrend
    study_rules: bool

    @property
    def block_members(self) -> int:
        """Members of a block; the last one may have fewer."""
        return max(min(BLOCK_MEMBERS, BLOCK_CELLS // len(self.catalogue.item_ids)), 1)


def simulate(  # noqa: PLR0913 - the options of the command
    folder: Path,
    *,
    members: int,
    items: int,
    days: int,
    seed: int,
    until: dt.datetime,
    bad_lines_share: float = 0.02,
    study_rules: bool = False,
    progress: Callable[[float], None] = lambda _: None,
) -> SimulationSummary:
    """Return what was written into ``folder``: an organisation and its study log of the ``days`` before ``until``.

    The folder gets ``units.csv``, ``items.csv``, ``members.csv`` and ``events.csv.gz`` in canonical columns;
    ``expected_rejects.csv`` (``file, line, kind``) with every bad line; ``truth.parquet`` (``member_id, item_id,
    interest``), the chance of each item to be the next one of a member at ``until``, for the likeliest fifty of each
    member (the others are the rest to 1); and ``truth_segments.parquet`` (``role, industry, item_id, interest``), its
    mean over the members of a role and industry had they not studied anything yet.

    With ``study_rules`` items have series, advised prerequisites and live sessions, members follow series, want less of
    topics and register devices, and ``requirements.csv`` says what is required. Some members change role: they study as
    by their first role, that of ``members.csv``, until the day that ``role_changes.csv`` names, then as by the role
    that it says. Their ``interest`` is by the latter. All others study the same with and without. The truth is, too,
    in ``truth_mastery.parquet`` (``member_id, topic, mastery``), the chance to pass a quiz on a topic, the mean over
    its quizzes, and in ``truth_pace.parquet`` (``member_id, pace_seconds``), the seconds of content that a member is
    expected to finish in a day, both at ``until``; 0 where a member has left.

    Members are made in blocks, so memory grows with ``items`` and ``days`` but not with ``members``. The same
    arguments give the same bytes. Events stand in no order beyond that of the blocks.

    Parameters
    ----------
    folder
        Made where it does not exist; files of an earlier simulation are overwritten.
    members, items, days
        Size of the organisation, of its catalogue and of the time its log covers.
    seed
        Another seed is another organisation.
    until
        End of the log, aware; nothing happens at this instant or later.
    bad_lines_share
        Share of lines that an import has to refuse, at most 0.5; of every kind where there are enough of them.
    study_rules
        Whether the organisation has study rules.
    progress
        Called with the share of work done, 0 to 1.

    Raises
    ------
    SimulationError
        A number is out of range, or ``until`` has no time zone.
    """
    _check_size(members=members, items=items, days=days, seed=seed)
    _check_manner(until=until, bad_lines_share=bad_lines_share)
    folder.mkdir(parents=True, exist_ok=True)
    span = Period(start=int(until.timestamp()) - days * DAY_SECONDS, until=int(until.timestamp()))
    setting = _make_setting(members=members, items=items, seed=seed, span=span, study_rules=study_rules)
    item_ids = setting.catalogue.item_ids
    with (
        threadpool_limits(limits=1, user_api="blas"),  # products of matrices differ in the last bit by thread count
        open_outputs(folder, bad_lines_share=bad_lines_share) as outputs,
        TruthFiles(folder, world=setting.world, item_ids=item_ids) as truth,
        ExitStack() as stack,
    ):
        study_truth = stack.enter_context(StudyTruthFiles(folder, list(setting.world.topics))) if study_rules else None
        rng = _generator(seed, 4)
        write_units(folder, all_units(setting.world))
        rows = list(item_rows(setting.world, setting.catalogue, rng=rng))
        if study_rules:
            rows = ruled_items(setting.world, setting.catalogue, rows, span=span, rng=_generator(seed, 6))
        outputs.items.write([csv_line(row) for row in rows], rng)
        changed = 0
        for number, first in enumerate(range(0, members, setting.block_members)):
            changed += _write_block(setting, folder, outputs, (truth, study_truth), number)
            progress(min(first + setting.block_members, members) / members)
        truth.write_segments()
    further_rows = {UNITS_FILE: len(all_units(setting.world))}
    if study_rules:
        rng = _generator(seed, 7)
        further_rows[REQUIREMENTS_FILE] = write_requirements(
            folder, setting.world, setting.catalogue, span=span, rng=rng
        )
        further_rows[ROLE_CHANGES_FILE] = changed
    if study_truth:
        further_rows |= study_truth.rows
    return _summary(outputs, truth, further_rows=further_rows)


def _make_setting(*, members: int, items: int, seed: int, span: Period, study_rules: bool) -> _Setting:
    world = load_world()
    catalogue = make_catalogue(world, items=items, span=span, rng=_generator(seed, 1))
    return _Setting(
        members=members,
        seed=seed,
        span=span,
        world=world,
        catalogue=catalogue,
        affinities=make_affinities(world, catalogue, rng=_generator(seed, 2)),
        restrictions=restrictions_of(world, catalogue),
        trend=make_trend(catalogue, span, _generator(seed, 3)),
        study_rules=study_rules,
    )


def _write_block(
    setting: _Setting,
    folder: Path,
    outputs: Outputs,
    truths: tuple[TruthFiles, StudyTruthFiles | None],
    number: int,
) -> int:
    """Write block ``number`` of the members, what they study and would study next; return how many change role."""
    truth, study_truth = truths
    world, catalogue, span = setting.world, setting.catalogue, setting.span
    rng = _generator(setting.seed, 5, number)
    first = number * setting.block_members
    members = min(setting.block_members, setting.members - first)
    block = make_block(world, first=first, members=members, span=span, rng=rng)
    vectors = member_vectors(world, setting.affinities, block, rng=rng)
    study = StudyModel(catalogue, setting.trend, members=vectors.copy(), items=setting.affinities.items)
    study.restrict(setting.restrictions.items, setting.restrictions.admitted(block))
    truth.add_segments(block.work, study.interest())
    changes, back = None, None
    if setting.study_rules:
        changes = role_changes_of(world, block, span=span, rng=_generator(setting.seed, 9, number))
        study.change(_profiles(setting, vectors, block, changes, to=changes.earlier))
        back = _profiles(setting, vectors, block, changes, to=block)
    studies = study.run(draw_attempts(world, block, span, rng), rng, back)
    truth.add_members(block.member_ids, study.interest())
    if study_truth:
        study_truth.add(block.member_ids, _mastery(setting, study), _pace_seconds(setting, block, study))
    log = log_of(studies, catalogue, until=span.until, rng=rng)
    lines = event_lines(block, log, item_ids=catalogue.item_ids, prefix=f"e{number}", rng=rng)
    rows = member_rows(world, changes.earlier if changes else block)
    if setting.study_rules:
        rows = ruled_members(world, catalogue, rows, rng=_generator(setting.seed, 8, number))
    outputs.members.write([csv_line(row) for row in rows], rng)
    outputs.events.write(lines, rng)
    return write_role_changes(folder, world, block, changes) if changes else 0


def _mastery(setting: _Setting, study: StudyModel) -> Floats:
    """Return the chance of each member to pass a quiz on each topic, (members, topics)."""
    world, catalogue = setting.world, setting.catalogue
    quizzes = np.flatnonzero(catalogue.format == FORMATS.index("quiz"))
    topics = [world.subjects[subject].topic for subject in catalogue.subject[quizzes].tolist()]
    belongs = np.array([[topic == name for name in world.topics] for topic in topics], dtype=np.float64)
    belongs = belongs.reshape(len(quizzes), len(world.topics))
    counts = belongs.sum(axis=0)
    sums = study.pass_chance()[:, quizzes] @ belongs
    return np.divide(sums, counts, out=np.full_like(sums, np.nan), where=counts > 0)


def _pace_seconds(setting: _Setting, block: Block, study: StudyModel) -> Floats:
    """Return the seconds of content that each member is expected to finish in a day; 0 once it has left."""
    attempts = block.activity * np.array([work.items_per_session for work in setting.world.works])[block.work]
    return np.where(block.active_until < setting.span.until, 0.0, attempts * study.expected_seconds())


def _profiles(setting: _Setting, vectors: Singles, block: Block, changes: RoleChanges, *, to: Block) -> ProfileChanges:
    """Return the changes of members, with vectors by the work of ``block``, to their work in another block."""
    rows, (present, other) = changes.rows, (each.work[changes.rows] for each in (block, to))
    added = work_vectors(setting.world, setting.affinities, other)
    added -= work_vectors(setting.world, setting.affinities, present)
    return ProfileChanges(
        rows=rows,
        at=changes.day * DAY_SECONDS,
        members=(vectors[rows] + added).astype(np.float32),
        admitted=setting.restrictions.admitted(to)[rows],
    )


def _summary(outputs: Outputs, truth: TruthFiles, *, further_rows: dict[str, int]) -> SimulationSummary:
    inputs = (outputs.items, outputs.members, outputs.events)
    rows = further_rows | {each.name: each.rows for each in inputs}
    rows[REJECTS_FILE] = sum(each.bad.total() for each in inputs)
    rows |= {TRUTH_FILE: truth.member_rows, SEGMENTS_FILE: truth.segment_rows}
    return SimulationSummary(
        rows=rows,
        bad={each.name: dict(sorted(each.bad.items())) for each in inputs},
        duplicates={each.name: each.duplicates for each in inputs},
    )


def _generator(seed: int, *path: int) -> np.random.Generator:
    """Return random numbers for one part of the simulation, whatever the other parts draw."""
    return np.random.default_rng([seed, *path])


def _check_size(*, members: int, items: int, days: int, seed: int) -> None:
    for name, value, least in (("members", members, 1), ("items", items, 1), ("days", days, 1), ("seed", seed, 0)):
        if value < least:
            raise SimulationError(f"{name} is {value}, but a simulation needs at least {least}")


def _check_manner(*, until: dt.datetime, bad_lines_share: float) -> None:
    if until.tzinfo is None:
        raise SimulationError(f"until is {until}, without a time zone: give an aware time such as {until}+00:00")
    if not 0 <= bad_lines_share <= 0.5:
        raise SimulationError(f"bad_lines_share is {bad_lines_share}, but it must be between 0 and 0.5")
