"""The study's hypotheses as a rule: fixed signs, no learning, a score that adds up from its parts.

What drawing convention says of a villain: a cool, violet palette where the hero's is warm; hard
edges; deep shadow; pointed rather than round shapes (Bar & Neta 2006); an aura; scars and red marks
(Croley et al. 2017). The study names warm against cool as telling, and leaves the direction open: here
warm speaks for the hero, as it does in the demo cast by construction. Nothing here is fitted to a label.
"""

from __future__ import annotations

from typing import Annotated

from classifiers.heads._pipeline import Classifier, pipeline
from featurestore.schema import Above

__all__ = ["build"]


def build(
    *, seed: int, n_classes: int, positive: int, temperature: Annotated[float, Above(0)] = 0.4
) -> Classifier:
    """The rule: mean over hypotheses of the mean of their signed, standardised columns.

    Parameters
    ----------
    temperature : float
        The score at which the odds for the positive class are e to 1. Six independent
        hypotheses give a score of standard deviation 1 / sqrt(6) = 0.4.
    """
    from classifiers.heads._rule import Rule

    return pipeline(Rule(positive=positive, temperature=temperature), scale=False, named=True)
