"""Does an outcome go with the role, where images of one series are alike? The mixed model and its test.

Owns the model ``outcome ~ role + covariates + (1 | group)``, which roles may be exchanged, the p-value and
the interval that come of it. Refuses to know what the outcome is and which verdict follows: arrays in, values
out.

The effect is the model's, by REML (statsmodels). Its test exchanges roles as
`classifiers.leakage.identity.exchange` says: series of one role with each other, as a whole; inside a
series of both roles its characters, or images. So what a series looks like stays with the series, and only
the link of looks and role is cut. Each exchange is judged by the same statistic: the generalised least
squares estimate, divided by an error that takes each group's residuals together (Liang & Zeger 1986). The
ratio of variances behind it comes from the model without the role, which is the same for every exchange, so
that the p-value is exact where there are no covariates; dividing by that error keeps it near its level
where there are (Chung & Romano 2013; DiCiccio & Romano 2017). The interval has the estimate in its middle
and takes as many errors to either side as the 95th percentile of the exchanges.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from classifiers.intervals import MIN_GROUPS
from classifiers.leakage.identity import exchange

__all__ = [
    "MIN_WAYS",
    "Exchanges",
    "RoleEffect",
    "exchanges",
    "judged",
    "role_effect",
    "variance_ratio",
    "why_not",
]

log = logging.getLogger(__name__)

#: With fewer ways to exchange roles no p-value can fall below 0.05.
MIN_WAYS: Final = 20

#: Values held at once (exchanges x images); 16 MiB of float64.
_CHUNK: Final = 1 << 21

#: Shares of the variance that lie between groups, at which the search begins.
_GRID: Final = np.linspace(0.0, 0.98, 15)

#: Equal statistics may differ in the last bits.
_TIE: Final = 1e-9

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.intp]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Exchanges:
    """Roles as they are and as they might have been.

    Attributes
    ----------
    roles : ndarray of bool, shape (draws + 1, n)
        Whether each image is of the positive class; the first row is the truth.
    group : ndarray of intp, shape (n,)
        Codes of the coarsest groups, 0 to g - 1.
    n_ways : int
        Different rows.
    """

    roles: Mask
    group: Codes
    n_ways: int

    @property
    def n_groups(self) -> int:
        """How many groups there are."""
        return int(self.group.max()) + 1 if len(self.group) else 0


@dataclass(frozen=True)
class RoleEffect:
    """How much an outcome differs between the roles.

    Attributes
    ----------
    effect, low, high : float or None
        In the outcome's unit, with the ends of the 95% interval.
    p : float or None
        Two-sided.
    bare : float or None
        The effect of a model without covariates.
    model : str
        Which was fitted.
    reason : str
        Why there is no p-value; empty if there is one.
    """

    effect: float | None = None
    low: float | None = None
    high: float | None = None
    p: float | None = None
    bare: float | None = None
    model: str = ""
    reason: str = ""


def exchanges(
    role: Mask, levels: Sequence[npt.NDArray[Any]], *, draws: int, rng: np.random.Generator
) -> Exchanges:
    """Draw exchanges of roles.

    Parameters
    ----------
    role : ndarray of bool, shape (n,)
    levels : sequence of ndarray, shape (n,)
        Groups, coarsest first, each nested in the one before; none = images alone.

    Examples
    --------
    >>> role = np.array([True, True, False, False])
    >>> made = exchanges(role, [np.array([0, 0, 1, 1])], draws=50, rng=np.random.default_rng(0))
    >>> made.n_ways, bool((made.roles.sum(1) == 2).all())
    (2, True)
    """
    made = exchange(role.astype(np.intp), levels)
    drawn = np.stack([role, *(made.draw(rng).astype(bool) for _ in range(draws))])
    _, group = np.unique(levels[0] if len(levels) else np.arange(len(role)), return_inverse=True)
    packed = np.packbits(drawn, axis=1)
    n_ways = len(np.unique(packed.view([("", packed.dtype)] * packed.shape[1]))) if packed.size else 0
    return Exchanges(drawn, group, n_ways)


def why_not(made: Exchanges) -> str:
    """Why no difference between the roles can be tested with these exchanges; empty if it can."""
    truth = made.roles[0]
    if not truth.any() or truth.all():
        return "all images are of one class"
    if made.n_groups < MIN_GROUPS:
        return f"{made.n_groups} groups, and fewer than {MIN_GROUPS} say too little of others"
    if made.n_ways < MIN_WAYS:
        return f"roles can be exchanged in {made.n_ways} ways only: too few groups of a role, none with both"
    return ""


def judged(statistic: Floats) -> tuple[float, float]:
    """P-value of the first statistic among all, and the 95th percentile of the others' distances from 0.

    The truth counts as an exchange, so that p is never 0 (Phipson & Smyth 2010).

    Examples
    --------
    >>> judged(np.array([3.0, -1.0, 0.5, -3.0]))[0]
    0.5
    """
    size = np.abs(statistic)
    return float(np.mean(size >= size[0] - _TIE)), float(np.quantile(size[1:], 0.95))


def _sums(values: Floats, group: Codes) -> Floats:
    """Sums over the last axis by group; groups stand together, ascending."""
    starts = np.flatnonzero(np.diff(group, prepend=-1))
    summed: Floats = np.add.reduceat(values, starts, axis=-1)
    return summed


def _whitened(values: Floats, group: Codes, ratio: float) -> Floats:
    """Values (.., n) less a part of their group's mean, so that errors become independent."""
    size = np.bincount(group)
    part = (1 - 1 / np.sqrt(1 + size * ratio)) / size
    found: Floats = values - (_sums(values, group) * part)[..., group]
    return found


