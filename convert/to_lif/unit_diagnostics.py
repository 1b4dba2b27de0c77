"""Which units a conversion lost, by how much, and at which of its steps.

The error of a unit in one time bin is a sum of three:

    f/inverse_lambda + floor − r = own + misfit + upstream
    own = (f − F)/inverse_lambda           the neuron against its own f–I curve F
    misfit = F/inverse_lambda + floor − φ  the curve against the activation φ(x)
    upstream = φ − r                       another drive than the rate unit's

with F and φ taken at the drive that the neuron had, x = (drive − offset)/unit. The
drives are worked out from all spikes.
"""

import os
from dataclasses import dataclass, fields, replace
from enum import Enum
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from jaxtyping import Bool, Float64
from scipy.sparse import csr_array

from isotau.convert.ground import validation
from isotau.convert.ground.files import write_table
from isotau.convert.ground.progress import Progress, silent
from isotau.convert.ground.representation import short_repr
from isotau.convert.ground.sparse import transposed
from isotau.convert.neuron.activation import activate
from isotau.convert.neuron.fi_curve import FICurve, curve, evaluate
from isotau.convert.neuron.lif_constants import PUBLISHED
from isotau.convert.records.lif import LIFNetwork, decay_fraction
from isotau.convert.records.rate import RateRNN
from isotau.convert.records.spikes import Spikes, unpack


@short_repr
class BinnedUnits(NamedTuple):
    """Means over time bins of a LIF run; neuron k stands for unit k.

    `fired` is in Hz, `drive` in volts above threshold; `curve` is the f–I curve at the
    drive, in Hz, and `activation` φ at the x that the drive stands for.
    """

    fired: Float64[np.ndarray, "bins batch n"]
    drive: Float64[np.ndarray, "bins batch n"]
    curve: Float64[np.ndarray, "bins batch n"]
    activation: Float64[np.ndarray, "bins batch n"]


def bin_units(
    rate: RateRNN,
    net: LIFNetwork,
    spikes: Spikes,
    inputs: Float64[np.ndarray, "steps batch n_in"],
    *,
    unit: Float64[np.ndarray, " n"],
    offset: Float64[np.ndarray, " n"],
    width: float,
    progress: Progress = silent,
) -> BinnedUnits:
    """Return rates and drives of every neuron in time bins.

    The drives follow from the spikes by the equations of `LIFNetwork`, from i0 on.
    Curve and activation are averaged after they are taken, at every step.

    Args:
        rate: gives φ.
        net: whose spikes they are.
        spikes: of the run; steps after the last whole bin are left out.
        inputs: of the run, in steps of `net.dt`.
        unit: volts that stand for 1 of x.
        offset: drive at x = 0, in volts above threshold.
        width: of a bin, in seconds, a multiple of `net.dt`.
        progress: is given the steps as they pass.
    """
    # a spike of another network would give drives that nobody had
    if rate.n != net.n or spikes.n != net.n or spikes.dt != net.dt:
        raise ValueError(
            f"spikes: got {spikes.n} neurons in steps of {spikes.dt} s, need {rate.n} "
            f"in steps of {net.dt} s: one for each unit, from this network"
        )
    inputs = validation.floats(
        "inputs",
        inputs,
        (spikes.steps, spikes.batch, net.n_in),
        "steps × batch × input",
    )
    per_bin = steps_per_bin(width, net.dt)
    bins = spikes.steps // per_bin
    if bins < 1:
        raise ValueError(
            f"width: got {width} s, need at most the trial's "
            f"{spikes.steps * spikes.dt} s"
        )
    binned = np.zeros((4, bins, spikes.batch, net.n))
    keep = 1 - decay_fraction(net.tau_syn, net.dt)
    leak, groups = net.v_leak - net.v_th, _curves(net)
    nodes = [(0.0 * net.v_th, 1.0)]
    if net.current_noise_std.any():
        nodes = [(place * net.current_noise_std, weight) for place, weight in HERMITE]
    w_rec, z = transposed(net.w_rec), np.zeros((spikes.batch, net.n))
    i, arriving = z + net.i0, z
    for k in progress(range(bins), "drives from spikes"):
        fired, drives, rates, phi = binned[:, k]
        steps = slice(k * per_bin, (k + 1) * per_bin)
        raster = unpack(spikes.bits[steps], net.n)
        fired += raster.sum(axis=0) / net.dt
        sent = _send(raster, w_rec)
        for t, sent_in in enumerate(inputs[steps]):
            i += sent_in @ net.w_in.T + arriving  # (L1)
            arriving = sent[t]
            drive = i + leak
            drives += drive
            # (C27): taken at every step, as curve and activation bend within a bin, and
            # over the current's noise, of which the spikes tell nothing
            for shift, weight in nodes:
                d = drive + shift
                for neurons, fi in groups:
                    rates[:, neurons] += weight * evaluate(fi, d[:, neurons])
                x = (d - offset) / unit
                phi += weight * activate(x, rate.activation, rate.ceiling)
            i *= keep  # (L3)
    return BinnedUnits(*(binned / per_bin))


