"""Edits of pixels, one design axis each, and for each a sham that changes as much and means nothing.

Owns the pixel functions, how strong they are, and the column of ``design`` that measures each. Refuses to
know files, extractors and heads. All lengths are parts of a picture's sides: an edit is the same at another
resolution.

An edit asks what a head says if only this is changed. A head may answer to the change and not to its meaning.
So each edit has a *sham*: the difference edited - original with the phases of its spectrum drawn anew (a
phase-randomised surrogate, Theiler et al. 1992). What was changed where is gone; how much of each spatial
frequency was changed, in which colour, and the root mean square over the picture are kept. A head that
answers to the sham as it does to the edit answers to change, not to design.

Theiler, J., Eubank, S., Longtin, A., Galdrikian, B., Farmer, J. D. (1992). Testing for nonlinearity in time
series: the method of surrogate data. Physica D 58.
"""

from __future__ import annotations

import functools
import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from extractors.conventions import HYPOTHESES

if TYPE_CHECKING:
    from extractors.base import RGB

__all__ = ["DOSES", "EDITS", "Edit", "rms", "sham", "sham_rng"]

Floats = npt.NDArray[np.float32]

#: Signed strengths at which pictures are edited, ascending; 0 is the picture itself.
DOSES: Final = (-1.0, -0.5, 0.5, 1.0)

#: Grey as ``COLOR_RGB2GRAY`` weighs it, so that an edit of colour alone moves hardly any column of grey.
_GREY: Final = np.array([0.299, 0.587, 0.114], np.float32)
#: Scales of blue - grey and red - grey (the U and V of PAL), and what is called orange and blue.
_U, _V = 0.492, 0.877
_ORANGE, _BLUE = (255.0, 136.0, 0.0), (0.0, 86.0, 255.0)
_TINY: Final = np.float32(1e-6)

#: Pull on a hue at full strength, as a part of its chroma; below 1 no hue jumps, whatever it is.
_TO_ORANGE, _TO_BLUE = 0.9, 0.65
#: At strength 1 the distance from the mean grey, the chroma, are so many times what they were.
_CONTRAST, _SATURATION = 1.25, 1.6
#: How far tones bend, by direction: lifted shadows are soon fewer than real pictures have.
_GROW, _LIFT = 1.0, 0.5
#: Standard deviation of the blur, as a part of the shorter side, and how much of what it takes is added at 1.
_BLUR: Final = 1 / 256
_SHARPEN: Final = 0.8
#: The ring of docs/design-features.md, its soft edge, and how much of the way to black or white it goes.
_RING_INNER, _RING_OUTER, _RING_EDGE = 0.70, 0.95, 0.10
_DARKEN, _LIGHTEN = 0.4, 0.3

#: Of a sham: attempts to match the edit's root mean square, how near is near enough, and the largest factor.
_ROUNDS: Final = 12
_CLOSE: Final = 0.02
_MOST: Final = 1e3


@dataclass(frozen=True)
class Edit:
    """One axis.

    Attributes
    ----------
    name : str
    apply : callable
        ``apply(image, strength)``: uint8 (h, w, 3) and a number from -1 to 1, of which 0 changes nothing.
    dial : str
        The column of ``design`` that measures it.
    less, more : str
        What a negative and a positive strength make of a picture, in a word or two.
    raised : str
        The column of the design conventions that a positive strength raises; empty where they are silent.
    """

    name: str
    apply: Callable[[RGB, float], RGB]
    dial: str
    less: str
    more: str
    raised: str = ""

    @property
    def speaks(self) -> int:
        """Strength of this sign speaks for the positive class by `HYPOTHESES`; 0 where they are silent."""
        signs = {column: sign for one in HYPOTHESES.values() for column, sign in one.items()}
        return signs.get(self.raised, 0)


def _checked(image: RGB, strength: float) -> Floats:
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or image.size == 0:
        raise ValueError(f"an image is uint8 (height, width, 3), not {image.dtype} {image.shape}")
    if not -1 <= strength <= 1:
        raise ValueError(f"strength: {strength!r} is not between -1 and 1")
    return image.astype(np.float32)


def _pixels(values: Floats) -> RGB:
    """Levels as bytes; ``values`` is overwritten: a new large array costs more than what is done with it."""
    np.rint(values, out=values)
    np.clip(values, 0, 255, out=values)
    return values.astype(np.uint8)


