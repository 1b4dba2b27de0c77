"""Data whose timescales are known, for every estimator alike.

States are sampled every 5 ms, without an error of discretization; spikes are counts in
bins of 25 ms. A cell's data follow from its name and a seed alone, so that a process
that has another's package draws them for itself.
"""

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import numpy as np
from scipy import linalg, optimize

from benchmarks.synthetic import (
    Generated,
    doubly_stochastic,
    log_gaussian,
    ornstein_uhlenbeck,
    ou_with_oscillation,
    rectified,
    two_timescale_ou,
)
from isotau.sim.timescales.records.series import Series, from_signal

INTERVAL, BIN = 0.005, 0.025
"""Seconds between samples of a state, and of a bin of counts."""
TAUS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5)
SHORT_TAUS = (0.02, 0.05, 0.1, 0.2, 0.5)
SPIKE_TAUS = (0.05, 0.1, 0.2)
LONG, SHORT = 4.0, 1.0
"""Seconds of a trial of states."""
FAST, SLOW = 0.02, 0.2
"""Two timescales whose variances are equal."""
DRIVE, FILTER = 0.1, 0.03
"""A timescale, and the low-pass filter through which it is seen."""
BESIDE, FREQUENCY, SHARE = 0.06, 2.0, 0.3
"""A timescale, and the oscillation in Hz beside it with its share of the variance."""
RATE = 10.0
"""Of spikes, in Hz."""
FINEST = 1e-4
"""Seconds between lags at which the fall to 1/e is looked for."""
Draw = Callable[[int, int, float, np.random.Generator], Series]


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One kind of data.

    Attributes:
        process: what it is.
        label: what sets it apart among those of its group.
        group: "states", "short", "shapes" or "spikes".
        trials: how many.
        length: of each, in seconds.
        truths: in seconds, by what is called the timescale.
        draw: makes units, trials of a length.
    """

    process: str
    label: str
    group: str
    trials: int
    length: float
    truths: Mapping[str, float]
    draw: Draw

    @property
    def size(self) -> str:
        """How much of it there is, in words."""
        return f"{self.trials} × {self.length:g} s"

    @property
    def name(self) -> str:
        """What no other cell is called."""
        return f"{self.process} {self.label}, {self.size}"

    @property
    def kind(self) -> str:
        """Whether it is a "signal" or "counts" of spikes."""
        return "counts" if self.group == "spikes" else "signal"


def drawn(cell: Cell, units: int, seed: int) -> Series:
    """Return the data of a cell, the same wherever it is called."""
    rng = np.random.default_rng([seed, zlib.crc32(cell.name.encode())])
    return cell.draw(units, cell.trials, cell.length, rng)


def fall(correlation: Callable[[np.ndarray], np.ndarray], longest: float) -> float:
    """Return the lag at which a correlation first falls to 1/e.

    Args:
        correlation: at lags in seconds; 1 at lag 0.
        longest: by which it has fallen, in seconds.
    """
    lags = np.arange(0, longest, FINEST)
    k = int(np.argmax(correlation(lags) < np.exp(-1)))
    beyond = optimize.brentq(
        lambda lag: float(correlation(np.array([lag]))[0]) - np.exp(-1),
        lags[k - 1],
        lags[k],
    )
    return float(beyond)


def _series(made: Generated) -> Series:
    assert isinstance(made.data, Series)
    return made.data


def _ou(
    tau: float, units: int, trials: int, length: float, rng: np.random.Generator
) -> Series:
    made = ornstein_uhlenbeck(
        tau, units=units, trials=trials, duration=length, dt=INTERVAL, rng=rng
    )
    return _series(made)


def _two(units: int, trials: int, length: float, rng: np.random.Generator) -> Series:
    made = two_timescale_ou(
        FAST, SLOW, share_slow=0.5, units=units,
        trials=trials, duration=length, dt=INTERVAL, rng=rng,
    )  # fmt: skip
    return _series(made)


def _beside(units: int, trials: int, length: float, rng: np.random.Generator) -> Series:
    made = ou_with_oscillation(
        BESIDE, FREQUENCY, share=SHARE, units=units,
        trials=trials, duration=length, dt=INTERVAL, rng=rng,
    )  # fmt: skip
    return _series(made)


def _filtered(
    units: int, trials: int, length: float, rng: np.random.Generator
) -> Series:
    """Return an OU signal through a low-pass filter: an exact second-order process."""
    flow = np.array([[-1 / FILTER, 1 / FILTER], [0.0, -1 / DRIVE]])
    noise = np.diag([0.0, 2 / DRIVE])
    still = linalg.solve_continuous_lyapunov(flow, -noise)
    step = linalg.expm(flow * INTERVAL)
    kick = linalg.cholesky(still - step @ still @ step.T, lower=True)
    samples = round(length / INTERVAL)
    values = rng.standard_normal((samples, 2, trials * units))
    values[0] = linalg.cholesky(still, lower=True) @ values[0]
    for before, now in pairwise(values):
        now[:] = kick @ now + step @ before
    return from_signal(values[:, 0].reshape(samples, trials, units), INTERVAL)


def _linear(
    tau: float, units: int, trials: int, length: float, rng: np.random.Generator
) -> Series:
    law = rectified(RATE, RATE / 2, tau, units=units)
    made = doubly_stochastic(
        law, trials=trials, duration=length, bin_width=BIN, rng=rng
    )
    return _series(made)


def _logarithmic(
    tau: float, units: int, trials: int, length: float, rng: np.random.Generator
) -> Series:
    law = log_gaussian(RATE, RATE, tau, units=units)
    made = doubly_stochastic(
        law, trials=trials, duration=length, bin_width=BIN, rng=rng
    )
    return _series(made)


def _ms(tau: float) -> str:
    return f"{1000 * tau:g} ms"


def _ou_cells(group: str, taus: tuple[float, ...], length: float) -> list[Cell]:
    return [
        Cell(
            process="OU", label=_ms(tau), group=group, trials=trials, length=length,
            truths={"τ": tau}, draw=partial(_ou, tau),
        )
        for trials in (40, 200)
        for tau in taus
    ]  # fmt: skip


def _shape_cells() -> list[Cell]:
    def two(u: np.ndarray) -> np.ndarray:
        return np.asarray((np.exp(-u / FAST) + np.exp(-u / SLOW)) / 2)

    def filtered(u: np.ndarray) -> np.ndarray:
        difference = DRIVE * np.exp(-u / DRIVE) - FILTER * np.exp(-u / FILTER)
        return np.asarray(difference / (DRIVE - FILTER))

    def beside(u: np.ndarray) -> np.ndarray:
        wave = np.cos(2 * np.pi * FREQUENCY * u)
        return np.asarray((1 - SHARE) * np.exp(-u / BESIDE) + SHARE * wave)

    kinds: list[tuple[str, dict[str, float], Draw]] = [
        (
            f"{_ms(FAST)} + {_ms(SLOW)}",
            {"1/e": fall(two, 1.0), "integral": (FAST + SLOW) / 2, "slow part": SLOW},
            _two,
        ),
        (
            f"{_ms(DRIVE)} through {_ms(FILTER)}",
            {
                "1/e": fall(filtered, 1.0),
                "integral": DRIVE + FILTER,
                "slow part": DRIVE,
            },
            _filtered,
        ),
        (
            f"{_ms(BESIDE)} + {FREQUENCY:g} Hz",
            # Its integral is that of a wave without end: none.
            {"1/e": fall(beside, 0.5), "OU part": BESIDE},
            _beside,
        ),
    ]
    return [
        Cell(
            process="OU", label=label, group="shapes", trials=trials, length=LONG,
            truths=truths, draw=draw,
        )
        for label, truths, draw in kinds
        for trials in (40, 200)
    ]  # fmt: skip


def _rate_fall(tau: float) -> float:
    """Return when the autocovariance of a rate, whose log has a τ, falls to 1/e."""
    law = log_gaussian(RATE, RATE, tau)

    def correlation(u: np.ndarray) -> np.ndarray:
        return np.asarray(law(u)[:, 0] / law(np.zeros(1))[0, 0])

    return fall(correlation, 1.0)


def _spike_cells() -> list[Cell]:
    cells = []
    for trials, length in ((40, 1.0), (200, 2.0)):
        for tau in SPIKE_TAUS:
            cells.append(
                Cell(
                    process="linear rate", label=_ms(tau), group="spikes",
                    trials=trials, length=length, truths={"τ": tau},
                    draw=partial(_linear, tau),
                )
            )  # fmt: skip
        for tau in SPIKE_TAUS:
            cells.append(
                Cell(
                    process="log rate", label=_ms(tau), group="spikes",
                    trials=trials, length=length,
                    truths={"log rate's τ": tau, "rate's 1/e": _rate_fall(tau)},
                    draw=partial(_logarithmic, tau),
                )
            )  # fmt: skip
    return cells


CELLS: tuple[Cell, ...] = (
    *_ou_cells("states", TAUS, LONG),
    *_ou_cells("short", SHORT_TAUS, SHORT),
    *_shape_cells(),
    *_spike_cells(),
)


def cell_named(name: str) -> Cell:
    """Return a cell by its name."""
    (cell,) = (cell for cell in CELLS if cell.name == name)
    return cell
