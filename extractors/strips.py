"""Edited pictures side by side: one strip an edit, strengths across, the sham below each edit.

Owns the layout. Refuses to know how pictures are edited.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Final

from PIL import Image, ImageDraw, ImageFont

from extractors.edits import EDITS
from extractors.fitting import fit
from featurestore.files import make_folder, remove, write_bytes_atomic

if TYPE_CHECKING:
    from extractors.base import RGB

__all__ = ["write_strips"]

_PAPER, _INK, _FAINT = (255, 255, 255), (51, 51, 51), (118, 118, 118)
_TILE_PX: Final = 128
_GAP_PX, _PAIR_PX, _LEFT_PX, _HEAD_PX = 4, 12, 52, 42
_QUALITY: Final = 85


def write_strips(
    folder: Path,
    names: Iterable[str],
    tiles: Callable[[str], Sequence[Sequence[RGB]]],
    doses: Sequence[float],
    *,
    workers: int = 1,
) -> None:
    """Write ``<edit>.jpg`` for each edit, and remove those of other edits.

    Parameters
    ----------
    folder : Path
        Made if it is not there.
    names : iterable of str
        Of edits.
    tiles : callable
        Of an edit: of each picture a row of edits by strength, itself in the middle, and one of shams.
    doses : sequence of float
        Strengths, ascending, without 0.
    workers : int
        Threads.
    """
    make_folder(folder)
    wanted = list(names)
    for stale in sorted(folder.glob("*.jpg")):
        if stale.stem not in wanted:
            remove(stale)
    with ThreadPoolExecutor(workers) as pool:
        for name, data in zip(
            wanted, pool.map(lambda name: _jpeg(_strip(name, tiles(name), doses)), wanted), strict=True
        ):
            write_bytes_atomic(folder / f"{name}.jpg", data)


def _jpeg(image: Image.Image) -> bytes:
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=_QUALITY, optimize=True)
    return stream.getvalue()


def _strip(name: str, rows: Sequence[Sequence[RGB]], doses: Sequence[float]) -> Image.Image:
    edit, below = EDITS[name], sum(dose < 0 for dose in doses)
    shown = [*doses[:below], 0.0, *doses[below:]]
    step = _TILE_PX + _GAP_PX
    height = _HEAD_PX + len(rows) * step + len(rows) // 2 * _PAIR_PX
    sheet = Image.new("RGB", (_LEFT_PX + len(shown) * step, height), _PAPER)
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(13)
    for i, dose in enumerate(shown):
        said = {shown[0]: edit.less, 0.0: "as it is", shown[-1]: edit.more}.get(dose, "")
        middle = _LEFT_PX + i * step + _TILE_PX // 2
        draw.text((middle, 12), said, fill=_INK, font=font, anchor="mm")
        draw.text((middle, 30), f"{dose:+g}" if dose else "0", fill=_FAINT, font=font, anchor="mm")
    for i, row in enumerate(rows):
        top = _HEAD_PX + i * step + i // 2 * _PAIR_PX
        said = "sham" if i % 2 else "edit"
        draw.text((_LEFT_PX - 8, top + _TILE_PX // 2), said, fill=_INK, font=font, anchor="rm")
        for j, picture in enumerate(row):
            tile, _ = fit(picture, size_px=_TILE_PX, how="pad")
            sheet.paste(Image.fromarray(tile), (_LEFT_PX + j * step, top))
    return sheet
