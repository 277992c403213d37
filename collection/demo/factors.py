"""The latent factors of a character, how role moves them, and the best accuracy they allow.

Owns: the names, the effect sizes and the Bayes accuracy. Refuses to know how a factor looks.
Imports no numpy: ``--help`` and the checks of options read it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType

__all__ = [
    "ANTIHERO_EFFECT",
    "ANTIHERO_SHARE",
    "EFFECTS",
    "FACTORS",
    "ROLES",
    "bayes_accuracy",
    "mean",
    "separation",
]

#: Role and the label (folder) it stands in.
ROLES: Mapping[str, str] = MappingProxyType({"hero": "hero", "villain": "villain", "antihero": "villain"})

#: Mean of a villain minus mean of a hero, in standard deviations within a role. Within a role the
#: factors are independent standard normals. Eye openness is the planted null.
EFFECTS: Mapping[str, float] = MappingProxyType(
    {
        "palette_warmth": -1.4,
        "angularity": 1.2,
        "line_sharpness": 1.2,
        "shadow_density": 1.5,
        "eye_openness": 0.0,
        "saturation": -1.0,
        "aura": 1.0,
        "scars": 1.0,
    }
)

FACTORS: tuple[str, ...] = tuple(EFFECTS)

#: How far from hero to villain an antihero's mean lies, as a share of the effect.
ANTIHERO_EFFECT = 0.55

#: Share of antiheroes in the class ``villain``.
ANTIHERO_SHARE = 1 / 3

_POSITION = {"hero": -0.5, "villain": 0.5, "antihero": ANTIHERO_EFFECT - 0.5}


def mean(role: str, factor: str) -> float:
    """Mean of a factor in a role, in standard deviations; heroes and villains lie either side of zero.

    Examples
    --------
    >>> mean("villain", "shadow_density") - mean("hero", "shadow_density")
    1.5
    """
    return _POSITION[role] * EFFECTS[factor]


def separation() -> float:
    """Distance between the means of heroes and villains, in standard deviations: the effects' norm."""
    return math.sqrt(math.fsum(effect**2 for effect in EFFECTS.values()))


def _below(z: float) -> float:
    """Return the share of a standard normal below z."""
    return 0.5 * math.erfc(-z / math.sqrt(2))


def _accuracy_at(threshold: float, d: float) -> float:
    """Accuracy of "villain above the threshold" on the axis that joins the means (hero at 0)."""
    heroes = _below(threshold)
    villains = _below(d - threshold)
    antiheroes = _below(ANTIHERO_EFFECT * d - threshold)
    return 0.5 * heroes + 0.5 * ((1 - ANTIHERO_SHARE) * villains + ANTIHERO_SHARE * antiheroes)


def bayes_accuracy() -> float:
    """Accuracy of the best possible decision hero or villain, given the true factors and nothing else.

    The three means lie on one line and the covariance is the identity, so the likelihood ratio depends
    on the position along that line alone and rises with it: the best rule is one threshold there. It
    is found by ternary search (the accuracy has one peak between the hero's and the villain's mean).

    Returns
    -------
    float
        A share in [0.5, 1]; the classes are equally large.
    """
    d = separation()
    low, high = 0.0, d
    for _ in range(100):
        third = (high - low) / 3
        if _accuracy_at(low + third, d) < _accuracy_at(high - third, d):
            low += third
        else:
            high -= third
    return _accuracy_at((low + high) / 2, d)
