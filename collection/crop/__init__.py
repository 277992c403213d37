"""Pictures of any size -> mugshots: a face, the square around it, and what of all that goes into the record.

Owns: which face is meant, the square (``squares``), the pixels (``cutting``), files (``files``), whole
folders (``folders``), going on with them (``journal``), and whether the classes lose alike (``bias``, with
``rates``). The detectors themselves are in `extractors.faces`.
"""

from collection.crop.cutting import CropParams, Cut, cut

__all__ = ["CropParams", "Cut", "cut"]
