"""What ``python -m collection demo`` does: check the options, draw, say what was written.

Owns: the meaning of the options. Refuses to know argv.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

from collection.demo.factors import FACTORS
from featurestore.errors import UsageError

__all__ = ["demo", "parse_moves"]

_LEAST = 20


def parse_moves(moves: Sequence[str]) -> dict[str, float]:
    """Standard deviations to add to each factor that is named.

    Raises
    ------
    UsageError
        If a factor is unknown or named twice, or its delta is no finite number.

    Examples
    --------
    >>> parse_moves(["aura=1.5", "scars=-2"])
    {'aura': 1.5, 'scars': -2.0}
    """
    parsed: dict[str, float] = {}
    for move in moves:
        name, equals, text = move.partition("=")
        if name not in FACTORS:
            raise UsageError(f"--move {move}: no factor {name!r}; one of: {', '.join(FACTORS)}")
        if name in parsed:
            raise UsageError(f"--move {move}: {name} is named twice")
        try:
            delta = float(text)
        except ValueError:
            delta = math.nan
        if not equals or not math.isfinite(delta):
            raise UsageError(f"--move {move}: give standard deviations, e.g. --move {name}=1.5")
        parsed[name] = delta
    return parsed


def demo(
    *,
    seed: int,
    n: int,
    out: Path,
    moves: Sequence[str] = (),
    sheet: Path | None = None,
    factors: Path | None = None,
    figures: bool = False,
    workers: int = 1,
    force: bool = False,
) -> Iterator[str]:
    """Draw the cast, or sheets of it; yields a line for each thing written.

    Parameters
    ----------
    figures : bool
        Draw full figures with their true face boxes rather than mugshots.

    Raises
    ------
    UsageError
        If an option is out of range, or ``out`` is not empty and ``force`` is not given.
    """
    moved = parse_moves(moves)
    if n < _LEAST or n % 2:
        raise UsageError(f"--n {n}: give an even number, at least {_LEAST}")
    if seed < 0:
        raise UsageError(f"--seed {seed}: give a number from 0 on")
    if workers < 1:
        raise UsageError(f"--workers {workers}: give a number from 1 on")

    from collection.demo.cast import draw_cast
    from collection.demo.render import require_empty, write_cast
    from collection.demo.sheet import contact_sheet, factor_sheet, plainest, require_suffix, save_sheet

    for path in (sheet, factors):
        if path is not None:
            require_suffix(path)
    if sheet is None and factors is None:
        require_empty(out, force=force)
    cast = draw_cast(seed, n, moved)
    if sheet is not None:
        save_sheet(contact_sheet(cast), sheet)
        yield f"{sheet}: the contact sheet"
    if factors is not None:
        save_sheet(factor_sheet(plainest(cast)), factors)
        yield f"{factors}: what each factor does"
    if sheet is None and factors is None:
        if figures:
            from collection.demo.figures import write_figures

            n_bytes, what = write_figures(cast, out, workers=workers, force=force), "full figures"
        else:
            n_bytes, what = write_cast(cast, out, workers=workers, force=force), "pictures"
        n_series = len({one.series.name for one in cast})
        yield f"{out}: {n} {what} of {n_series} series, {n_bytes / 1e6:.1f} MB"