def _send(
    raster: Bool[np.ndarray, "steps batch n"], w_rec: Any
) -> Float64[np.ndarray, "steps batch n"]:
    """Return what the spikes of each step send, W_rec being pre × post."""
    steps, batch, n = raster.shape
    # Few neurons spike: a product of whole matrices would mostly add zeros.
    counts = raster.reshape(-1, n).sum(axis=1)
    spikes = csr_array(
        (
            np.ones(counts.sum()),
            np.nonzero(raster.reshape(-1, n))[1],
            np.concatenate([[0], np.cumsum(counts)]),
        ),
        shape=(steps * batch, n),
    )
    sent = spikes @ w_rec
    whole: np.ndarray = sent if isinstance(sent, np.ndarray) else sent.toarray()
    return whole.reshape(raster.shape)


def bin_rates(
    rate: RateRNN,
    rates: Float64[np.ndarray, "steps batch n"],
    spikes: Spikes,
    *,
    width: float,
) -> Float64[np.ndarray, "bins batch n"]:
    """Return a rate network's r in the bins that `bin_units` makes of these spikes."""
    steps = validation.length("rates", rates, ndim=3)
    rates = validation.floats(
        "rates", rates, (steps, spikes.batch, rate.n), "steps × batch × unit"
    )
    duration = steps * rate.dt
    if abs(duration - spikes.steps * spikes.dt) > 1e-6:
        raise ValueError(
            f"rates: got {duration} s, need {spikes.steps * spikes.dt} s as the spikes "
            "have; run both networks on the same trials"
        )
    # the LIF run's bins: both dt divide their width
    per_bin = steps_per_bin(width, rate.dt)
    bins = steps // per_bin
    split = rates[: bins * per_bin].reshape(bins, per_bin, spikes.batch, rate.n)
    return split.mean(axis=1)


def average_trials(
    x: Float64[np.ndarray, "bins batch n"], labels: npt.ArrayLike | None
) -> np.ndarray:
    """Return means over the trials of each label; `x` itself if there are none."""
    if labels is None:
        return x
    conditions = np.asarray(labels)
    if conditions.shape != x.shape[1:2]:
        raise ValueError(
            f"labels: got shape {conditions.shape}, need {x.shape[1:2]}, one per trial"
        )
    parts = [x[:, conditions == k].mean(axis=1) for k in np.unique(conditions)]
    return np.stack(parts, axis=1)


def steps_per_bin(width: float, dt: float) -> int:
    """Return how many steps of dt make a bin; ValueError unless they are whole."""
    parts = width / dt
    if round(parts) < 1 or abs(parts - round(parts)) > 1e-6:
        raise ValueError(f"width: got {width} s, need a multiple of dt = {dt} s")
    return round(parts)


def _curves(net: LIFNetwork) -> list[tuple[np.ndarray, FICurve]]:
    """Return which neurons share an f–I curve, and the curve."""
    # a curve is computed for each kind of neuron, of which most networks have one
    kinds, kind_of = np.unique(
        np.stack(
            [net.tau_mem, net.v_th - net.v_reset, net.refractory, net.noise_std], axis=1
        ),
        axis=0,
        return_inverse=True,
    )
    # relative to the threshold, as the drives are; the other fields do not count
    shared = replace(PUBLISHED, v_th=0.0, v_leak=0.0, dt=net.dt, refractory=0.0)
    return [
        (
            np.flatnonzero(kind_of.ravel() == k),
            curve(
                replace(
                    shared,
                    tau_mem=tau,
                    v_reset=-swing,
                    refractory=period,
                    noise_std=noise,
                )
            ),
        )
        for k, (tau, swing, period, noise) in enumerate(kinds.tolist())
    ]


HERMITE = ((-np.sqrt(3), 1 / 6), (0.0, 2 / 3), (np.sqrt(3), 1 / 6))
"""Where the mean over a normal number is taken, and by which weights: exact for
polynomials up to the fifth power."""
NEAR_CEILING = 0.9
"""Share of the highest rate that refractory neurons reach from which one counts as
saturated."""