def _recoloured(grey: Floats, red: Floats, blue: Floats) -> RGB:
    """A picture of grey, red - grey and blue - grey, all (h, w); paled where a channel would leave 0..255."""
    from extractors.kernels.pixels import recolour

    found = np.empty((*grey.shape, 3), np.uint8)
    recolour(grey, red, blue, found)
    return found


def _direction(colour: tuple[float, float, float]) -> tuple[np.float32, np.float32]:
    """Of a colour in the plane of blue - grey and red - grey; length 1."""
    grey = float(np.dot(_GREY, colour))
    u, v = _U * (colour[2] - grey), _V * (colour[0] - grey)
    return np.float32(u / np.hypot(u, v)), np.float32(v / np.hypot(u, v))


def _warmth(image: RGB, strength: float) -> RGB:
    """Pull every hue towards orange, or blue; grey and chroma stay.

    A part of the chroma is added in the wanted direction, and the sum is brought back to the chroma it had.
    So hues between the two turn most, and those near either end least.
    """
    pixels = _checked(image, strength)
    grey = pixels @ _GREY
    u, v = _U * (pixels[..., 2] - grey), _V * (pixels[..., 0] - grey)
    colour, part = (_ORANGE, _TO_ORANGE) if strength > 0 else (_BLUE, _TO_BLUE)
    chroma, pull = np.sqrt(u * u + v * v), np.float32(part * abs(strength))
    to_u, to_v = _direction(colour)
    new_u, new_v = u + pull * chroma * to_u, v + pull * chroma * to_v
    back = chroma / np.maximum(np.sqrt(new_u * new_u + new_v * new_v), _TINY)
    return _recoloured(grey, new_v * back / np.float32(_V), new_u * back / np.float32(_U))


def _contrast(image: RGB, strength: float) -> RGB:
    """Multiply the distance from the picture's mean grey."""
    pixels = _checked(image, strength)
    mean = np.float32((pixels @ _GREY).mean(dtype=np.float64))
    pixels -= mean
    pixels *= np.float32(_CONTRAST**strength)
    pixels += mean
    return _pixels(pixels)


def _saturation(image: RGB, strength: float) -> RGB:
    """Multiply the distance of each colour from its grey; grey and hue stay."""
    pixels = _checked(image, strength)
    grey, times = pixels @ _GREY, np.float32(_SATURATION**strength)
    return _recoloured(grey, times * (pixels[..., 0] - grey), times * (pixels[..., 2] - grey))


def _shadow(image: RGB, strength: float) -> RGB:
    """Bend the tones: grey g in 0..1 becomes g^(2^(s (1 - g))); black, white and hue stay.

    Dark tones move most. At strength 1 whatever was below about 0.4 falls below the quarter of the range that
    counts as shadow.
    """
    pixels = _checked(image, strength)
    tone = np.arange(256, dtype=np.float64) / 255
    bend = strength * (_GROW if strength > 0 else _LIFT)
    bent = np.float_power(tone, np.exp2(bend * (1 - tone)))
    factor = np.divide(bent, tone, out=np.ones(256), where=tone > 0).astype(np.float32)
    grey: Floats = pixels @ _GREY
    np.multiply(pixels, factor[_pixels(grey)][..., None], out=pixels)
    return _pixels(pixels)


def _sharpness(image: RGB, strength: float) -> RGB:
    """Unsharp mask, or as much of a Gaussian blur as the strength says."""
    import cv2

    pixels = _checked(image, strength)
    sigma = _BLUR * min(image.shape[:2])
    blurred = cv2.GaussianBlur(pixels, (0, 0), sigma, borderType=cv2.BORDER_REFLECT_101)
    amount = strength * (_SHARPEN if strength > 0 else 1.0)
    sharper: Floats = np.asarray(cv2.addWeighted(pixels, 1 + amount, blurred, -amount, 0.0), np.float32)
    return _pixels(sharper)


@functools.lru_cache(8)
def _ring(height: int, width: int) -> Floats:
    """1 inside the ring, falling to 0 over its soft edges, shape (h, w, 1)."""
    y = (2 * np.arange(height) + 1 - height) / height
    x = (2 * np.arange(width) + 1 - width) / width
    r = np.sqrt(y[:, None] ** 2 + x**2)
    depth = np.minimum(r - _RING_INNER, _RING_OUTER - r) / _RING_EDGE + 1
    ring: Floats = np.clip(depth, 0, 1).astype(np.float32)[..., None]
    ring.flags.writeable = False
    return ring


