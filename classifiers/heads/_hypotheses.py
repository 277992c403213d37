"""The study's hypotheses as signed columns of ``design``. Imports nothing."""

from __future__ import annotations

__all__ = ["HYPOTHESES"]

#: Hypothesis -> column -> +1 where more of it speaks for the positive class, -1 where less does.
HYPOTHESES: dict[str, dict[str, int]] = {
    "warm_palette": {"design/warm_share": -1, "design/cool_share": 1},
    "edge_sharpness": {"design/edge_strength": 1, "design/laplacian_variance": 1},
    "shadow_density": {"design/shadow_density": 1},
    "angularity": {"design/angularity": 1, "design/roundness": -1},
    "aura": {"design/aura_dark_share": 1, "design/aura_glow_share": 1},
    "scars": {"design/scar_likelihood": 1, "design/red_mark_share": 1},
}
