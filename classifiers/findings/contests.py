"""The study's other claims: that villains are more distinctive, that face networks transfer, that handcrafted
features keep up.

Owns what each claim means as a measurement, and what is said where it cannot be made. Refuses to know how
distances, folds and heads are made.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np

from classifiers.findings.claims import Cast, Item, not_testable, values_of
from classifiers.findings.dispersion import spread
from classifiers.findings.findings_report import (
    CANNOT_TELL,
    OPPOSITE,
    STUDY,
    SUPPORTED,
    Finding,
    duel_said,
    ratio_said,
)
from classifiers.findings.transfer import IMAGENET, UNTRAINED, Arena, Duel

if TYPE_CHECKING:
    from classifiers.embedding import Control

__all__ = ["competing", "distinctive", "transferring"]

DESIGN: Final = "design"

#: No representation of the character: what surrounds it.
_NO_RIVALS: Final = (DESIGN, "ring")

_SELECT: Final = "select more than design, such as: dvc exp run -S 'features=[design,dlib]'"


def distinctive(cast: Cast) -> Item:
    """Whether images of the positive class differ more among themselves."""
    positive, rest = cast.sides
    what = f"ratio of mean distances from the middle, {positive} over {rest} (1 = alike)"
    values, whose = values_of(cast)
    blank = Finding(STUDY, "distinctiveness", cast.name, what, of=whose, alike=1.0)
    topic = f"whether images of {positive} differ more among themselves"
    if not whose:
        return not_testable(blank, topic, "every extractor learned the labels, which moves the classes apart")
    known = np.asarray(np.isfinite(values).all(axis=1))
    if not known.any():
        return not_testable(blank, topic, f"{whose} could compute no image")
    made = cast.exchanged(known, cast.draws)
    found = spread(values[known], made)
    finding = replace(
        blank, effect=found.ratio, low=found.low, high=found.high, p=found.p, images=int(known.sum()),
        groups=made.n_groups, model=f"{found.n_columns} columns, {found.n_directions} directions",
    )  # fmt: skip
    if found.reason:
        return not_testable(finding, topic, found.reason)
    return Item(finding, lambda one: ratio_said(one, cast.sides))


def transferring(
    cast: Cast, arena: Arena, head: str, faces: Sequence[str], controls: Mapping[str, Control]
) -> list[Item]:
    """Whether face networks rank better than an untrained network, and than one of other photographs."""
    topic = "whether training on faces transfers"
    if not faces:
        blank = Finding(STUDY, "face training", cast.name, "AUC, face network less control")
        reason = "no face network is among the features; run: dvc exp run -S 'features=[design,dlib]'"
        return [not_testable(blank, topic, reason)]
    items = []
    for face in faces:
        for control in (UNTRAINED, IMAGENET):
            blank = Finding(
                STUDY, f"face training: {face} against {control}", cast.name, f"AUC, {face} less {control}",
                of=f"{face}, {control}",
            )  # fmt: skip
            given = controls.get(control)
            if given is None or given.rows is None:
                reason = given.reason if given else f"no rows of {control}"
                items.append(not_testable(blank, f"{topic} by {face} against {control}", reason))
                continue
            items.append(_contest(blank, topic, arena.duel(face, control), head, None))
    return items


def competing(cast: Cast, arena: Arena, head: str, margin: float) -> list[Item]:
    """Whether the design features are no worse than each representation that a network learned."""
    topic = "whether handcrafted features keep up with learned ones"
    rivals = [name for name in cast.study.blocks if name not in _NO_RIVALS]
    if not rivals or cast.design is None:
        blank = Finding(STUDY, "handcrafted", cast.name, "AUC, design less a learned representation")
        reason = "no design columns" if rivals else f"there is no learned representation; {_SELECT}"
        return [not_testable(blank, topic, reason)]
    items = []
    for rival in rivals:
        blank = Finding(
            STUDY, f"handcrafted: design against {rival}", cast.name, f"AUC, design less {rival}",
            of=f"{DESIGN}, {rival}",
        )  # fmt: skip
        items.append(_contest(blank, topic, arena.duel(DESIGN, rival), head, margin))
    return items


def _contest(blank: Finding, topic: str, duel: Duel, head: str, margin: float | None) -> Item:
    """A duel as a finding; with a margin the interval alone decides."""
    e = duel.difference
    finding = replace(
        blank, effect=e.score, low=e.low, high=e.high, images=duel.n_images, groups=duel.n_groups,
        p=duel.p if margin is None else None, model=f"{head}, {duel.scored_on}",
    )  # fmt: skip
    if duel.reason or e.low is None or e.high is None:
        return not_testable(finding, topic, duel.reason or "the difference has no interval")
    if margin is not None and not duel.informed:
        reason = "neither ranks better than chance, so that being no worse would say nothing"
        return not_testable(finding, f"{topic} ({duel.one} against {duel.other})", reason)
    if margin is not None:
        verdict = SUPPORTED if e.low > -margin else OPPOSITE if e.high < -margin else CANNOT_TELL
        finding = replace(finding, verdict=verdict)
    return Item(
        finding,
        lambda one: duel_said(one, duel.one, duel.other, head, duel.scored_on, margin),
    )