def _aura(image: RGB, strength: float) -> RGB:
    """A dark ring around the figure, or a light one without a colour of its own."""
    pixels = _checked(image, strength)
    ring = _ring(*image.shape[:2]) * np.float32(abs(strength))
    if strength > 0:
        pixels *= 1 - np.float32(_DARKEN) * ring
        return _pixels(pixels)
    pixels *= 1 - np.float32(_LIGHTEN) * ring
    pixels += 255 * np.float32(_LIGHTEN) * ring
    return _pixels(pixels)


#: By name.
EDITS: Final[dict[str, Edit]] = {
    edit.name: edit
    for edit in (
        Edit("warmth", _warmth, "warm_share", "bluer", "more orange", raised="warm_share"),
        Edit("contrast", _contrast, "grey_std", "flatter", "more contrast"),
        Edit("saturation", _saturation, "saturation_mean", "greyer", "more vivid"),
        Edit("shadow", _shadow, "shadow_density", "shadows lifted", "shadows grown", raised="shadow_density"),
        Edit("sharpness", _sharpness, "edge_strength", "blurred", "sharpened", raised="edge_strength"),
        Edit("aura", _aura, "aura_mean", "light ring", "dark ring", raised="aura_dark_share"),
    )
}


def rms(one: RGB, other: RGB) -> float:
    """Root mean square difference over pixels and channels, in grey levels 0..255.

    Examples
    --------
    >>> rms(np.zeros((2, 2, 3), np.uint8), np.full((2, 2, 3), 3, np.uint8))
    3.0
    """
    from extractors.kernels.pixels import squares

    return math.sqrt(
        squares(np.ascontiguousarray(one).ravel(), np.ascontiguousarray(other).ravel()) / one.size
    )


def sham_rng(seed: int, key: str, edit: str, dose: float) -> np.random.Generator:
    """The generator of one sham: another for each picture, edit and dose, the same in every run."""
    said = f"{seed}\n{key}\n{edit}\n{dose:+.6f}".encode()
    return np.random.default_rng(np.frombuffer(hashlib.sha256(said).digest(), "<u4"))


def sham(original: RGB, edited: RGB, rng: np.random.Generator) -> RGB:
    """As large a change as ``edited`` is of ``original``, without its meaning.

    The Fourier phases of edited - original have those of white noise added to them, one field for all
    channels, so that the colour of the change stays. The mean change has no phase: its sign is drawn, and
    with it that of the whole. What comes of it is added to the original, scaled so that the change that is
    left after clipping to 0..255 has the root mean square of the edit, to two parts in a hundred.

    Parameters
    ----------
    original, edited : ndarray of uint8, shape (h, w, 3)
    rng : Generator
        From `sham_rng`.

    Returns
    -------
    ndarray of uint8, shape (h, w, 3)
        The original itself where the edit changed nothing.
    """
    import cv2
    from scipy import fft

    wanted = rms(edited, original)
    if wanted == 0:
        return original.copy()
    shape = original.shape[:2]
    base = np.ascontiguousarray(np.moveaxis(original, 2, 0))
    spectrum = fft.rfft2(np.moveaxis(edited, 2, 0).astype(np.float32, order="C") - base)
    phase = fft.rfft2(rng.random(shape, dtype=np.float32))
    phase /= np.maximum(np.abs(phase), _TINY)
    phase[0, 0] = 1.0
    spectrum *= phase
    change: Floats = fft.irfft2(spectrum, s=shape, overwrite_x=True)
    if rng.random() < 0.5:
        np.negative(change, out=change)
    return np.asarray(cv2.merge(list(_scaled(base, change, wanted))), np.uint8)


def _scaled(base: npt.NDArray[np.uint8], change: Floats, wanted: float) -> npt.NDArray[np.uint8]:
    """``base`` plus so much of ``change`` that the root mean square after clipping is the wanted one."""
    from extractors.kernels.pixels import lay

    factor, result = 1.0, np.empty_like(base)
    for _ in range(_ROUNDS):
        found = math.sqrt(
            lay(base.ravel(), change.ravel(), np.float32(factor), result.reshape(-1)) / base.size
        )
        if abs(found / wanted - 1) < _CLOSE:
            break
        factor = min(factor * (wanted / found if found else 2.0), _MOST)
    return result
