"""`Teacher`: a rate network as what its neurons' weights are fitted to.

The fits are least squares with a prior, by second moments alone, so that samples need
not be kept: of lessons, only their moments are added up.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64, Int64
from scipy.linalg import cho_factor, cho_solve, cholesky, solve_triangular
from scipy.optimize import nnls
from threadpoolctl import threadpool_limits

from isotau.convert.ground import validation
from isotau.convert.neuron.activation import activate
from isotau.convert.neuron.fi_curve import curve, evaluate
from isotau.convert.neuron.lif_constants import LIFConstants
from isotau.convert.records.lif import LIFNetwork, decay_fraction
from isotau.convert.records.rate import RateRNN
from isotau.convert.records.spikes import Spikes
from isotau.convert.simulate.readout import filter_spikes
from isotau.convert.to_lif.change_variables import copies_of
from isotau.convert.to_lif.state_match import mean_over_copies

KINDS = 5
"""Kinds of units, by their τ, whose weights are fitted by filters of their own."""
CHUNK = 1 << 14
"""Samples that are summed at a time."""
SDS = 4.0
"""Standard deviations of a noise channel that go as far as what is shown."""
SPREAD = 5e-3
"""Volts to either side by which drives of copies are spread where there is no noise."""


class SampleMoments(NamedTuple):
    """Means and second moments of regressors F and targets Y over samples."""

    samples: int
    f: Float64[np.ndarray, " n"]
    y: Float64[np.ndarray, " k"]
    ff: Float64[np.ndarray, "n n"]
    fy: Float64[np.ndarray, "n k"]
    yy: Float64[np.ndarray, " k"]


class LinearFit(NamedTuple):
    """Y ≈ weights F + offset."""

    weights: Float64[np.ndarray, "k n"]
    offset: Float64[np.ndarray, " k"]


def moments(f: np.ndarray, y: np.ndarray) -> SampleMoments:
    """Return the moments of samples × n regressors and samples × k targets."""
    n, k = f.shape[1], y.shape[1]
    shapes = (n, k, (n, n), (n, k), k)
    total = SampleMoments(len(f), *(np.zeros(shape) for shape in shapes))
    # in float64, a part at a time: the samples are float32 and fill the memory
    for start in range(0, len(f), CHUNK):
        a = f[start : start + CHUNK].astype(np.float64)
        b = y[start : start + CHUNK].astype(np.float64)
        total.f[:] += a.sum(axis=0)
        total.y[:] += b.sum(axis=0)
        total.ff[:] += a.T @ a
        total.fy[:] += a.T @ b
        total.yy[:] += (b * b).sum(axis=0)
    for sums in total[1:]:
        sums /= len(f)
    return total


def pool(parts: list[SampleMoments]) -> SampleMoments:
    """Return the moments of several sets of samples taken together."""
    samples = sum(part.samples for part in parts)
    shares = [part.samples / samples for part in parts]
    means = [
        np.tensordot(shares, np.stack(kind), axes=1)
        for kind in list(zip(*parts, strict=True))[1:]
    ]
    return SampleMoments(samples, *means)


def ridge(
    samples: SampleMoments, *, prior: Float64[np.ndarray, "k n"], strength: float
) -> LinearFit:
    """Return the weights that minimize ⟨|Y − wF − b|²⟩ + ρ|w − prior|² (C18).

    ρ is `strength` times the mean variance of a regressor, so that it means the same
    whatever the firing rates; the offset b is not penalized.
    """
    gram, cross, penalty = _centred(samples, strength)
    # (C20): positive definite by the penalty, whatever neurons are silent
    factor = cho_factor(gram + penalty * np.eye(len(gram)))
    weights = cho_solve(factor, cross + penalty * prior.T).T
    return LinearFit(weights, samples.y - weights @ samples.f)


def signed_ridge(
    samples: SampleMoments, *, prior: Float64[np.ndarray, "k n"], strength: float
) -> LinearFit:
    """Return the weights of `ridge` among those that keep the prior's signs and zeros.

    Each row is a non-negative least-squares problem over the prior's support.
    """
    gram, cross, penalty = _centred(samples, strength)
    weights = np.zeros_like(prior)
    for row, before in enumerate(prior):
        support = np.flatnonzero(before)
        if not support.size:
            continue
        # (C21): magnitudes y ≥ 0 in the place of weights
        signs = np.sign(before[support])
        part = gram[np.ix_(support, support)] * np.outer(signs, signs)
        part[np.diag_indices_from(part)] += penalty
        target = signs * cross[support, row] + penalty * np.abs(before[support])
        upper = cholesky(part)
        goal = solve_triangular(upper, target, trans="T")
        weights[row, support] = signs * nnls(upper, goal)[0]
    return LinearFit(weights, samples.y - weights @ samples.f)


def left_over(samples: SampleMoments, fit: LinearFit) -> float:
    """Return the share of the targets' variance that a fit leaves; 0 if none varies."""
    gram, cross, _ = _centred(samples, 0.0)
    total = float((samples.yy - samples.y**2).sum())
    # (C22), from the moments: what is left of any sample is not known
    error = float((fit.weights @ gram * fit.weights).sum())
    error += total - 2 * float((fit.weights * cross.T).sum())
    return error / total if total > 0 else 0.0