def variance_ratio(outcome: Floats, fixed: Floats, group: Codes) -> float:
    """Variance between groups over variance within, by REML; 0 where groups explain nothing.

    With the fixed effects and the scale profiled out, the restricted likelihood is a function of this
    one number (Lindstrom & Bates 1988). It is searched on a grid of v / (1 + v) first, which cannot miss
    a hill for another, and refined between its neighbours.

    Parameters
    ----------
    outcome : ndarray of float64, shape (n,)
    fixed : ndarray of float64, shape (n, p)
        Of full rank.
    group : ndarray of intp, shape (n,)
        Codes, in any order.
    """
    from scipy.optimize import minimize_scalar

    n, p = fixed.shape
    size = np.bincount(group)
    if len(size) == n:
        return 0.0
    table = np.column_stack([fixed, outcome])
    sums = np.stack([np.bincount(group, weights=column) for column in table.T])
    crossed = table.T @ table

    def lost(share: float) -> float:
        ratio = share / (1 - share)
        left = crossed - (sums * (ratio / (1 + size * ratio))) @ sums.T
        _, volume = np.linalg.slogdet(left[:p, :p])
        rest = left[p, p] - left[p, :p] @ np.linalg.solve(left[:p, :p], left[:p, p])
        return float(np.log1p(size * ratio).sum() + volume + (n - p) * np.log(max(float(rest), 1e-300)))

    found = [lost(share) for share in _GRID]
    best = int(np.argmin(found))
    ends = (float(_GRID[max(best - 1, 0)]), float(_GRID[best + 1]) if best + 1 < len(_GRID) else 0.9999)
    refined = minimize_scalar(lost, bounds=ends, method="bounded", options={"xatol": 1e-6})
    share = float(refined.x)
    if refined.fun > found[0] - 1e-9 or share < 1e-4:
        return 0.0
    return share / (1 - share)


