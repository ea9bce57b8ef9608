"""Affinities of members, as vectors whose product with an item's vector is the appeal in logits.

The product form keeps the whole world of a low rank, as collaborative filtering assumes, and makes every part of
the appeal readable: subjects (role, industry and person), format, language, target, and the quality of the item.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from content_catalog.schema import FORMATS
from simulator.organisation.catalogue import Catalogue, Floats, Ints
from simulator.organisation.members import Block
from simulator.organisation.world import LANGUAGES, Subject, Work, World, industry_fits, role_fits

Singles = npt.NDArray[np.float32]

# Strengths in logits, chosen so that a list for a role and industry beats plain popularity by far, and people of one
# kind of work still differ enough for collaborative filtering to pay.
ROLE_TOPIC: Final = 0.45
INDUSTRY_TOPIC: Final = 0.45
WORK_SUBJECT: Final = 0.35
CONCERNS: Final = 0.75
PERSON_TOPIC: Final = 0.55
PERSON_SUBJECT: Final = 0.35
PERSON_FORMAT: Final = 0.5
TARGET: Final = 0.9
OTHER_LANGUAGE_COST: Final = 2.2
PERSON_SUBJECT_RANK: Final = 6


@dataclass(frozen=True, slots=True)
class Affinities:
    """Affinities that members share: of each kind of work, directions in which people differ, items as vectors.

    Attributes
    ----------
    by_work : array of shape (works, subjects)
        Liking of a subject, in logits.
    directions : array of shape (PERSON_SUBJECT_RANK, subjects)
        Directions along which persons differ in their liking of subjects.
    topics : array of shape (topics, subjects)
        One where a subject belongs to a topic.
    items : array of shape (items, subjects + formats + languages + works + 1)
        Item vectors, to be multiplied with ``member_vectors``.
    """

    by_work: Floats
    directions: Floats
    topics: Floats
    items: Singles


def make_affinities(world: World, catalogue: Catalogue, *, rng: np.random.Generator) -> Affinities:
    """Return the affinities of all kinds of work and the vectors of all items."""
    roles = sorted({work.role for work in world.works})
    industries = sorted({work.industry for work in world.works})
    topics = np.array([[subject.topic == topic for subject in world.subjects] for topic in world.topics], dtype=float)
    of_role = rng.normal(0, ROLE_TOPIC, (len(roles), len(world.topics)))
    of_industry = rng.normal(0, INDUSTRY_TOPIC, (len(industries), len(world.topics)))
    by_topic = np.array([of_role[roles.index(w.role)] + of_industry[industries.index(w.industry)] for w in world.works])
    concerns = np.array([[_concern(work, subject) for subject in world.subjects] for work in world.works])
    own = rng.normal(0, WORK_SUBJECT, concerns.shape)
    return Affinities(
        by_work=by_topic @ topics + CONCERNS * concerns + own,
        directions=rng.normal(0, PERSON_SUBJECT, (PERSON_SUBJECT_RANK, len(world.subjects))),
        topics=topics,
        items=_item_vectors(world, catalogue),
    )


def member_vectors(world: World, affinities: Affinities, block: Block, *, rng: np.random.Generator) -> Singles:
    """Return vectors of the members of a block, shape (members, width of the item vectors)."""
    members = len(block.work)
    person = rng.normal(0, PERSON_TOPIC, (members, len(world.topics))) @ affinities.topics
    person += rng.normal(0, 1, (members, PERSON_SUBJECT_RANK)) @ affinities.directions
    formats = rng.normal(0, PERSON_FORMAT, (members, len(FORMATS)))
    languages = np.full((members, len(LANGUAGES)), -OTHER_LANGUAGE_COST)
    languages[np.arange(members), block.speaks_other.astype(int)] = 0.0
    works = np.zeros((members, len(world.works)))
    parts = [person, formats, languages, works, np.ones((members, 1))]
    return (work_vectors(world, affinities, block.work) + np.concatenate(parts, axis=1)).astype(np.float32)


def work_vectors(world: World, affinities: Affinities, work: Ints) -> Floats:
    """Return the parts of vectors that come from kinds of work, shape (works, width of the item vectors)."""
    habits = np.array([[each.formats.get(name, 0.0) for name in FORMATS] for each in world.works])
    none, works = np.zeros((len(work), 1)), TARGET * np.eye(len(world.works))[work]
    languages = np.repeat(none, len(LANGUAGES), axis=1)
    return np.concatenate([affinities.by_work[work], habits[work], languages, works, none], axis=1)


def _concern(work: Work, subject: Subject) -> float:
    """Return 1.6 where all that is named fits, 0.5 where half of it, 0 for a general subject, -0.8 for others'."""
    if not (subject.roles or subject.industries):
        return 0.0
    role, industry = role_fits(work.role, subject.roles), industry_fits(work.industry, work.section, subject.industries)
    if (role or not subject.roles) and (industry or not subject.industries):
        return 1.6
    return 0.5 if role or industry else -0.8


def _target_fit(work: Work, roles: tuple[str, ...], industries: tuple[str, ...]) -> float:
    """Return 1 where the work is meant by all targets, -1 where by none, 0 between and for items without targets."""
    fits = []
    if roles:
        fits.append(role_fits(work.role, roles))
    if industries:
        fits.append(industry_fits(work.industry, work.section, industries))
    return 2 * sum(fits) / len(fits) - 1 if fits else 0.0


def _item_vectors(world: World, catalogue: Catalogue) -> Singles:
    items = len(catalogue.item_ids)
    subjects = np.zeros((items, len(world.subjects)))
    second = np.flatnonzero(catalogue.second_subject >= 0)
    subjects[np.arange(items), catalogue.subject] = 1.0
    subjects[second, catalogue.subject[second]] = 0.75
    subjects[second, catalogue.second_subject[second]] = 0.25
    formats = np.eye(len(FORMATS))[catalogue.format]
    languages = np.eye(len(LANGUAGES))[catalogue.language]
    fits = {
        audience: [_target_fit(work, audience.roles, audience.industries) for work in world.works]
        for audience in set(catalogue.audiences)
    }
    targets = np.array([fits[audience] for audience in catalogue.audiences])
    return np.concatenate([subjects, formats, languages, targets, catalogue.quality[:, np.newaxis]], axis=1).astype(
        np.float32
    )