def _centred(
    samples: SampleMoments, strength: float
) -> tuple[np.ndarray, np.ndarray, float]:
    """Return covariances of F with F and with Y, and ρ."""
    # covariances, as the offset is free: with it the means are met exactly
    gram = samples.ff - np.outer(samples.f, samples.f)
    cross = samples.fy - np.outer(samples.f, samples.y)
    scale = float(np.diagonal(gram).mean())  # (C19); all neurons may be silent
    return gram, cross, strength * max(scale, 1e-12)


@dataclass(frozen=True, kw_only=True, slots=True)
class CalibrateConfig:
    """How to calibrate.

    Attributes:
        swing: volts that a typical state of the rate network moves a neuron's drive.
        offset: constant drive at x = 0, in volts above threshold; None for that at
            which the f–I curve is nearest to the activation.
        ridge: strength of the prior, the rate network's own weights, relative to the
            variance of a filtered spike train.
        rounds: closed-loop rounds after the first fit.
        lag: time that τ_syn is shortened by, for the neuron's own delay, in seconds.
        rest: trials without input that the fits also see, per trial with.
        current_noise: how much of the rate network's noise goes to the synaptic
            currents: 1 for the SD that it gives x, 0 for none.
        membrane_noise: whether membranes keep the noise of the constants where currents
            have noise; a core of the chip has one or the other.
        spread: volts to either side by which the constant drives of a unit's copies are
            spread, so that they do not fire as one; None for `SPREAD` where no noise
            keeps them apart, and for 0 where some does.
        trim: whether τ_syn is trimmed in the end, neuron by neuron, until states at
            rest remember as long as the rate network's (`trim_tau`).
        keep_signs: whether every weight keeps its sign and zeros stay zero; None for
            whenever the network obeys Dale's law or has zero weights. A low-rank
            network keeps its rank instead.
    """

    swing: float = 20e-3
    offset: float | None = None
    ridge: float = 1e-2
    rounds: int = 1
    lag: float = 0.0
    rest: float = 0.5
    current_noise: float = 1.0
    membrane_noise: bool = False
    spread: float | None = None
    trim: bool = True
    keep_signs: bool | None = None

    def __post_init__(self) -> None:
        """Check every number."""
        validation.number("swing", self.swing, positive=True)
        if self.offset is not None:
            validation.number("offset", self.offset)
        validation.number("ridge", self.ridge, positive=True)
        validation.whole("rounds", self.rounds, 0, 100)
        validation.number("lag", self.lag, minimum=0)
        validation.number("rest", self.rest, minimum=0)
        validation.number("current_noise", self.current_noise, minimum=0)
        if self.spread is not None:
            validation.number("spread", self.spread, minimum=0)


class FitLesson(NamedTuple):
    """What the fits look at: filtered spikes, the drive of each kind, the outputs."""

    drives: list[SampleMoments]
    output: SampleMoments


class UnitKind(NamedTuple):
    """Drives that are fitted together.

    Attributes:
        tau: of the filter that spikes and drive pass, in seconds.
        rows: which drives they are.
    """

    tau: float
    rows: Int64[np.ndarray, " k"]


