"""The f–I curve: at which rate the neuron of `LIFConstants` fires under steady drive.

The neuron steps by equation (I1), fires where v > v_th, and then stays at v_reset for
the refractory steps. So it is seen only every dt, which at 1 ms costs it a tenth of its
rate, and intervals are whole numbers of steps.
"""

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from jaxtyping import Float64
from scipy.special import dawsn, erfcx
from threadpoolctl import threadpool_limits

from isotau.convert.ground.representation import short_repr
from isotau.convert.ground.validation import Numbers, check_fields, floats, length
from isotau.convert.neuron.cubic_spline import spline_through
from isotau.convert.neuron.interpolation_kernels import read_table
from isotau.convert.neuron.lif_constants import PUBLISHED, LIFConstants

UNIT_RATE = 50.0
"""Firing rate that stands for 1 of the "lif" activation, in Hz."""
LOWEST, HIGHEST, STEP = -20e-3, 80e-3, 0.05e-3
"""Drives of a `FICurve`, in volts; it begins at -8 noise_std if that is lower."""
OVERSHOOT = 0.5825971579390107
"""−ζ(1/2)/√(2π): how far a Gaussian random walk lands beyond a level, in steps' SD."""
RESOLUTION = 1.7
"""Quadrature points per standard deviation of a step's noise."""
MOST_POINTS = 400
"""Quadrature points beyond which Siegert's formula serves."""
SLOWEST = 1e-6
"""Spikes per step below which Siegert's formula serves."""
CHUNK = 16
"""Drives that are solved at once, on the points that the lowest of them needs."""
NODES, WEIGHTS = np.polynomial.legendre.leggauss(48)


@short_repr
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class FICurve:
    """Firing rates on a uniform grid of drives.

    Attributes:
        constants: of the neuron.
        start: first drive, in volts.
        step: between two drives, in volts.
        rates: at start, start + step, …, in Hz; they never fall.
    """

    constants: LIFConstants
    start: float
    step: float
    rates: Float64[np.ndarray, " points"]

    def __post_init__(self) -> None:
        """Check and freeze every field."""
        points = length("rates", self.rates, ndim=1)
        check_fields(self, RULES, points=points)
        if points < 2 or (np.diff(self.rates) < 0).any():
            raise ValueError(
                "rates: got values that fall or a single one, need at least 2 that rise"
            )

    @property
    def drives(self) -> Float64[np.ndarray, " points"]:
        """The drives of `rates`, in volts."""
        return self.start + self.step * np.arange(self.rates.size)


RULES = {
    "rates": Numbers("points", "drive", minimum=0),
    "step": Numbers(positive=True),
    "start": Numbers(),
}
"""What the numbers of an `FICurve` have to be."""


@short_repr
class ActivationTable(NamedTuple):
    """An activation on a uniform grid, linear between its points, constant beyond.

    Attributes:
        start: first x.
        step: between two x.
        values: r at start, start + step, …
        slopes: dr/dx at the same x.
    """

    start: float
    step: float
    values: Float64[np.ndarray, " points"]
    slopes: Float64[np.ndarray, " points"]