class Cause(Enum):
    """Why a unit's rates disagree."""

    AGREES = "agrees"
    NOISE = "noise"
    SILENT = "silent"
    SATURATED = "saturated"
    BEYOND_FIT = "beyond the fit"
    UPSTREAM = "upstream"
    DYNAMICS = "dynamics"


@short_repr
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class UnitDiagnostics:
    """Per unit: how far a LIF network's rates are from the rate network's, and why.

    Errors are in the unit of r. A unit's cause is the first that holds of: it agrees
    (rms within the tolerance); noise (within it without the noise); silent (too low,
    and below `silent_rate` on average); saturated (too low, and most of the squared
    error where the rate wanted is near the refractory ceiling); else the largest of
    misfit ("beyond the fit"), upstream and dynamics.

    Attributes:
        bias: mean error.
        rms: root mean square error over bins and trials.
        correlation: of both rates over bins and trials; NaN where one is constant.
        noise: what of it changes from bin to bin: spikes are few.
        dynamics: rms of `own` without the noise: lag, adaptation to a changing drive.
        misfit: rms of `misfit`.
        upstream: rms of `upstream`; other units' errors arriving.
        beyond: share of bins in which |misfit| is larger than the tolerance.
        fired: mean rate, in Hz.
        wanted: mean rate that would stand for r, in Hz.
        cause: one for each unit.
        width: of a bin, in seconds.
        tolerance: error that passes, in the unit of r.
    """

    bias: Float64[np.ndarray, " n"]
    rms: Float64[np.ndarray, " n"]
    correlation: Float64[np.ndarray, " n"]
    noise: Float64[np.ndarray, " n"]
    dynamics: Float64[np.ndarray, " n"]
    misfit: Float64[np.ndarray, " n"]
    upstream: Float64[np.ndarray, " n"]
    beyond: Float64[np.ndarray, " n"]
    fired: Float64[np.ndarray, " n"]
    wanted: Float64[np.ndarray, " n"]
    cause: tuple[Cause, ...]
    width: float
    tolerance: float

    @property
    def n(self) -> int:
        """Number of units."""
        return len(self.cause)


NUMBERS = tuple(field.name for field in fields(UnitDiagnostics))[:-3]
"""The per-unit arrays of `UnitDiagnostics`, in the order of the CSV's columns."""


def diagnose_units(
    rate: RateRNN,
    rates: Float64[np.ndarray, "steps batch n"],
    net: LIFNetwork,
    spikes: Spikes,
    inputs: Float64[np.ndarray, "fine_steps batch n_in"],
    *,
    inverse_lambda: npt.ArrayLike,
    unit: npt.ArrayLike = PUBLISHED.unit,
    offset: npt.ArrayLike | None = None,
    labels: npt.ArrayLike | None = None,
    width: float = 50e-3,
    skip: float = 0.0,
    tolerance: float = 0.1,
    silent_rate: float = 1.0,
    progress: Progress = silent,
) -> UnitDiagnostics:
    """Return where both networks' rates disagree on the same trials, and why.

    Args:
        rate: the rate network; a silent neuron stands for r = −1 with tanh, else 0.
        rates: of its run.
        net: the LIF network, neuron k standing for unit k.
        spikes: of its run.
        inputs: of the same run, in steps of `net.dt`.
        inverse_lambda: 1/λ, in Hz, one number or one per unit.
        unit: volts per 1 of x, one number or one per unit.
        offset: drive at x = 0, in volts above threshold, one number or one per unit; if
            None, what v_leak holds beside the rate network's bias.
        labels: condition of each trial; if given, trials of a condition are averaged
            first, which leaves what is systematic.
        width: of a time bin, in seconds, a multiple of both networks' dt.
        skip: time at the start that is not judged, in seconds: without i0 the currents
            after a burn-in are known only some τ later.
        tolerance: error that passes, in the unit of r.
        silent_rate: mean rate below which a neuron counts as silent, in Hz.
        progress: is given the steps as they pass.
    """
    # one number or one per unit, as each conversion has them
    volts = _per_unit("unit", unit, rate.n)
    scale = _per_unit("inverse_lambda", inverse_lambda, rate.n)
    if offset is None:  # (C5) turned round
        offset = net.v_leak - net.v_th - volts * rate.bias
    binned = bin_rates(rate, rates, spikes, width=width)
    # two bins at least: noise is what differs between neighbours (C28)
    longest = (len(binned) - 2) * width
    if not 0 <= skip <= longest:
        raise ValueError(
            f"skip: got {skip} s, need 0 to {longest} s, so that two "
            f"bins of {width} s are left"
        )
    lif = bin_units(
        rate,
        net,
        spikes,
        inputs,
        unit=volts,
        offset=np.broadcast_to(offset, rate.n),
        width=width,
        progress=progress,
    )
    # what a silent neuron stands for
    floor = -1.0 if rate.activation == "tanh" else 0.0
    fired, curve_rates, phi, target = (
        average_trials(x[round(skip / width) :], labels)
        for x in (
            floor + lif.fired / scale,
            floor + lif.curve / scale,
            lif.activation,
            binned,
        )
    )
    numbers = _compare(fired, curve_rates, phi, target, tolerance)
    for name, r in (("fired", fired), ("wanted", target)):
        numbers[name] = (r.mean(axis=(0, 1)) - floor) * scale
    # where most of the squared error lies, not of the bins: few bins may be what fails
    error = (fired - target) ** 2
    # (C29)
    near = (target - floor) * scale > NEAR_CEILING / (net.refractory + net.dt)
    ceiling = 2 * (error * near).sum(axis=(0, 1)) > error.sum(axis=(0, 1))
    cause = tuple(
        _cause(
            {name: float(values[k]) for name, values in numbers.items()},
            tolerance,
            silent=bool(numbers["fired"][k] < silent_rate),
            saturated=bool(ceiling[k]),
        )
        for k in range(rate.n)
    )
    return UnitDiagnostics(**numbers, cause=cause, width=width, tolerance=tolerance)


