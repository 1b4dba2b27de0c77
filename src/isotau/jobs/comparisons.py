"""What a run compares: units with neurons, κ with κ, outputs with outputs."""

import dataclasses
from typing import NamedTuple

import numpy as np

from isotau.convert.neuron.fi_curve import UNIT_RATE
from isotau.convert.neuron.lif_constants import PUBLISHED
from isotau.convert.records.fixedpoint import FixedPointNetwork
from isotau.convert.records.lif import LIFNetwork
from isotau.convert.records.rate import RateRNN
from isotau.convert.records.spikes import Spikes, select
from isotau.convert.records.trials import Trials, subset
from isotau.convert.simulate.rate_dynamics import simulate_rate
from isotau.convert.to_fixed.quantize import messages
from isotau.convert.to_lif.conversion import Conversion, unit_rates
from isotau.convert.to_lif.unit_diagnostics import UnitDiagnostics, diagnose_units
from isotau.jobs.stages import Plan, Stage
from isotau.sim.lowrank.factors import factors
from isotau.sim.lowrank.trajectories import (
    KappaAgreement,
    compare_kappa,
    kappa,
    spiking_kappa,
)

COMPARED = 1 << 15
"""Neurons times trials in which units are compared and κ is read."""
MOST_TRIALS = 100
WIDTH = 50e-3
"""About how wide the bins are in which units are compared, in seconds."""


class KappaReading(NamedTuple):
    """κ of the same trials at each stage, in the canonical basis of the factors.

    Attributes:
        traces: κ of every stage, and its step in seconds; the rate network's first.
        trials: which trials.
        agreement: of every spiking stage with the rate network.
    """

    traces: dict[str, tuple[np.ndarray, float]]
    trials: Trials
    agreement: dict[str, KappaAgreement]


def output_difference(stage: Stage, rate: Stage) -> float:
    """Return the root mean square of output less the rate network's, where scored.

    Taken at the end of each of the rate network's steps, in the trials of `stage`.
    """
    return _difference(stage.outputs, stage.trials, rate)


def repeated_difference(rate: RateRNN, plan: Plan, stage: Stage) -> float:
    """Return the same for a second run of the rate network with other noise.

    What a spiking stage cannot be expected to fall below.
    """
    rng = np.random.default_rng(plan.seeds.rate_again)
    few = subset(plan.test, slice(0, MOST_TRIALS))
    run = simulate_rate(rate, plan.shown(few, rate.dt), rng=rng)
    return _difference(run.outputs[plan.lead(rate.dt) :], few, stage)


def compare_units(
    rate: RateRNN, conversion: Conversion, plan: Plan, lif: Stage
) -> UnitDiagnostics:
    """Return where the LIF neurons' rates and those asked of them disagree, and why.

    Over means of the trials of each condition; the rate network runs without the noise
    of its steps, which no neuron could follow. In the unit of r where the network was
    scaled. A calibrated neuron is asked for its own f–I curve at the unit's x, whatever
    the activation; its r counts in units of 50 Hz and ends at 4, where the drive counts
    as beyond the fit.
    """
    few, spikes = _few(conversion.rate.n, plan, lif)
    rng = np.random.default_rng(plan.seeds.rate)
    inputs = plan.shown(few, rate.dt)
    run = simulate_rate(rate, inputs, rng=rng, noise=False, keep_x=True)
    hz = unit_rates(rate, conversion, run)
    constants = conversion.constants
    asked = conversion.rate
    unit_rate, volts = conversion.chosen.inverse_lambda, constants.unit
    offset = constants.v_leak - constants.v_th + conversion.chosen.drive
    if conversion.method == "calibrate":
        asked = dataclasses.replace(asked, activation="lif", ceiling=None)
        unit_rate, volts, offset = UNIT_RATE, PUBLISHED.unit, 0.0
    return diagnose_units(
        asked,
        hz / unit_rate,
        conversion.network,
        spikes,
        plan.shown(few, constants.dt),
        inverse_lambda=unit_rate,
        unit=volts,
        offset=np.full(asked.n, offset),
        labels=few.labels,
        width=max(1, round(WIDTH / rate.dt)) * rate.dt,
        skip=plan.lead(rate.dt) * rate.dt,
        progress=plan.progress,
    )