def _fitted(outcome: Floats, fixed: Floats, group: Codes) -> tuple[float, str]:
    """The ratio of variances by statsmodels, and what was fitted."""
    if int(group.max()) + 1 == len(group):
        return 0.0, "OLS: no groups"
    start = variance_ratio(outcome, fixed, group)
    if start == 0.0:
        return 0.0, "OLS: no variance between groups"
    from statsmodels.regression.mixed_linear_model import MixedLM, MixedLMParams

    begin = MixedLMParams.from_components(fe_params=np.zeros(fixed.shape[1]), cov_re=np.array([[start]]))
    with warnings.catch_warnings():  # statsmodels warns near the boundary; what it found is looked at below
        warnings.simplefilter("ignore")
        try:
            fitted = MixedLM(outcome, fixed, groups=group).fit(reml=True, start_params=begin)
            ratio = float(fitted.cov_re[0, 0] / fitted.scale)
        except (np.linalg.LinAlgError, ValueError):
            log.debug("the mixed model was singular", exc_info=True)
            return start, "mixed model, its variances by a search"
    if not fitted.converged or not np.isfinite(ratio) or ratio < 0:
        return start, "mixed model, its variances by a search"
    return ratio, "mixed model"


def _statistics(
    roles: Mask, outcome: Floats, fixed: Floats, group: Codes, ratio: float
) -> tuple[Floats, Floats]:
    """Estimate and its error under each row of roles, both of shape (draws,); groups stand together.

    What the fixed effects explain is taken from both sides first (Frisch & Waugh 1933). Where nothing is
    left of a row of roles, its estimate is 0 and its error infinite.
    """
    basis, _ = np.linalg.qr(_whitened(fixed.T, group, ratio).T)
    y = _whitened(outcome, group, ratio)
    y = y - basis @ (basis.T @ y)
    n_groups = int(group.max()) + 1
    estimates, errors = [], []
    step = max(1, _CHUNK // len(y))
    for i in range(0, len(roles), step):
        x = _whitened(roles[i : i + step].astype(float), group, ratio)
        x -= (x @ basis) @ basis.T
        left = (x * x).sum(axis=1)
        gone = left < 1e-9 * len(y)
        left[gone] = np.inf
        estimate = (x @ y) / left
        scores = _sums(x * y, group) - estimate[:, None] * _sums(x * x, group)
        error = np.sqrt((scores**2).sum(axis=1) * n_groups / (n_groups - 1)) / left
        error[gone] = np.inf
        estimates.append(estimate)
        errors.append(np.maximum(error, 1e-12))
    return np.concatenate(estimates), np.concatenate(errors)


def role_effect(outcome: Floats, covariates: Floats, made: Exchanges) -> RoleEffect:
    """How much more of an outcome images of the positive class have, all else in the model being equal.

    Parameters
    ----------
    outcome : ndarray of float64, shape (n,)
        Finite.
    covariates : ndarray of float64, shape (n, c)
        Standardised, of full rank with a constant.
    made : Exchanges
        Of these images.
    """
    reason = why_not(made)
    if made.roles[0].all() or not made.roles[0].any():
        return RoleEffect(reason=reason)
    if len(outcome) <= covariates.shape[1] + 2:
        return RoleEffect(
            reason=f"{len(outcome)} images are too few for {covariates.shape[1]} technical columns"
        )
    order = np.argsort(made.group, kind="stable")
    y, roles, group = outcome[order], made.roles[:, order], made.group[order]
    alone = np.ones((len(y), 1))
    fixed = np.column_stack([alone, covariates[order]])
    full = np.column_stack([fixed, roles[0]])
    if np.linalg.matrix_rank(full, tol=1e-6 * np.sqrt(len(y))) < full.shape[1]:
        return RoleEffect(reason="the technical columns tell the role, so that the two cannot be told apart")
    ratio, model = _fitted(y, full, group)
    (effect,), (error,) = _statistics(roles[:1], y, fixed, group, ratio)
    free = variance_ratio(y, np.column_stack([alone, roles[0]]), group)
    (bare,), _ = _statistics(roles[:1], y, alone, group, free)
    if reason:
        return RoleEffect(float(effect), bare=float(bare), model=model, reason=reason)
    under_null = variance_ratio(y, fixed, group)
    estimates, errors = _statistics(roles, y, fixed, group, under_null)
    p, reach = judged(estimates / errors)
    ends = effect - reach * error, effect + reach * error
    return RoleEffect(float(effect), float(ends[0]), float(ends[1]), p, float(bare), model)