class Teacher:
    """One rate network and the neurons that learn from it."""

    def __init__(
        self,
        rate: RateRNN,
        neuron: LIFConstants,
        config: CalibrateConfig,
        seed: int,
        *,
        input_peak: float = 0.0,
    ) -> None:
        """Make ready.

        Args:
            rate: the network.
            neuron: what each of its units becomes.
            config: how to calibrate.
            seed: of the start voltages.
            input_peak: largest |input| that is shown; channels of noise go as far.

        Raises:
            ValueError: signs are to be kept of a low-rank network.
        """
        keep_signs = config.keep_signs
        if keep_signs and rate.rank:
            raise ValueError(
                f"keep_signs: got True for a network of rank {rate.rank}, need None or "
                "False; leave out its factors to keep signs"
            )
        self.rate, self.neuron, self.strength = rate, neuron, config.ridge
        self.offset = neuron.v_leak - neuron.v_th
        self.every = round(rate.dt / neuron.dt)
        self.tau = np.maximum(rate.tau - config.lag, neuron.dt)  # (C1)
        self.current_noise = config.current_noise * neuron.unit * noise_at_rest(rate)
        self.spread = self._spread(config.spread)
        # Nothing tells them apart: their weights are one fit, to what they say together
        self.copies = 1 if self.spread.any() else _copies(rate)
        sparse = bool((rate.w_rec == 0).any()) or bool(rate.dale.any())
        self.signed = (sparse if keep_signs is None else keep_signs) and not rate.rank
        self.kinds = _kinds(self.tau[:: self.copies], rate.rank)
        fi, drive = curve(neuron), neuron.unit * rate.x0 + self.offset
        shared = config.current_noise * neuron.unit * shared_at_rest(rate)
        self.shared = shared[:, shared.any(axis=0)]
        self.shared_std = (input_peak or 1.0) / SDS
        self.f0 = evaluate(fi, drive + self.spread)
        grid = np.linspace(-2, 2, 81) * config.swing
        r = activate(grid / neuron.unit, rate.activation, rate.ceiling)
        hz = evaluate(fi, grid + self.offset)
        # (C15): what a Hz is worth, before any fit
        self.gain = float(np.cov(r, hz)[0, 1] / hz.var(ddof=1))
        rng = np.random.default_rng(seed)
        self.v0 = rng.uniform(neuron.v_reset, neuron.v_th, rate.n)

    def _spread(self, volts: float | None) -> Float64[np.ndarray, " n"]:
        """Return what is added to each neuron's drive, on average over copies 0."""
        if volts is None:
            noisy = self.neuron.noise_std > 0 or bool(self.current_noise.any())
            volts = 0.0 if noisy else SPREAD
        place, count = copies_of(self.rate)
        # (C34): input that copies share would bring them to fire together.
        return np.asarray(volts * (2 * place + 1 - count) / count)

    def currents(self, x: np.ndarray) -> Iterator[np.ndarray]:
        """Yield i of every fine step, in volts, x being joined by straight lines."""
        for before, after in itertools.pairwise(x):
            for k in range(self.every):
                share = (k + 0.5) / self.every  # (C16)
                between = before * (1 - share) + after * share
                yield self.neuron.unit * (between - self.rate.bias)

    def lesson(self, spikes: Spikes, x: np.ndarray, outputs: np.ndarray) -> FitLesson:
        """Return what there is to learn from spikes at the states x."""
        rate, steps, x = self.rate, len(x) - 1, self._pooled(x)
        start = activate(x[0], rate.activation, rate.ceiling)
        # (C17); of a low-rank network the drives along m suffice, fewer than units
        matrix = self._weights().T
        target, y = np.empty((steps, x.shape[1], matrix.shape[1])), start @ matrix
        loss = np.empty(matrix.shape[1])
        for kind in self.kinds:
            loss[kind.rows] = decay_fraction(np.array(kind.tau), rate.dt)
        # Step by step, as rates of all steps at once would fill the memory; by one
        # thread, as others would wait for each other at every step.
        with threadpool_limits(1, "blas"):
            for t in range(steps):
                r = activate(0.5 * (x[t] + x[t + 1]), rate.activation, rate.ceiling)
                y = y + loss * (r @ matrix - y)
                target[t] = y
        # the outputs' filters are the neurons' own (C24), as `read_out` has them
        output = moments(_flat(self._filtered(spikes, self.tau)), _flat(outputs))
        drives = [
            moments(
                _flat(self._filtered(spikes, kind.tau)), _flat(target[..., kind.rows])
            )
            for kind in self.kinds
        ]
        return FitLesson(drives, output)

    def _filtered(self, spikes: Spikes, tau: np.ndarray | float) -> np.ndarray:
        filtered = filter_spikes(spikes, tau=tau, every=self.every, f0=self.f0)
        return self._pooled(filtered)

    def _pooled(self, values: np.ndarray) -> np.ndarray:
        """Return the means over the copies of each unit: (C38)."""
        return values if self.copies == 1 else mean_over_copies(values, self.copies)

    def _weights(self) -> np.ndarray:
        """Return weights of units to units, or to a low-rank network's n vectors."""
        each, count = self.copies, self.rate.n
        if self.rate.rank:
            return self.rate.n_vectors[::each].T * (each / count)
        return self.rate.w_rec[::each, ::each] * each

    def _handed_out(self, weights: np.ndarray) -> np.ndarray:
        """Return weights of units as those of their copies, which share them."""
        return np.repeat(weights, self.copies, axis=1) / self.copies

    def fit(self, lessons: list[FitLesson]) -> tuple[LinearFit, LinearFit, float]:
        """Return the fits of drive and output, and what the first leaves."""
        rate, strength = self.rate, self.strength
        prior = self.gain * self._weights()
        solve = signed_ridge if self.signed else ridge
        drive = LinearFit(np.zeros_like(prior), np.zeros(len(prior)))
        errors = totals = 0.0
        for k, (_, rows) in enumerate(self.kinds):
            # Of filters of their own weights see what shot noise each τ lets through.
            drives = pool([lesson.drives[k] for lesson in lessons])
            # One thread: last digits would depend on how many there are, and row by
            # row the systems are small.
            with threadpool_limits(1, "blas"):
                part = solve(drives, prior=prior[rows], strength=strength)
            drive.weights[rows], drive.offset[rows] = part
            total = float((drives.yy - drives.y**2).sum())
            errors, totals = errors + left_over(drives, part) * total, totals + total
        outputs = pool([lesson.output for lesson in lessons])
        with threadpool_limits(1, "blas"):
            # Of a unit's copies together, as all have the same.
            prior = self.gain * self.copies * rate.w_out[:, :: self.copies]
            output = ridge(outputs, prior=prior, strength=strength)
        output = output._replace(weights=self._handed_out(output.weights))
        drive = drive._replace(weights=self._handed_out(drive.weights))
        if not rate.rank:
            drive = LinearFit(*(np.repeat(x, self.copies, axis=0) for x in drive))
        return drive, output, errors / totals if totals > 0 else 0.0

    def constant(self, drive: LinearFit) -> np.ndarray:
        """Return the constant part of each unit's x: its bias and the fit's offset."""
        rate = self.rate
        spread = rate.m_vectors @ drive.offset if rate.rank else drive.offset
        return np.asarray(rate.bias + spread)

    def network(self, drive: LinearFit | None, output: LinearFit | None) -> LIFNetwork:
        """Return the LIF network with these weights, or with none."""
        rate, neuron = self.rate, self.neuron
        n, units = rate.n, np.ones(rate.n)
        constant, weights = rate.bias, np.zeros((n, n))
        if drive is not None:
            constant = self.constant(drive)
            weights = rate.m_vectors @ drive.weights if rate.rank else drive.weights
        q = decay_fraction(self.tau, neuron.dt)[:, None]  # (C23)
        # (C35): what a step adds, as for noise of a neuron's own (L19)
        added = self.shared * np.sqrt(decay_fraction(self.tau / 2, neuron.dt))[:, None]
        return LIFNetwork(
            w_in=np.hstack([neuron.unit * q * rate.w_in, added / self.shared_std]),
            w_rec=neuron.unit * q / neuron.dt * weights,
            w_out=np.zeros((rate.n_out, n)) if output is None else output.weights,
            b_out=rate.b_out if output is None else output.offset,
            tau_syn=self.tau,
            tau_mem=neuron.tau_mem * units,
            v_th=neuron.v_th * units,
            v_leak=neuron.v_th + self.offset + neuron.unit * constant + self.spread,
            v_reset=neuron.v_reset * units,
            refractory=neuron.refractory * units,
            noise_std=neuron.noise_std * units,
            dt=neuron.dt,
            i0=neuron.unit * (rate.x0 - constant),
            v0=self.v0,
            f0=self.f0,
            current_noise_std=self.current_noise,
            input_noise_std=np.full(self.shared.shape[1], self.shared_std),
        )