def firing_rate(drive: npt.ArrayLike, constants: LIFConstants) -> np.ndarray:
    """Return the stationary firing rate under constant drive, in Hz.

    The mean number of steps to threshold obeys T(v) = 1 + ∫ p(v′|v) T(v′) dv′ over
    v′ ≤ v_th, solved on Gauss–Legendre points: exact to 1e-4. Siegert's formula
    with a shifted threshold (`siegert_rate`) serves where that would need more than
    `MOST_POINTS` points (dt or noise small) or the neuron all but never fires. Without
    noise the interval is closed in form: a whole number of steps, so a staircase.

    Args:
        drive: mean of v_leak + i above v_th, in volts, of any shape.
        constants: of the neuron; its v_leak does not enter.
    """
    shape = np.shape(drive)
    d = floats("drive", drive, shape, "drive").ravel()
    if constants.noise_std == 0:
        return _noiseless_rate(d, constants).reshape(shape)
    rates = siegert_rate(d, constants)
    # Neighbours share their points, which reach as far down as the lowest drive needs.
    order = np.argsort(d)
    order = order[rates[order] * constants.dt > SLOWEST]
    for chunk in np.array_split(order, max(1, -(-order.size // CHUNK))):
        if chunk.size and (nodes := _nodes(d[chunk], constants)) is not None:
            steps = _mean_steps(d[chunk], *nodes, constants)
            # (I7)
            rates[chunk] = 1 / (constants.dt * (constants.refractory_steps + steps))
    return rates.reshape(shape)


def siegert_rate(drive: npt.ArrayLike, constants: LIFConstants) -> np.ndarray:
    """Return the firing rate by Siegert's formula, threshold shifted for dt, in Hz.

    1/f = refractory + τ√π ∫ e^{u²}(1 + erf u) du from (v_reset − μ)/(√2 noise_std) to
    (v_th + shift − μ)/(√2 noise_std), with μ = v_th + drive (Siegert 1951,
    doi:10.1103/PhysRev.81.617). A walk seen every dt passes its goal by 0.5826 s on
    average (Broadie, Glasserman & Kou 1997, doi:10.1111/1467-9965.00035), and by half a
    step's drift where the drift m = a·drive wins: shift = m/4 + √((0.5826 s)² + (m/4)²)
    for m > 0. Within 4 % for dt = 1 ms up to 20 mV, 0.1 % for dt = 0.05 ms.

    Args:
        drive: mean of v_leak + i above v_th, in volts, of any shape.
        constants: of the neuron, with noise; as dt → 0 the continuous neuron's rate.
    """
    if constants.noise_std == 0:
        raise ValueError("noise_std: got 0 V, need more; firing_rate takes 0 as well")
    a, s, reset = _one_step(constants)
    d, width = np.asarray(drive, dtype=np.float64), np.sqrt(2) * constants.noise_std
    # (I9); a walk without noise passes its goal by half a step's drift on average.
    drift = a * np.maximum(d, 0) / 4
    shift = drift + np.hypot(OVERSHOOT * s, drift)
    high = _siegert_integral((shift - d) / width)
    # Where the upper end overflows, so may the lower: then it never fires.
    low = np.where(np.isinf(high), 0, _siegert_integral((reset - d) / width))
    scale = constants.tau_mem * np.sqrt(np.pi)
    # (I8)
    return 1 / (constants.refractory + scale * (high - low))


@lru_cache(maxsize=64)
def curve(constants: LIFConstants) -> FICurve:
    """Return the f–I curve of a neuron, made once for each.

    `firing_rate` runs on a coarse grid, where half the noise is the spacing; between,
    the logarithm of its ratio to Siegert's formula is interpolated, which is smooth.
    """
    # Drives count from the threshold, and most conversions change only where a unit
    # puts its drive: all these neurons have one curve.
    swing = float(f"{constants.v_th - constants.v_reset:.12g}")
    start, rates = _rates(
        replace(
            PUBLISHED,
            tau_mem=constants.tau_mem,
            v_th=0.0,
            v_reset=-swing,
            v_leak=0.0,
            refractory=constants.refractory,
            noise_std=constants.noise_std,
            dt=constants.dt,
        )
    )
    return FICurve(constants=constants, start=start, step=STEP, rates=rates)


@lru_cache(maxsize=64)
def _rates(constants: LIFConstants) -> tuple[float, np.ndarray]:
    """Return the first drive of a neuron's f–I curve, and its rates."""
    below = round(max(-LOWEST, 8 * constants.noise_std) / STEP)
    drives = STEP * np.arange(-below, round(HIGHEST / STEP) + 1)
    if constants.noise_std == 0:
        rates = firing_rate(drives, constants)
    else:
        rates = siegert_rate(drives, constants)
        fires = rates * constants.dt > SLOWEST
        stride = int(np.clip(constants.noise_std / 2 / STEP, 1, 10))
        # From the top, so that the last drive, from which (I14) goes on, is exact.
        coarse = np.flatnonzero(fires)[::-1][::stride][::-1]
        if coarse.size > 3:  # what a cubic spline needs
            # (I12)
            # Threads gain nothing on systems so small, and wait for each other.
            with threadpool_limits(1, "blas"):
                exact = firing_rate(drives[coarse], constants)
            ratio = np.log(exact / rates[coarse])
            between = np.clip(drives, drives[coarse[0]], None)
            rates = rates * np.exp(spline_through(drives[coarse], ratio, between))
    # Quadrature leaves dips of the order of 1e-5, which would make slopes negative.
    return float(drives[0]), np.maximum.accumulate(rates)


def evaluate(fi: FICurve, drive: npt.ArrayLike) -> np.ndarray:
    """Return the rate at drives in volts, in Hz, linear between the curve's points.

    Below the first drive it stays; above the last the interval shrinks as it does
    without noise, by τ_mem d ln(1 + (v_th − v_reset)/drive), down to the refractory
    period and one step.
    """
    d, c, last = np.asarray(drive, dtype=np.float64), fi.constants, fi.drives[-1]
    rates = read_table(d, fi.start, fi.step, fi.rates)  # (I13)
    if fi.rates[-1] == 0 or not (d > last).any():
        return rates
    swing, beyond = c.v_th - c.v_reset, d > last
    # (I14)
    shorter = c.tau_mem * (np.log1p(swing / last) - np.log1p(swing / d[beyond]))
    interval = np.maximum(1 / fi.rates[-1] - shorter, c.refractory + c.dt)
    rates[beyond] = 1 / interval
    return rates


@lru_cache(maxsize=1)
def lif_table() -> ActivationTable:
    """Return the "lif" activation as a table of r against x, for both without a unit.

    r is the firing rate of the default `LIFConstants` at drive x·unit over `UNIT_RATE`.
    """
    fi = curve(PUBLISHED)
    values = fi.rates / UNIT_RATE
    start, step = fi.start / fi.constants.unit, fi.step / fi.constants.unit
    for array in (values, slopes := _slopes(values, step)):
        array.setflags(write=False)
    return ActivationTable(start, step, values, slopes)


def lif_activation(x: npt.ArrayLike) -> np.ndarray:
    """Return the "lif" activation of x: the published neuron's rate over 50 Hz."""
    table = lif_table()
    return read_table(np.asarray(x), table.start, table.step, table.values)


def lif_slope(x: npt.ArrayLike) -> np.ndarray:
    """Return the derivative of `lif_activation`; 0 beyond the table's ends."""
    table = lif_table()
    return read_table(np.asarray(x), table.start, table.step, table.slopes)


def _slopes(values: np.ndarray, step: float) -> np.ndarray:
    """Return central differences (I15), and 0 at both ends, where values stay."""
    slopes = np.zeros_like(values)
    slopes[1:-1] = (values[2:] - values[:-2]) / (2 * step)
    return slopes


def _one_step(constants: LIFConstants) -> tuple[float, float, float]:
    """Return a, the SD of a step's noise, and v_reset below threshold (negative)."""
    ratio = constants.dt / constants.tau_mem
    s = constants.noise_std * np.sqrt(-np.expm1(-2 * ratio))
    return -float(np.expm1(-ratio)), float(s), constants.v_reset - constants.v_th


def _noiseless_rate(d: np.ndarray, constants: LIFConstants) -> np.ndarray:
    """Return 1/(refractory + k dt), k the first step at which v is above threshold."""
    fires = d > 0
    # (I11)
    over = np.log1p((constants.v_th - constants.v_reset) / np.where(fires, d, 1.0))
    steps = np.floor(constants.tau_mem * over / constants.dt) + 1
    return np.where(fires, 1 / (constants.dt * (constants.refractory_steps + steps)), 0)


def _siegert_integral(x: np.ndarray) -> np.ndarray:
    """Return ∫ e^{u²}(1 + erf u) du from 0 to x.

    For u < 0 the integrand is erfcx|u|, for u > 0 it is 2e^{u²} − erfcx u; so only
    erfcx, which is tame, is left to quadrature (in t, u = sinh t).
    """
    # (I10)
    top = np.arcsinh(np.abs(x))[..., None] / 2
    t = top * (NODES + 1)
    tame = (erfcx(np.sinh(t)) * np.cosh(t) * WEIGHTS * top).sum(axis=-1)
    with np.errstate(over="ignore"):
        steep = 2 * np.exp(x * x) * dawsn(np.abs(x))
    return np.where(x < 0, -tame, steep - tame)


def _nodes(d: np.ndarray, constants: LIFConstants) -> tuple[Any, Any] | None:
    """Return points below threshold, at 0, and their weights; None if too many."""
    _, s, reset = _one_step(constants)
    # (I6): further down the potential is all but never found.
    low = min(reset - 3 * constants.noise_std, d.min() - 7 * constants.noise_std)
    points = int(np.ceil(-low / s * RESOLUTION)) + 16
    if points > MOST_POINTS:
        return None
    x, weights = _legendre(points)
    return low / 2 * (1 - x), -low / 2 * weights


@lru_cache(maxsize=64)
def _legendre(points: int) -> tuple[np.ndarray, np.ndarray]:
    # Eigenvalues of a matrix, which cost as much as what is solved on the points.
    return np.polynomial.legendre.leggauss(points)


def _mean_steps(
    d: np.ndarray, v: np.ndarray, weights: np.ndarray, constants: LIFConstants
) -> np.ndarray:
    """Return the mean number of steps from reset to the first v above threshold."""
    a, s, reset = _one_step(constants)
    # (I2), from all points and, last, from the reset: drive × from × to.
    origin = (1 - a) * np.append(v, reset) + a * d[:, None]
    z = (v - origin[:, :, None]) / s
    kernel = np.exp(-0.5 * z * z) * (weights / (s * np.sqrt(2 * np.pi)))
    # (I4), then (I5)
    system = np.eye(v.size) - kernel[:, :-1]
    from_v = np.linalg.solve(system, np.ones((d.size, v.size, 1)))
    return 1 + (kernel[:, -1:] @ from_v)[:, 0, 0]
