"""What the stages did, compared: unit by neuron, κ by κ, output by output."""

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from isotau.convert.ground.representation import short_repr
from isotau.convert.neuron.fi_curve import UNIT_RATE
from isotau.convert.neuron.lif_constants import PUBLISHED
from isotau.convert.records.fixedpoint import FixedPointNetwork
from isotau.convert.records.lif import LIFNetwork
from isotau.convert.records.rate import RateRNN
from isotau.convert.records.spikes import Spikes, select
from isotau.convert.records.trials import Trials, subset
from isotau.convert.simulate.rate_dynamics import simulate_rate
from isotau.convert.simulate.vectors.shared_noise import fill_channels
from isotau.convert.to_fixed.quantize import messages
from isotau.convert.to_lif.conversion import Conversion, unit_rates
from isotau.convert.to_lif.unit_diagnostics import UnitDiagnostics, diagnose_units
from isotau.jobs.stages import StageRun, TrialPlan
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


@short_repr
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


def output_difference(stage: StageRun, rate: StageRun) -> float:
    """Return the root mean square of output less the rate network's, where scored.

    Taken at the end of each of the rate network's steps, in the trials of `stage`.
    """
    return _difference(stage.outputs, stage.trials, rate)


def repeated_difference(rate: RateRNN, plan: TrialPlan, stage: StageRun) -> float:
    """Return the output difference of a second run of the rate network, by its noise.

    What a spiking stage cannot be expected to fall below.
    """
    # A seed of its own: the same noise would give the same outputs.
    trials = subset(plan.test, slice(0, MOST_TRIALS))
    run = simulate_rate(rate, plan.shown(trials, rate.dt), seed=plan.seeds.rate_again)
    return _difference(run.outputs[plan.lead(rate.dt) :], trials, stage)


def compare_units(
    rate: RateRNN, conversion: Conversion, plan: TrialPlan, lif: StageRun
) -> UnitDiagnostics:
    """Return where the LIF neurons' rates and those asked of them disagree, and why.

    Over means of the trials of each condition; the rate network runs without the noise
    of its steps, which no neuron could follow, unless the neurons have as much of their
    own. In the unit of r where the network was
    scaled. A calibrated neuron is asked for its own f–I curve at the unit's x, whatever
    the activation; its r counts in units of 50 Hz and ends at 4, where the drive counts
    as beyond the fit.
    """
    trials, spikes = _compared_trials(conversion.rate.n, plan, lif)
    inputs = plan.shown(trials, rate.dt)
    network = conversion.network
    noise = bool(network.current_noise_std.any() or network.input_noise_std.any())
    run = simulate_rate(rate, inputs, seed=plan.seeds.rate, noise=noise, keep_x=True)
    hz = unit_rates(rate, conversion, run)
    del run  # the states of all steps fill the memory
    constants, units = conversion.constants, conversion.rate
    unit_rate, volts = conversion.chosen.inverse_lambda, constants.unit
    offset = constants.v_leak - constants.v_th + conversion.chosen.drive
    # Calibrated neurons stand for x by their own f–I curve, in its units.
    if conversion.method == "calibrate":
        units = replace(units, activation="lif", ceiling=None)
        unit_rate, volts, offset = UNIT_RATE, PUBLISHED.unit, 0.0
    return diagnose_units(
        units,
        hz / unit_rate,
        conversion.network,
        spikes,
        _heard(conversion, plan, plan.shown(trials, constants.dt)),
        inverse_lambda=unit_rate,
        unit=volts,
        offset=np.full(units.n, offset),
        labels=trials.labels,
        # Bins of whole steps of the rate network, so that both are counted alike.
        width=max(1, round(WIDTH / rate.dt)) * rate.dt,
        skip=plan.lead(rate.dt) * rate.dt,
        progress=plan.progress,
    )


