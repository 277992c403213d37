"""The `animeface` package's finder, called with the picture in the memory layout that it was compiled for.

Its C code reads the inside of a Pillow image as Pillow 4 laid it out. From Pillow 12 on it finds nothing
there, without a word. So it is given an object made here: a head as every Python object has, and behind it
the address of such a picture. It then finds what it finds with an old Pillow, to the pixel.

Owns that layout, and the checks without which this would be a crash. Refuses to know sizes, margins and which
of several faces is meant. Importing it imports nothing heavy.
"""

from __future__ import annotations

import ctypes
import functools
import importlib
import importlib.metadata
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from featurestore.errors import MissingExtra

if TYPE_CHECKING:
    from extractors.base import RGB

__all__ = ["SMALLEST_PX", "Found", "detect"]

#: Releases whose C code was compared with this layout.
_KNOWN: Final = ("2.0.3",)

#: No face is found in a picture with a side below this: the finder's smallest window is 42.6 pixels wide.
SMALLEST_PX: Final = 43

_RGB_PIXEL_BYTES: Final = 4

#: More references than are ever dropped: nothing must try to free what Python has not allocated.
_REFERENCES: Final = 1 << 20


class Found(NamedTuple):
    """A face.

    Attributes
    ----------
    x, y, width, height : int
        Its box in pixels of the picture that was searched.
    likelihood : float
        From 0.5 to 1.
    """

    x: int
    y: int
    width: int
    height: int
    likelihood: float


class _Picture(ctypes.Structure):
    """The start of Pillow 4's ``struct ImagingMemoryInstance``; the finder reads no further."""

    _fields_ = (
        ("mode", ctypes.c_char * 7),
        ("type", ctypes.c_int),
        ("depth", ctypes.c_int),
        ("bands", ctypes.c_int),
        ("xsize", ctypes.c_int),
        ("ysize", ctypes.c_int),
        ("palette", ctypes.c_void_p),
        ("image8", ctypes.c_void_p),
        ("image32", ctypes.c_void_p),
        ("image", ctypes.c_void_p),
        ("block", ctypes.c_void_p),
        ("pixelsize", ctypes.c_int),
        ("linesize", ctypes.c_int),
        ("destroy", ctypes.c_void_p),
    )


class _Holder(ctypes.Structure):
    """A Python object that holds a picture's address.

    It lies outside Python's heap. In a real object's slot the garbage collector, which may run while the
    finder makes its dictionaries, would follow that address as if another object lay there.
    """

    _fields_ = (("references", ctypes.c_ssize_t), ("type", ctypes.c_void_p), ("picture", ctypes.c_void_p))


def detect(pixels: RGB) -> list[Found]:
    """All faces in a picture.

    The C code holds the GIL from the first pixel to the last, so that calls from several threads queue.

    Parameters
    ----------
    pixels : ndarray of uint8, shape (height, width, 3)
        Never changed. What is found depends on the size: a face is seen at 43 pixels and above, best at
        about 60 to 120.

    Returns
    -------
    list of Found
        In the finder's order; empty where a side is below `SMALLEST_PX`.

    Raises
    ------
    MissingExtra
        If the package is not installed, not a release that is known here, or came without its C code; or
        if this Python lays out its objects in another way.
    """
    import numpy as np

    find = _finder()
    height, width = pixels.shape[:2]
    if min(height, width) < SMALLEST_PX:
        return []
    block = np.full((height, width, _RGB_PIXEL_BYTES), 255, np.uint8)
    block[..., :3] = pixels
    lines = np.uintp(block.ctypes.data) + np.arange(height, dtype=np.uintp) * np.uintp(
        width * _RGB_PIXEL_BYTES
    )
    picture = _Picture(
        mode=b"RGB",
        depth=8,
        bands=3,
        xsize=width,
        ysize=height,
        image32=lines.ctypes.data,
        image=lines.ctypes.data,
        pixelsize=_RGB_PIXEL_BYTES,
        linesize=width * _RGB_PIXEL_BYTES,
    )
    holder = _Holder(_REFERENCES, id(object), ctypes.addressof(picture))
    # the object gets no name here: the last reference to it must be gone before its memory is
    faces = find(ctypes.cast(ctypes.addressof(holder), ctypes.py_object).value)
    return [Found(*(*face["face_box"], face["likelihood"])) for face in faces]


@functools.cache
def _finder() -> Callable[[Any], list[dict[str, Any]]]:
    """The package's C function, after all checks."""
    try:
        version = importlib.metadata.version("animeface")
        code = importlib.import_module("animeface._nvxs")
    except ImportError as error:
        raise MissingExtra(
            f"align: anime needs animeface, which cannot be imported ({error}); run: make setup-all"
        ) from None
    _check_release(version)
    _check_object_layout()
    if str(getattr(code, "__file__", "")).endswith(".py"):
        raise MissingExtra(f"animeface {version} was installed without its C code; run: make setup-all")
    find: Callable[[Any], list[dict[str, Any]]] = code.detect
    return find


def _check_release(version: str) -> None:
    if version not in _KNOWN:
        raise MissingExtra(
            f"animeface {version} reads pictures in a layout that is not known here, which could crash;"
            f" known: {', '.join(_KNOWN)}; run: make setup-all"
        )


def _check_object_layout() -> None:
    """A Python object must begin as `_Holder` does, with nothing else before what it holds."""
    probe = object()
    begins = object.__basicsize__ == _Holder.picture.offset
    if not begins or _Holder.type.offset != ctypes.sizeof(ctypes.c_void_p):
        raise MissingExtra(_OTHER_PYTHON)
    if ctypes.c_void_p.from_address(id(probe) + _Holder.type.offset).value != id(object):
        raise MissingExtra(_OTHER_PYTHON)


_OTHER_PYTHON: Final = (
    "align: anime does not work on this Python, which lays out its objects in another way; use CPython with"
    " the GIL, or set align to none or mtcnn"
)
