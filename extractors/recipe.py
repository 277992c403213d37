"""How an extractor is built, here or in another process that sees the same files.

Owns the value that travels. Refuses to look for weights, and to choose a device.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from extractors.base import Context
from featurestore import plugins

if TYPE_CHECKING:
    from extractors.base import Extractor

__all__ = ["ZOO", "Recipe"]

ZOO: Final = "extractors.zoo"


@dataclass(frozen=True)
class Recipe:
    """Name, params and weights of an extractor.

    Attributes
    ----------
    name : str
        Of its module below ``zoo``, a package.
    params : mapping
    context : Context
        Weights lie where every machine finds them.
    zoo : str
    """

    name: str
    params: Mapping[str, Any]
    context: Context
    zoo: str = ZOO

    def build(self, device: str | None = None) -> Extractor:
        """The extractor; on another device than the context's, if one is given."""
        context = dataclasses.replace(self.context, device=device or self.context.device)
        module = plugins.load(self.zoo, self.name, key="extractors")
        made: Extractor = module.build(context=context, **self.params)
        return made