def read_kappa(
    rate: RateRNN,
    conversion: Conversion,
    fixed: FixedPointNetwork,
    plan: TrialPlan,
    stages: dict[str, StageRun],
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
    # The canonical basis: κ of two networks would not compare in any other.
    m_vectors = factors(rate).m_vectors
    # Where inputs lie along the modes they cannot be told apart, and are left in.
    inputs = rate.w_in if _apart(m_vectors, rate.w_in) else None
    trials, _ = _compared_trials(conversion.rate.n, plan, stages["lif"])
    shown = plan.shown(trials, rate.dt)
    run = simulate_rate(rate, shown, seed=plan.seeds.rate, keep_x=True)
    assert run.x is not None
    x = run.x[plan.lead(rate.dt) :]
    traces = {"rate": (kappa(x, m_vectors, inputs=inputs, offset=rate.bias), rate.dt)}
    copies = conversion.rate.n // rate.n
    # x of a tanh network that was scaled as a sigmoid one is half of that one's.
    double = 2 if conversion.rate.activation != rate.activation else 1
    unit, drive = _constant_drive(conversion)
    inputs_lif = plan.shown(trials, fixed.dt)
    networks: dict[str, tuple[LIFNetwork | FixedPointNetwork, np.ndarray]] = {
        "lif": (conversion.network, _heard(conversion, plan, inputs_lif)),
        "fixed": (fixed, messages(fixed, inputs_lif, seed=plan.seeds.chip)),
    }
    for name, (network, sent) in networks.items():
        trace = spiking_kappa(
            select(stages[name].whole, slice(0, trials.batch)),
            network,
            sent,
            np.repeat(m_vectors, copies, axis=0),
            inputs=None if inputs is None else np.repeat(inputs, copies, axis=0),
            unit=unit * double,
            # What the constant drive adds to the current is no κ.
            offset=np.repeat(rate.bias, copies) - drive / double,
        )
        traces[name] = trace[plan.lead(fixed.dt) :], fixed.dt
    agreement = {
        name: compare_kappa(traces["rate"][0], traces[name][0], trials.labels)
        for name in networks
    }
    return KappaReading(traces, trials, agreement)


def _difference(outputs: np.ndarray, trials: Trials, rate: StageRun) -> float:
    """Return the rms difference to the rate stage's outputs, which are no finer."""
    # The spiking stages are finer: their last step in each of the rate network's.
    stride, batch = trials.steps // rate.trials.steps, slice(0, trials.batch)
    # Outside the mask nothing was asked of the outputs.
    off = outputs[stride - 1 :: stride] - rate.outputs[:, batch]
    return float(np.sqrt((off[rate.trials.mask[:, batch]] ** 2).mean()))


def _heard(conversion: Conversion, plan: TrialPlan, shown: np.ndarray) -> np.ndarray:
    """Return what the channels of the LIF stage carried: also noise that is shared."""
    return fill_channels(conversion.network, shown, seed=plan.seeds.lif)


def _compared_trials(n: int, plan: TrialPlan, stage: StageRun) -> tuple[Trials, Spikes]:
    """Return the first trials, fewer where there are many neurons, and their spikes."""
    batch = slice(0, min(MOST_TRIALS, plan.test.batch, max(8, COMPARED // n)))
    return subset(plan.test, batch), select(stage.whole, batch)


def _constant_drive(conversion: Conversion) -> tuple[float, np.ndarray]:
    """Return volts per 1 of x, and the part of x that a constant drive makes."""
    constants = conversion.constants
    # Beyond the neuron's own rest: what conversion put into v_leak for a bias.
    v_rest = constants.v_leak + conversion.chosen.drive
    return constants.unit, (conversion.network.v_leak - v_rest) / constants.unit


def _apart(m_vectors: np.ndarray, inputs: np.ndarray) -> bool:
    """Return whether the m are no combination of each other and of the inputs."""
    # A channel without weights would lower the rank by itself.
    vectors = np.hstack([m_vectors, inputs[:, np.abs(inputs).max(axis=0) > 0]])
    return bool(np.linalg.matrix_rank(vectors) == vectors.shape[1])
