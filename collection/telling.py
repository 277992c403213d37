"""What a search would do, and what came of it, in lines to print.

Owns the words. Refuses to ask, to fetch and to cut.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from collection.assembling import Assembled
from collection.carryover import carried_text
from collection.gathering import Gathered, planned
from collection.providers import Provider
from collection.records import ROLES, Character
from featurestore.text import counted

if TYPE_CHECKING:
    from collection.crop import CropParams
    from collection.crop.bias import Bias

__all__ = ["lost", "plan_text", "report_text", "strangers_text"]


def plan_text(characters: Sequence[Character], provider: Provider, budget: int | None) -> str:
    """What a search would do, without doing it."""
    from collection.lists import query_of

    n_asked, n_known = planned(characters, provider)
    roles = Counter(one.role for one in characters)
    series = {one.series for one in characters}
    lines = [
        f"{counted(n_asked, 'character')} of {len(series)} series: "
        + ", ".join(f"{n} {role}" for role, n in roles.items())
    ]
    if provider.costs:
        left = n_asked - n_known
        lines.append(f"{counted(n_known, 'answer')} kept; {left} would cost a credit each")
        if budget is not None and budget < left:
            asked = [one for one in characters if not provider.known(one)][:budget]
            now = ", ".join(f"{n} {role}" for role, n in Counter(one.role for one in asked).items())
            lines.append(
                f"the budget of {counted(budget, 'credit')} asks about {now};"
                f" {counted(left - budget, 'character')} left for another run"
            )
        lines += [f"  {'kept' if provider.known(one) else '    '}  {query_of(one)}" for one in characters]
    else:
        offers = [(len(provider.candidates(one)), one) for one in characters]
        lines.append(f"{counted(sum(n for n, _ in offers), 'picture')} on offer")
        offers.sort(key=lambda offer: offer[0] > 0)  # who lacks pictures is looked for
        lines += [f"  {n:4d}  {one.name} ({one.series})" for n, one in offers]
    lines += strangers_text(characters, provider)
    return "\n".join(lines)


def report_text(found: Gathered, made: Assembled, root: Path, params: CropParams, *, folds: int) -> str:
    """What came of it.

    Parameters
    ----------
    folds : int
        Of the study's cross-validation, which keeps series apart.
    """
    tried = counted(len(found.entries), "offer")
    lines = [f"{root}: {_counts(made.n_images)} brought, of {tried} that were tried"]
    if made.n_in_all != made.n_images:
        n = counted(sum(made.n_in_all.values()), "picture")
        lines[0] += f"; it holds {n} in all: {_counts(made.n_in_all)}"
    for label, methods in made.methods.items():
        lines.append(f"  {label}: " + ", ".join(f"{n} cut by {name}" for name, n in sorted(methods.items())))
    lines.append(_series_text(made, folds))
    bias = lost(made, params)
    lines += [f"  {bias.text()}"] if bias is not None else []
    carried = carried_text(made.carried)
    lines += [f"  {carried}"] if carried else []
    reasons = Counter(row.reason for row in made.rows if row.reason)
    lines += [f"  {n} not taken: {reason}" for reason, n in reasons.most_common(12)]
    if len(reasons) > 12:
        lines.append(f"  ... {len(reasons) - 12} more reasons in {root / 'metadata/sources.csv'}")
    lines += [f"  missing: {one.name} ({one.series}): {why}" for one, why in found.missing[:20]]
    if len(found.missing) > 20:
        lines.append(f"  ... {len(found.missing) - 20} more characters without enough pictures")
    if found.stopped:
        lines.append(f"{found.stopped}; run the same command again to go on: what is kept costs nothing")
    return "\n".join(lines)


def lost(made: Assembled, params: CropParams) -> Bias | None:
    """Whether finding faces loses more of one class; None where no face was looked for."""
    from collection.crop.bias import Outcome, bias_of
    from collection.crop.cutting import NO_FACE

    if params.method == "center-top":
        return None
    outcomes = [
        Outcome(ROLES[row.role], row.crop == params.method, row.series)
        for row in made.rows
        if row.crop or row.reason == NO_FACE
    ]
    return bias_of(outcomes, method=params.method, fallback=params.fallback)


def strangers_text(characters: Sequence[Character], provider: Provider) -> list[str]:
    """Lines on what the provider has for nobody on the list."""
    strangers = provider.strangers(characters)
    lines = [f"  {name}: nobody on the list is called so" for name in strangers]
    if set(strangers) & {*ROLES, *ROLES.values()}:
        lines.append(
            "  (folders of classes, with no character above the pictures: python -m collection import DIR)"
        )
    return lines


def _counts(n_by_label: Mapping[str, int]) -> str:
    return ", ".join(f"{n} {label}" for label, n in n_by_label.items()) or "no pictures"


def _series_text(made: Assembled, folds: int) -> str:
    """How many series there are, and whether they are enough for a study that keeps series apart."""
    sides: dict[str, set[str]] = {}
    for row in made.rows:
        if row.file:
            sides.setdefault(row.series, set()).add(ROLES[row.role])
    both = sum(len(classes) > 1 for classes in sides.values())
    told = f"  {len(sides)} series, {both} of them with both classes"
    if len(sides) < 2 * folds:
        told += (
            f"; too few to keep series apart in {folds} folds: bring at least {2 * folds},"
            " with heroes and villains in each"
        )
    return told
