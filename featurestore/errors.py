"""The error tree. Every error says what, where and the next step, on one line.

::

    KyaraError                     exit code 1
    ├── UsageError                 2   the command or params.yaml is wrong
    │   └── ParamsError  (also ValueError)
    ├── DataError                  3   the data are bad
    │   ├── ImageRejected          (also ValueError)   one file, with a Reason
    │   ├── LabelConflict          one picture in two classes
    │   ├── MetadataError          a CSV row that cannot be used
    │   ├── SplitError             classes or groups that cannot be split
    │   ├── NonFiniteRow           (also ValueError)   NaN or inf in a row whose status is ok
    │   ├── WeightsDamaged         a weights file with another sha256, or that cannot be read
    │   ├── StoreError             an HDF5 file that is refused
    │   │   ├── StoreVersionError
    │   │   └── StoreDamaged
    │   └── MissingRows            (also KeyError)
    ├── ClusterLost                1   Ray gave up: a batch that ends every process, a cluster that went away
    └── MissingError               4   something a command can fetch, install or make
        ├── MissingData            (also FileNotFoundError)
        ├── MissingWeights         (also FileNotFoundError)
        ├── MissingExtra           (also ImportError)   a package of an extra is not installed
        ├── MissingDevice          a device that torch does not see, or that is too small
        └── MissingRepository

What it refuses to know: how an error is printed (``console``).
"""

from __future__ import annotations

import enum

__all__ = [
    "ClusterLost",
    "DataError",
    "ImageRejected",
    "KyaraError",
    "LabelConflict",
    "MetadataError",
    "MissingData",
    "MissingDevice",
    "MissingError",
    "MissingExtra",
    "MissingRepository",
    "MissingRows",
    "MissingWeights",
    "NonFiniteRow",
    "ParamsError",
    "Reason",
    "SplitError",
    "StoreDamaged",
    "StoreError",
    "StoreVersionError",
    "UsageError",
    "WeightsDamaged",
]


class Reason(enum.StrEnum):
    """Why a file is no image of the study. The values stand in ``results/quarantine.csv``."""

    EMPTY = "empty"  # zero bytes
    UNREADABLE = "unreadable"  # the operating system refuses it
    NOT_A_FILE = "not_a_file"  # a directory, fifo, dangling link or a link out of data/
    TOO_MANY_BYTES = "too_many_bytes"  # above the byte cap, never read
    NOT_AN_IMAGE = "not_an_image"  # none of the accepted formats, whatever its name says
    TOO_MANY_PIXELS = "too_many_pixels"  # above the pixel cap, never decoded
    TOO_SMALL = "too_small"  # a side below the smallest that features make sense for
    CORRUPT = "corrupt"  # the right format, but truncated or damaged
    TRANSPARENT = "transparent"  # nothing but transparency
    REJECTED = "rejected"  # a curator's decision: its key stands in metadata/rejected.csv


class KyaraError(Exception):
    """Base of every error that kyara raises on purpose."""

    exit_code = 1

    def __str__(self) -> str:  # KeyError would quote its message
        return " ".join(str(arg) for arg in self.args)


class UsageError(KyaraError):
    """The command line is wrong."""

    exit_code = 2


class ParamsError(UsageError, ValueError):
    """A key of params.yaml is unknown, of the wrong type or out of range."""


class DataError(KyaraError):
    """The data cannot be used as they are."""

    exit_code = 3


class ImageRejected(DataError, ValueError):
    """One file is no image of the study.

    Attributes
    ----------
    reason : Reason
    detail : str
        What the decoder said.
    """

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(f"{reason.value}: {detail}")
        self.reason = reason
        self.detail = detail

    def __reduce__(self) -> tuple[type[ImageRejected], tuple[Reason, str]]:
        return type(self), (self.reason, self.detail)


class LabelConflict(DataError):
    """The same picture stands in two classes."""


class MetadataError(DataError):
    """A row of a metadata file names no image, or lacks a column."""


class SplitError(DataError):
    """Classes or groups are too few to split, or a group spans two splits."""


class NonFiniteRow(DataError, ValueError):
    """A row says it is ok and holds NaN or infinity."""


class WeightsDamaged(DataError):
    """A weights file is not the one that was asked for, or holds something else."""


class StoreError(DataError):
    """An HDF5 file is refused."""


class StoreVersionError(StoreError):
    """A store was written in another format version."""


class StoreDamaged(StoreError):
    """A store's bytes are not those that were written."""


class MissingRows(DataError, KeyError):
    """Keys were asked for that the store does not hold."""


class ClusterLost(KyaraError):
    """Ray gave up on what it was asked for."""


class MissingError(KyaraError):
    """Something is missing that a command can fetch, install or make."""

    exit_code = 4


class MissingData(MissingError, FileNotFoundError):
    """A file or folder that an earlier step makes is not there."""


class MissingWeights(MissingError, FileNotFoundError):
    """A published weights file is nowhere to be found."""


class MissingExtra(MissingError, ImportError):
    """A package that an extractor needs is not installed."""


class MissingDevice(MissingError):
    """The device is not there, or has too little memory for a single image."""


class MissingRepository(MissingError):
    """There is no git or no DVC repository here."""