def read_kappa(
    rate: RateRNN,
    conversion: Conversion,
    fixed: FixedPointNetwork,
    plan: Plan,
    stages: dict[str, Stage],
) -> KappaReading | None:
    """Return κ of the rate, LIF and fixed-point stages; None for a full-rank network.

    Args:
        rate: the network.
        conversion: of it.
        fixed: the converted network on the chip.
        plan: what the stages were shown.
        stages: with the names "lif" and "fixed".
    """
    if not rate.rank:
        return None
    m_vectors = factors(rate).m_vectors
    inputs = rate.w_in if _apart(m_vectors, rate.w_in) else None
    few, _ = _few(conversion.rate.n, plan, stages["lif"])
    rng = np.random.default_rng(plan.seeds.rate)
    run = simulate_rate(rate, plan.shown(few, rate.dt), rng=rng, keep_x=True)
    assert run.x is not None
    x = run.x[plan.lead(rate.dt) :]
    traces = {"rate": (kappa(x, m_vectors, inputs=inputs, offset=rate.bias), rate.dt)}
    copies = conversion.rate.n // rate.n
    # x of a tanh network that was scaled as a sigmoid one is half of that one's.
    double = 2 if conversion.rate.activation != rate.activation else 1
    unit, held = _constant(conversion)
    shown = plan.shown(few, fixed.dt)
    networks: dict[str, tuple[LIFNetwork | FixedPointNetwork, np.ndarray]] = {
        "lif": (conversion.network, shown),
        "fixed": (fixed, messages(fixed, shown)),
    }
    for name, (network, drive) in networks.items():
        found = spiking_kappa(
            select(stages[name].whole, slice(0, few.batch)),
            network,
            drive,
            np.repeat(m_vectors, copies, axis=0),
            inputs=None if inputs is None else np.repeat(inputs, copies, axis=0),
            unit=unit * double,
            offset=np.repeat(rate.bias, copies) - held / double,
        )
        traces[name] = found[plan.lead(fixed.dt) :], fixed.dt
    agreement = {
        name: compare_kappa(traces["rate"][0], traces[name][0], few.labels)
        for name in networks
    }
    return KappaReading(traces, few, agreement)


def _difference(outputs: np.ndarray, trials: Trials, rate: Stage) -> float:
    """Return the rms difference to the rate stage's outputs, which are no finer."""
    each = trials.steps // rate.trials.steps
    theirs = outputs[each - 1 :: each]
    some = slice(0, trials.batch)
    off = theirs - rate.outputs[:, some]
    return float(np.sqrt((off[rate.trials.mask[:, some]] ** 2).mean()))


def _few(n: int, plan: Plan, stage: Stage) -> tuple[Trials, Spikes]:
    """Return the first trials, fewer where there are many neurons, and their spikes."""
    batch = min(MOST_TRIALS, plan.test.batch, max(8, COMPARED // n))
    some = slice(0, batch)
    return subset(plan.test, some), select(stage.whole, some)


def _constant(conversion: Conversion) -> tuple[float, np.ndarray]:
    """Return volts per 1 of x, and the part of x that a constant drive makes."""
    constants = conversion.constants
    rest = constants.v_leak + conversion.chosen.drive
    return constants.unit, (conversion.network.v_leak - rest) / constants.unit


def _apart(m_vectors: np.ndarray, inputs: np.ndarray) -> bool:
    """Return whether the m are no combination of each other and of the inputs."""
    both = np.hstack([m_vectors, inputs[:, np.abs(inputs).max(axis=0) > 0]])
    return bool(np.linalg.matrix_rank(both) == both.shape[1])
