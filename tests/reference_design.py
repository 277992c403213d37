"""Plain twins of the design features: whole arrays, one function a feature or small group.

Written with NumPy, OpenCV and scikit-image from docs/design-features.md; shares no code with the kernels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from skimage.measure import perimeter_crofton, shannon_entropy

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class Planes:
    """What several features need, computed once from the valid pixels."""

    rgb: Array
    h: Array
    s: Array
    v: Array
    grey: Array
    gx: Array
    gy: Array
    magnitude: Array
    laplacian: Array


def planes(rgb: Array) -> Planes:
    rgb = np.ascontiguousarray(rgb)
    h, s, v = cv2.split(cv2.cvtColor(rgb, cv2.COLOR_RGB2HSV))
    grey = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
    gx = cv2.Sobel(grey, cv2.CV_64F, 1, 0, ksize=3)
    gy = cv2.Sobel(grey, cv2.CV_64F, 0, 1, ksize=3)
    laplacian = cv2.Laplacian(grey, cv2.CV_64F, ksize=1)
    return Planes(rgb, h, s, v, grey, gx, gy, np.sqrt(gx**2 + gy**2), laplacian)


def centre(plane: Array) -> Array:
    h, w = plane.shape
    return plane[h // 4 : max(3 * h // 4, h // 4 + 1), w // 4 : max(3 * w // 4, w // 4 + 1)]


def entropy(counts: Array) -> float:
    p = counts[counts > 0] / counts.sum()
    return float(-(p * np.log2(p)).sum())


# colour


def rgb_moments(p: Planes) -> dict[str, float]:
    names = ("red", "green", "blue")
    found = {}
    for name, mean, std in zip(names, p.rgb.mean(axis=(0, 1)), p.rgb.std(axis=(0, 1)), strict=True):
        found[f"{name}_mean"], found[f"{name}_std"] = mean, std
    return found


def chromatic(p: Planes) -> Array:
    return (p.s >= 26) & (p.v >= 26)


def hue_circle(p: Planes) -> dict[str, float]:
    hues = p.h[chromatic(p)]
    if hues.size == 0:
        return {"hue_mean": 0.0, "hue_resultant": 0.0}
    z = np.exp(1j * hues * np.pi / 90).mean()
    if abs(z) <= 1e-9:
        return {"hue_mean": 0.0, "hue_resultant": 0.0}
    return {"hue_mean": float(np.angle(z)), "hue_resultant": float(abs(z))}


def saturation_and_value(p: Planes) -> dict[str, float]:
    return {
        "saturation_mean": p.s.mean(),
        "saturation_std": p.s.std(),
        "value_mean": p.v.mean(),
        "value_std": p.v.std(),
        "vivid_share": (p.s > 178).mean(),
        "muted_share": (p.s < 51).mean(),
    }


def warm_and_cool(p: Planes) -> dict[str, float]:
    warm = (p.h < 30) | (p.h >= 150)
    cool = (p.h >= 75) & (p.h < 135)
    return {"warm_share": (chromatic(p) & warm).mean(), "cool_share": (chromatic(p) & cool).mean()}


def grey_levels(p: Planes) -> dict[str, float]:
    low, high = np.percentile(p.grey, [5, 95], method="inverted_cdf")
    return {
        "grey_mean": p.grey.mean(),
        "grey_std": p.grey.std(),
        "grey_range": float(high) - float(low),
        "grey_entropy": shannon_entropy(p.grey),
    }


# texture


def sobel(p: Planes) -> dict[str, float]:
    edge = p.magnitude >= 96
    return {
        "sobel_mean": p.magnitude.mean(),
        "sobel_std": p.magnitude.std(),
        "edge_density": edge.mean(),
        "edge_strength": p.magnitude[edge].mean() if edge.any() else 0.0,
    }


def axes(p: Planes) -> dict[str, float]:
    x, y = np.abs(p.gx).sum(), np.abs(p.gy).sum()
    return {
        "gx_mean": x / p.gx.size,
        "gy_mean": y / p.gx.size,
        "axis_balance": (x - y) / (x + y) if x + y > 0 else 0.0,
    }


def structure_tensor(p: Planes) -> dict[str, float]:
    xx, yy, xy = (p.gx**2).sum(), (p.gy**2).sum(), (p.gx * p.gy).sum()
    if xx + yy == 0:
        return {"coherence": 0.0, "orientation": 0.0}
    theta = 0.5 * np.arctan2(2 * xy, xx - yy)
    return {
        "coherence": np.sqrt((xx - yy) ** 2 + 4 * xy**2) / (xx + yy),
        "orientation": theta + np.pi if theta <= -np.pi / 4 else theta,
    }


def laplacian(p: Planes) -> dict[str, float]:
    return {"laplacian_mean": np.abs(p.laplacian).mean(), "laplacian_variance": p.laplacian.var()}


def local_variance(p: Planes) -> dict[str, float]:
    g = p.grey.astype(np.float64)
    s = cv2.boxFilter(g, -1, (5, 5), normalize=False)
    q = cv2.boxFilter(g**2, -1, (5, 5), normalize=False)
    variance = (25 * q - s**2) / 625
    return {"local_variance_mean": variance.mean(), "local_std_std": np.sqrt(variance).std()}


def gradient_entropy(p: Planes) -> dict[str, float]:
    bins = np.minimum(p.magnitude // 8, 127).astype(int)
    return {"gradient_entropy": entropy(np.bincount(bins.ravel()))}


# shape


def regions(p: Planes) -> dict[str, float]:
    h, w = p.grey.shape
    rim = np.ones((h, w), bool)
    rim[h // 8 : h - h // 8, w // 8 : w - w // 8] = False
    middle = centre(p.grey).mean()
    top, bottom = p.grey[: (h + 1) // 2], p.grey[h // 2 :]
    return {
        "centre_mean": middle,
        "centre_minus_rim": middle - p.grey[rim].mean() if rim.any() else 0.0,
        "top_left_mean": top[:, : (w + 1) // 2].mean(),
        "top_right_mean": top[:, w // 2 :].mean(),
        "bottom_left_mean": bottom[:, : (w + 1) // 2].mean(),
        "bottom_right_mean": bottom[:, w // 2 :].mean(),
    }


def symmetry(p: Planes) -> dict[str, float]:
    if p.grey.min() == p.grey.max():
        return {"symmetry": 1.0}
    return {"symmetry": np.corrcoef(p.grey.ravel(), p.grey[:, ::-1].ravel())[0, 1]}


def place_of_detail(p: Planes) -> dict[str, float]:
    weight = np.abs(p.gx) + np.abs(p.gy)
    total = weight.sum()
    if total == 0:
        return {"centroid_offset": 0.0, "radial_spread": 0.0}
    h, w = weight.shape
    y, x = np.mgrid[:h, :w]
    cy, cx = (weight * y).sum() / total, (weight * x).sum() / total
    spread = (weight * ((x - cx) ** 2 + (y - cy) ** 2)).sum() / total
    half = np.hypot(h, w) / 2
    return {
        "centroid_offset": np.hypot(cx - (w - 1) / 2, cy - (h - 1) / 2) / half,
        "radial_spread": np.sqrt(spread) / half,
    }


def roundness(p: Planes) -> dict[str, float]:
    if p.grey.min() == p.grey.max():
        return {"roundness": 0.0}
    _, bright = cv2.threshold(p.grey, 0, 1, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    border = np.ones(bright.shape, bool)
    border[1:-1, 1:-1] = False
    mask = bright == 1
    if mask[border].mean() > 0.5:
        mask = ~mask
    return {"roundness": 4 * np.pi * mask.sum() / perimeter_crofton(mask, directions=4) ** 2}


def angularity(p: Planes) -> dict[str, float]:
    edge = p.magnitude >= 96
    if not edge.any():
        return {"angularity": 0.0}
    theta = np.arctan2(p.gy[edge], p.gx[edge])
    bins = np.round(theta / (np.pi / 16)).astype(int) % 16
    return {"angularity": 1 - entropy(np.bincount(bins)) / 4}


# higher level


def shadow(p: Planes) -> dict[str, float]:
    dark = p.grey < 64
    h, w = dark.shape
    cells = np.array(
        [
            dark[j * h // 8 : (j + 1) * h // 8, i * w // 8 : (i + 1) * w // 8].sum()
            for j in range(8)
            for i in range(8)
        ]
    )
    return {
        "shadow_density": dark.mean(),
        "shadow_concentration": 1 - entropy(cells) / 6 if dark.any() else 0.0,
    }


def aura(p: Planes) -> dict[str, float]:
    h, w = p.grey.shape
    y, x = np.mgrid[:h, :w]
    radius = np.hypot((2 * x + 1 - w) / w, (2 * y + 1 - h) / h)
    ring = (radius >= 0.70) & (radius < 0.95)
    if not ring.any():
        return {"aura_mean": 0.0, "aura_dark_share": 0.0, "aura_glow_share": 0.0}
    return {
        "aura_mean": p.grey[ring].mean(),
        "aura_dark_share": (p.grey[ring] < 64).mean(),
        "aura_glow_share": ((p.v[ring] >= 204) & (p.s[ring] >= 102)).mean(),
    }


def skin(p: Planes) -> Array:
    return (p.h <= 25) & (p.s >= 38) & (p.s <= 173) & (p.v >= 89)


def marks(p: Planes) -> dict[str, float]:
    on_skin = centre(skin(p))
    strong = np.abs(centre(p.laplacian)) >= 64
    red = ((p.h < 8) | (p.h >= 172)) & (p.s >= 128) & (p.v >= 77)
    return {
        "scar_likelihood": strong[on_skin].mean() if on_skin.any() else 0.0,
        "red_mark_share": centre(red).mean(),
        "skin_share": skin(p).mean(),
        "highlight_share": ((p.v >= 240) & (p.s <= 25)).mean(),
    }


# palette


def palette(p: Planes) -> dict[str, float]:
    names = ("red", "orange", "lime", "green", "cyan", "blue", "violet", "pink")
    mask = chromatic(p)
    bins = ((p.h[mask].astype(int) + 11.25) // 22.5).astype(int) % 8
    weights = np.bincount(bins, weights=p.s[mask], minlength=8)
    shares = weights / max(weights.sum(), 1)
    return {f"palette_{name}": share for name, share in zip(names, shares, strict=True)}


def colourfulness(p: Planes) -> dict[str, float]:
    r, g, b = (p.rgb[..., k].astype(np.float64) for k in range(3))
    rg, yb = r - g, 0.5 * (r + g) - b
    return {"colourfulness": np.hypot(rg.std(), yb.std()) + 0.3 * np.hypot(rg.mean(), yb.mean())}


#: Every twin; together they give each column once.
TWINS: tuple[Callable[[Planes], dict[str, float]], ...] = (
    rgb_moments, hue_circle, saturation_and_value, warm_and_cool, grey_levels,
    sobel, axes, structure_tensor, laplacian, local_variance, gradient_entropy,
    regions, symmetry, place_of_detail, roundness, angularity,
    shadow, aura, marks,
    palette, colourfulness,
)  # fmt: skip


def reference(rgb: Array) -> dict[str, float]:
    """All features of the valid pixels of an image."""
    p = planes(rgb)
    found: dict[str, float] = {}
    for twin in TWINS:
        part = twin(p)
        assert not found.keys() & part.keys()
        found.update(part)
    return found