def write_csv(diagnostics: UnitDiagnostics, path: str | os.PathLike[str]) -> Path:
    """Write one line per unit below a line of settings, and return the path.

    The first line starts with "#" and holds JSON, so `pandas.read_csv(path,
    comment="#")` reads the table; numbers keep all their digits.
    """
    settings = {
        "isotau": "UnitDiagnostics",
        "width": diagnostics.width,
        "tolerance": diagnostics.tolerance,
    }
    numbers = np.array([getattr(diagnostics, name) for name in NUMBERS]).T
    rows = (
        (k, cause.value, *numbers[k].tolist())
        for k, cause in enumerate(diagnostics.cause)
    )
    return write_table(path, settings, ("unit", "cause", *NUMBERS), rows)


def _per_unit(name: str, value: npt.ArrayLike, n: int) -> np.ndarray:
    """Return one positive number per unit."""
    spread = np.full(n, value) if np.ndim(value) == 0 else value
    return validation.floats(name, spread, (n,), "unit", positive=True)


def _compare(
    fired: np.ndarray,
    curve_rates: np.ndarray,
    phi: np.ndarray,
    target: np.ndarray,
    tolerance: float,
) -> dict[str, np.ndarray]:
    """Return the sizes of the error and of its parts; all in the unit of r."""

    def rms(x: np.ndarray) -> np.ndarray:
        return np.sqrt((x * x).mean(axis=(0, 1)))

    # (C26), (C27)
    deviation, misfit, error = fired - curve_rates, curve_rates - phi, fired - target
    # (C28), von Neumann's estimate: what differs between neighbouring bins is noise
    noise = rms(np.diff(deviation, axis=0)) / np.sqrt(2)
    a, b = (x - x.mean(axis=(0, 1)) for x in (fired, target))
    power = (a * a).sum(axis=(0, 1)) * (b * b).sum(axis=(0, 1))
    product = (a * b).sum(axis=(0, 1))
    return {
        "bias": error.mean(axis=(0, 1)),
        "rms": rms(error),
        # NaN, not 0, where a rate is constant: nothing is known of it
        "correlation": product / np.sqrt(np.where(power > 0, power, np.nan)),
        "noise": noise,
        "dynamics": np.sqrt(np.maximum(rms(deviation) ** 2 - noise**2, 0)),
        "misfit": rms(misfit),
        "upstream": rms(phi - target),
        "beyond": (np.abs(misfit) > tolerance).mean(axis=(0, 1)),
    }


def _cause(
    unit: dict[str, float], tolerance: float, *, silent: bool, saturated: bool
) -> Cause:
    """Return why one unit's rates disagree."""
    if unit["rms"] <= tolerance:
        return Cause.AGREES
    if unit["rms"] ** 2 - unit["noise"] ** 2 <= tolerance**2:
        return Cause.NOISE
    # a unit that fires too much lacks nothing that silence or a ceiling would take
    if silent and unit["bias"] < 0:
        return Cause.SILENT
    if saturated and unit["bias"] < 0:
        return Cause.SATURATED
    parts = {
        Cause.BEYOND_FIT: unit["misfit"],
        Cause.UPSTREAM: unit["upstream"],
        Cause.DYNAMICS: unit["dynamics"],
    }
    return max(parts, key=parts.__getitem__)
