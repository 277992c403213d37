"""Pictures of one's own, in a folder for each character.

Owns finding a character's folder: its name, or its slug, below the folder itself or below one for the series.
Refuses to copy.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from collection.names import slug
from collection.records import Candidate, Character
from featurestore.errors import MissingData
from featurestore.images import EXTENSIONS
from featurestore.metadata import escape_path

__all__ = ["Folder"]


class Folder:
    """See `collection.providers.Provider`; a candidate's url is the path of a file. A record
    tells it from the folder on: where that lay on this machine is nobody's business.

    Raises
    ------
    MissingData
        If there is no such folder.
    """

    name = "folder"
    costs = False
    lasts = False  # files change, and cost nothing to read again

    def __init__(self, root: Path) -> None:
        if not root.is_dir():
            raise MissingData(f"no folder {root}; name one that holds a folder for each character")
        self._root = root
        self._folders: dict[tuple[str, ...], Path] = {}
        for path in sorted(root.rglob("*")):
            below = path.relative_to(root).parts
            if path.is_dir() and len(below) <= 2 and not any(part.startswith(".") for part in below):
                self._folders.setdefault(tuple(slug(part) for part in below), path)

    def known(self, character: Character) -> bool:
        """The folder is here."""
        return True

    def candidates(self, character: Character) -> list[Candidate]:
        """Files of its folder, by name."""
        for name in (character.name, *character.aliases):
            for place in ((slug(character.series), slug(name)), (slug(name),)):
                folder = self._folders.get(place)
                if folder is not None:
                    files = [p for p in sorted(folder.iterdir()) if p.name.lower().endswith(EXTENSIONS)]
                    return [
                        Candidate(
                            character,
                            self.name,
                            "",
                            i,
                            str(p),
                            shown=escape_path(p.relative_to(self._root).as_posix()),
                        )
                        for i, p in enumerate(files)
                    ]
        return []

    def forget_empty(self) -> int:
        """Nothing is kept."""
        return 0

    def strangers(self, characters: Sequence[Character]) -> list[str]:
        """Folders with pictures that belong to nobody on a list."""
        wanted = {slug(name) for one in characters for name in (one.name, *one.aliases)}
        return [
            str(path.relative_to(self._root))
            for place, path in self._folders.items()
            if place[-1] not in wanted
            and any(p.name.lower().endswith(EXTENSIONS) for p in path.iterdir() if p.is_file())
        ]