def _kinds(tau: Float64[np.ndarray, " n"], rank: int) -> list[UnitKind]:
    """Return units of similar τ, of which as many are in each kind as in another."""
    # Drives along the vectors of a low-rank network reach units of any τ.
    if rank:
        return [UnitKind(float(np.median(tau)), np.arange(rank))]
    edges = np.quantile(tau, np.linspace(0, 1, KINDS + 1)[1:-1])
    kind_of = np.searchsorted(np.unique(edges), tau)
    return [
        UnitKind(float(np.median(tau[rows])), rows)
        for rows in (np.flatnonzero(kind_of == k) for k in np.unique(kind_of))
    ]


def _copies(rate: RateRNN) -> int:
    """Return how many copies each unit has; 1 where some have more than others."""
    counts = np.unique(copies_of(rate)[1])
    return int(counts[0]) if len(counts) == 1 else 1


def noise_at_rest(rate: RateRNN) -> Float64[np.ndarray, " n"]:
    """Return the SD that its own noise alone gives each unit's x: (C31)."""
    return np.asarray(rate.noise_std * _growth(rate))


def shared_at_rest(rate: RateRNN) -> Float64[np.ndarray, "n sources"]:
    """Return the SD, with its sign, that each source of shared noise gives x: (C35)."""
    return np.asarray(rate.shared_noise * _growth(rate)[:, None])


def _growth(rate: RateRNN) -> Float64[np.ndarray, " n"]:
    """Return the SD at rest of what is added to x in steps of SD 1."""
    kept = 1 - rate.dt / rate.tau
    # Steps beyond 2τ do not forget, and have no SD: theirs is that of one step.
    lost = np.where(np.abs(kept) < 1, 1 - kept**2, 1.0)
    return np.asarray(1 / np.sqrt(lost))


def _flat(samples: np.ndarray) -> np.ndarray:
    return samples.reshape(-1, samples.shape[-1])
