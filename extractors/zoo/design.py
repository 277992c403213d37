"""Design features: 63 named statistics of colour, texture, shape and palette, on 256x256 pixels.

Owns the columns' names, order and groups, and the call of the kernels. The formulas stand in
docs/design-features.md, the loops in `extractors.kernels`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

from extractors.base import Card, Context

if TYPE_CHECKING:
    from extractors.base import Extractor

__all__ = ["CARD", "COLUMNS", "GROUPS", "SIZE_PX", "VERSION", "build"]

#: Group to columns; a store's columns are these in order.
GROUPS: Final[dict[str, tuple[str, ...]]] = {
    "colour": (
        "red_mean", "green_mean", "blue_mean", "red_std", "green_std", "blue_std",
        "hue_mean", "hue_resultant",
        "saturation_mean", "saturation_std", "value_mean", "value_std",
        "grey_mean", "grey_std", "grey_range",
        "warm_share", "cool_share", "vivid_share", "muted_share",
    ),
    "texture": (
        "sobel_mean", "sobel_std", "edge_density", "edge_strength",
        "gx_mean", "gy_mean", "axis_balance", "coherence", "orientation",
        "laplacian_mean", "laplacian_variance", "local_variance_mean", "local_std_std",
        "grey_entropy", "gradient_entropy",
    ),
    "shape": (
        "centre_mean", "centre_minus_rim",
        "top_left_mean", "top_right_mean", "bottom_left_mean", "bottom_right_mean",
        "symmetry", "centroid_offset", "radial_spread", "roundness", "angularity",
    ),
    "higher": (
        "shadow_density", "shadow_concentration",
        "aura_mean", "aura_dark_share", "aura_glow_share",
        "scar_likelihood", "red_mark_share", "skin_share", "highlight_share",
    ),
    "palette": (
        "palette_red", "palette_orange", "palette_lime", "palette_green",
        "palette_cyan", "palette_blue", "palette_violet", "palette_pink",
        "colourfulness",
    ),
}  # fmt: skip

#: The 63 columns.
COLUMNS: Final[tuple[str, ...]] = tuple(name for names in GROUPS.values() for name in names)

#: Moves when a kernel or the fitting gives another value for the same pixels and params.
VERSION: Final = 1

#: Side of the square on which everything is measured.
SIZE_PX: Final = 256

CARD: Final = Card(
    summary="63 named statistics of colour, texture, shape and palette, from fused kernels",
    n_columns=len(COLUMNS),
)


def build(*, context: Context = Context(), fit: Literal["crop", "pad", "squash"] = "crop") -> Extractor:
    """Build the extractor.

    Parameters
    ----------
    fit : {"crop", "pad", "squash"}
        How a picture becomes 256x256; padding takes no part in any statistic.

    Returns
    -------
    Extractor
        Safe to call from several threads at once; releases the GIL in its kernels.
    """
    from extractors.kernels.assembly import Design

    return Design(fit=fit, columns=COLUMNS, size_px=SIZE_PX, version=VERSION)
