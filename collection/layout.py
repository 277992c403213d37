"""A folder of pictures in classes, as people have them: ``DIR/<label>/**`` or ``DIR/images/<label>/**``.

Owns where its pictures and tables lie, and which files are pictures. Refuses to decode and to copy.
"""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from pathlib import Path

from collection.crop.journal import JOURNAL, command_of
from featurestore.errors import DataError, MissingData, UsageError
from featurestore.images import EXTENSIONS
from featurestore.scan import check_label

__all__ = ["Layout", "layout_of", "pictures_in"]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Layout:
    """Where things lie.

    Attributes
    ----------
    root : Path
        Holds ``metadata/``, if there is any.
    images : Path
        Holds a folder for each class: ``root/images``, or ``root`` itself.
    """

    root: Path
    images: Path


def layout_of(folder: Path) -> Layout:
    """Where pictures and tables of a folder lie.

    ``DIR/images`` may be named for ``DIR``.

    Raises
    ------
    UsageError
        If it is a file.
    MissingData
        If it is not there, or is what a crop left that is not finished.
    """
    if folder.is_file():
        raise UsageError(f"{folder} is a file; name the folder that holds one folder per class")
    if not folder.is_dir():
        raise MissingData(f"no folder {folder}")
    if _holds_folders(folder / "images"):
        layout = Layout(folder, folder / "images")
    elif folder.name == "images" and not (folder / "metadata").is_dir():
        layout = Layout(folder.parent, folder)
    else:
        layout = Layout(folder, folder)
    if (layout.root / JOURNAL).is_file():
        raise MissingData(
            f"{layout.root} holds a crop that is not finished; run: {command_of(layout.root / JOURNAL)}"
        )
    return layout


def pictures_in(layout: Layout, *, tell: bool = True) -> list[Path]:
    """Pictures in folders of classes, relative to ``layout.images``, ascending.

    Links are among them, wherever they lead. Hidden files and other endings are left out, with a line that
    counts them; so are pictures in no folder of a class. Without ``tell`` there is no such line.

    Raises
    ------
    DataError
        If a folder cannot be listed, or the name of a class cannot stand in a table.
    """
    found: list[Path] = []
    n_others = 0
    for label in sorted(layout.images.iterdir()):
        if label.name.startswith(".") or not label.is_dir() or label == layout.root / "metadata":
            continue
        check_label(label.name)
        n_before = len(found)
        for folder, subfolders, names in os.walk(label, onerror=_unlisted):
            shown = [s for s in subfolders if not s.startswith(".")]
            links = [s for s in shown if Path(folder, s).is_symlink()]
            subfolders[:] = [s for s in shown if s not in links]
            visible = [name for name in names if not name.startswith(".")]
            pictures = [name for name in visible if _is_picture(name)]
            n_others += len(visible) - len(pictures)
            found += [Path(folder, name).relative_to(layout.images) for name in (*links, *pictures)]
        if len(found) == n_before and tell:
            log.warning("class folder %r: left out, for it holds no pictures", label.name)
    if n_others and tell:
        log.warning("%d files left out: not %s", n_others, ", ".join(EXTENSIONS))
    n_stray = sum(_is_picture(path.name) and path.is_file() for path in layout.images.glob("[!.]*"))
    if n_stray and tell:
        log.warning("%d pictures left out: in %s itself, in no folder of a class", n_stray, layout.images)
    return sorted(found, key=Path.as_posix)


def _holds_folders(images: Path) -> bool:
    return images.is_dir() and any(path.is_dir() for path in images.iterdir())


def _is_picture(name: str) -> bool:
    return name.lower().endswith(EXTENSIONS)


def _unlisted(error: OSError) -> None:
    raise DataError(f"{error.filename}: cannot be listed ({error.strerror}); mend or remove it")
