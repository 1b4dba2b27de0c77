"""1/λ from the f–I curve alone: no network runs, only the drives it visited are asked.

The neuron stands for the unit if f(gain·unit·x + offset)/inverse_lambda + floor = φ(x)
wherever x goes. With gain 1 and offset 0 that is the published mapping (Kim, Li &
Sejnowski 2019, doi:10.1073/pnas.1905926116), whose 1/λ was found by a grid search.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
import numpy.typing as npt
from jaxtyping import Float64
from scipy.optimize import minimize

from isotau.convert.ground import validation
from isotau.convert.neuron.activation import activate
from isotau.convert.neuron.fi_curve import FICurve, curve, evaluate
from isotau.convert.neuron.lif_constants import PUBLISHED, LIFConstants
from isotau.convert.records.rate import RateRNN

BINS = 1000
"""Bins of the visited drives; they widen away from zero."""
TOGETHER = 1 << 16
"""States that are put into bins at a time."""
GAINS = np.geomspace(0.3e-3, 30e-3, 17)
"""Volts per 1 of x where the search for a gain starts; it keeps within the ends."""
OFFSETS = np.linspace(-20e-3, 40e-3, 25)
"""Drives at x = 0, in volts above threshold, for the search of an offset."""
TAU_MEM = (5e-3, 10e-3)
REFRACTORY = (2e-3, 5e-3, 10e-3)
NOISE_STD = (1e-3, 3e-3, 5e-3)


@dataclass(frozen=True, kw_only=True, slots=True)
class LambdaMatch:
    """How a neuron stands for a unit, and how well.

    Attributes:
        constants: of the neuron, as they were given.
        inverse_lambda: 1/λ, firing rate that stands for 1 of r − floor, in Hz.
        gain: factor on `constants.unit`.
        offset: drive added to `constants.v_leak`, in volts.
        floor: r of a silent neuron: -1 for tanh, which has no other way, else 0.
        misfit: root mean square of f/inverse_lambda + floor − φ(x) over the visited x.
    """

    constants: LIFConstants
    inverse_lambda: float
    gain: float
    offset: float
    floor: float
    misfit: float


def analytic_inverse_lambda(
    rate: RateRNN,
    x: npt.ArrayLike,
    constants: LIFConstants = PUBLISHED,
    *,
    fit_gain: bool = False,
    fit_offset: bool = False,
    lowest: float = 0.0,
    highest: float = np.inf,
) -> LambdaMatch:
    """Return the 1/λ that brings λ f nearest to φ over the visited x, least squares.

    Args:
        rate: the network; its activation and ceiling are matched.
        x: states that it visited, of any shape (`simulate_rate` with `keep_x`); each
            counts once.
        constants: of the neuron.
        fit_gain: whether the volts per 1 of x may differ from `constants.unit`.
        fit_offset: whether a constant drive may be added.
        lowest: smallest 1/λ allowed, in Hz. The curve's foot fits best at low rates,
            where spikes are few and the noise of the rates is large.
        highest: largest 1/λ allowed, in Hz. A free gain is drawn to the refractory
            ceiling, which saturates as a sigmoid does, at 200 Hz and more.

    Raises:
        ValueError: neuron and unit are never both active at these x.
    """
    if not 0 <= lowest <= highest or highest == 0:
        raise ValueError(
            f"lowest, highest: got {lowest} and {highest} Hz, need 0 ≤ lowest ≤ "
            "highest and highest > 0"
        )
    # of λ, which the least squares find, not of its inverse
    bounds = 1 / highest, 1 / lowest if lowest else np.inf
    x, weights = _histogram(x)
    floor = -1.0 if rate.activation == "tanh" else 0.0
    target = activate(x, rate.activation, rate.ceiling) - floor
    fi, leak = curve(constants), constants.v_leak - constants.v_th
    gains = GAINS if fit_gain else np.array([constants.unit])
    offsets = OFFSETS if fit_offset else np.array([leak])

    def squared(place: np.ndarray) -> float:
        unit, drive = _volts(place, constants.unit, leak, fit_gain, fit_offset)
        return _project(fi, unit * x + drive, target, weights, bounds)[1]

    # log of volts and millivolts: steps of one size suit both
    starts = [
        np.array([np.log(unit)] * fit_gain + [1e3 * drive] * fit_offset)
        for unit, drive in product(gains, offsets)
    ]
    # the misfit (C9) has side minima, so the search begins on a grid
    place = min(starts, key=squared)
    if place.size:
        ends = [np.log(GAINS[[0, -1]])] * fit_gain + [
            1e3 * OFFSETS[[0, -1]]
        ] * fit_offset
        # Nelder and Mead's simplex: the curve is linear between points, without slope
        place = minimize(
            squared,
            place,
            method="Nelder-Mead",
            bounds=[tuple(end) for end in ends],
            options={"xatol": 1e-4, "fatol": 1e-10},
        ).x
    unit, drive = _volts(place, constants.unit, leak, fit_gain, fit_offset)
    scale, error = _project(fi, unit * x + drive, target, weights, bounds)
    # silent wherever the unit is active: any λ would do as badly
    if not scale > 0:
        raise ValueError(
            "x: got states where neuron and unit are never both active, need some; "
            "fit gain and offset or choose other constants"
        )
    return LambdaMatch(
        constants=constants,
        inverse_lambda=1 / scale,
        gain=unit / constants.unit,
        offset=drive - leak,
        floor=floor,
        misfit=float(np.sqrt(error)),
    )


def match_constants(
    rate: RateRNN,
    x: npt.ArrayLike,
    candidates: Sequence[LIFConstants],
    *,
    lowest: float = 0.0,
    highest: float = 100.0,
) -> tuple[LambdaMatch, ...]:
    """Return one match for each candidate, gain and offset fitted, the best first.

    Args:
        rate: the network.
        x: states that it visited.
        candidates: neurons to try; `candidate_constants` has some.
        lowest: smallest 1/λ allowed, in Hz.
        highest: largest 1/λ allowed, in Hz.
    """
    if not candidates:
        raise ValueError("candidates: got none, need at least one LIFConstants")
    matches = [
        analytic_inverse_lambda(
            rate, x, c, fit_gain=True, fit_offset=True, lowest=lowest, highest=highest
        )
        for c in candidates
    ]
    return tuple(sorted(matches, key=lambda match: match.misfit))


def candidate_constants(
    constants: LIFConstants = PUBLISHED,
) -> tuple[LIFConstants, ...]:
    """Return `constants` and variants of it that bend the f–I curve toward a sigmoid.

    A refractory period of several ms saturates it, a short membrane time constant and
    much noise widen its foot. Refractory periods that are no multiple of dt are left
    out.
    """
    # the neuron itself first: among equals the least change wins
    variants = [
        replace(constants, tau_mem=tau, refractory=period, noise_std=noise)
        for tau, period, noise in product(TAU_MEM, REFRACTORY, NOISE_STD)
        if abs(period / constants.dt - round(period / constants.dt)) < 1e-6
    ]
    return tuple(dict.fromkeys([constants, *variants]))


def matched_constants(match: LambdaMatch) -> LIFConstants:
    """Return the constants with the match's gain and offset in `unit` and `v_leak`.

    With these and the match's 1/λ, `rate_to_lif` makes the network that was matched.
    """
    return replace(
        match.constants,
        unit=match.gain * match.constants.unit,
        v_leak=match.constants.v_leak + match.offset,
    )


def _histogram(x: npt.ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean x of each bin that was visited, and the share of visits."""
    # of a long run, only where it went and how often matters
    x = validation.floats("x", x, np.shape(x), "states").ravel()
    if not x.size:
        raise ValueError("x: got no states, need those that the network visited")
    # asinh: even bins near zero, where φ bends, ever wider ones far out.
    low, high = np.arcsinh([x.min(), x.max()])
    density = BINS / ((high - low) or 1.0)
    bins = np.empty(x.size, np.intp)
    # A part at a time: what all of them would fill is read from no cache.
    for part in (slice(k, k + TOGETHER) for k in range(0, x.size, TOGETHER)):
        bins[part] = (np.arcsinh(x[part]) - low) * density
    np.minimum(bins, BINS - 1, out=bins)
    count = np.bincount(bins, minlength=BINS)
    total = np.bincount(bins, weights=x, minlength=BINS)
    visited = count > 0
    return total[visited] / count[visited], count[visited] / x.size


def _volts(
    place: np.ndarray, unit: float, drive: float, fit_gain: bool, fit_offset: bool
) -> tuple[float, float]:
    """Return volts per 1 of x and volts at x = 0 from the search's coordinates."""
    return (
        float(np.exp(place[0])) if fit_gain else unit,
        float(place[-1]) * 1e-3 if fit_offset else drive,
    )


def _project(
    fi: FICurve,
    drives: Float64[np.ndarray, " bins"],
    target: Float64[np.ndarray, " bins"],
    weights: Float64[np.ndarray, " bins"],
    bounds: tuple[float, float],
) -> tuple[float, float]:
    """Return the λ with λ f nearest to the target, and the mean square left.

    λ lies within the bounds; 0 where f and the target do not overlap.
    """
    f = evaluate(fi, drives)
    power, overlap = float(weights @ (f * f)), float(weights @ (f * target))
    scale = 0.0
    if power > 0 and overlap > 0:
        # (C8); the error is a parabola in λ, so a bound is best where it cuts
        scale = min(max(overlap / power, bounds[0]), bounds[1])
    return scale, float(weights @ (scale * f - target) ** 2)
