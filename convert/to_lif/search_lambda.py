"""One scalar λ carries a rate network onto LIF neurons: the mapping and its search.

A unit's rate r is stood for by λ times the firing rate of a neuron; so recurrent and
output weights are scaled by λ, input weights and τ are kept (Kim, Li & Sejnowski 2019,
doi:10.1073/pnas.1905926116). The search has an analytic start; then candidates race in
batches, with noise in common.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

from isotau.convert.ground.progress import Progress, silent
from isotau.convert.neuron.activation import activate
from isotau.convert.neuron.lif_constants import PUBLISHED, LIFConstants
from isotau.convert.records.lif import LIFNetwork, decay_fraction
from isotau.convert.records.rate import RateRNN
from isotau.convert.records.trials import Score, Trials, refine
from isotau.convert.simulate.rate_dynamics import simulate_rate
from isotau.convert.to_lif.analytic_lambda import (
    analytic_inverse_lambda,
    candidate_constants,
    match_constants,
    matched_constants,
)
from isotau.convert.to_lif.change_variables import tanh_to_sigmoid
from isotau.convert.to_lif.conversion import (
    Candidate,
    Conversion,
    merit,
)
from isotau.convert.to_lif.race_candidates import Attempt, Racecourse
from isotau.convert.to_lif.teacher import noise_at_rest


def rate_to_lif(
    rate: RateRNN,
    *,
    inverse_lambda: float,
    output_gain: float = 1.0,
    drive: float = 0.0,
    lag: float = 0.0,
    from_x0: bool = False,
    current_noise: float = 0.0,
    constants: LIFConstants = PUBLISHED,
) -> LIFNetwork:
    """Return the LIF network for one 1/λ.

    With q = 1 − exp(−dt/τ) a spike adds λ W_rec q/dt units to i, so that a constant
    firing rate f gives i = λ W_rec f; an input x adds q W_in x, the filter that it
    passes in the rate network; a bias b moves v_leak.

    Args:
        rate: the network; its rates must not be negative (`tanh_to_sigmoid`).
        inverse_lambda: 1/λ, firing rate that stands for r = 1, in Hz.
        output_gain: further factor on the output weights.
        drive: added to every v_leak, in volts.
        lag: time that τ_syn is shortened by, in seconds, for what membrane and rise
            time add to it; down to dt.
        from_x0: whether trials start in the state that stands for the rate network's
            x0, instead of at rest; v0 is then spread evenly over the neurons.
        current_noise: how much of the rate network's noise goes to the synaptic
            currents, (C31): 1 for the SD that it gives x, 0 for none.
        constants: of the neurons.

    Raises:
        ValueError: 1/λ is not positive, the activation gives negative rates, or the
            network reads out other rates than those that recur.
    """
    if not inverse_lambda > 0:
        raise ValueError(f"inverse_lambda: got {inverse_lambda} Hz, need more than 0")
    if rate.activation == "tanh":
        raise ValueError(
            "activation: got tanh, need rates that are not negative; use "
            "tanh_to_sigmoid, which changes nothing but the variables"
        )
    if rate.readout_bias.any():
        raise ValueError(
            "readout_bias: got values other than 0, need 0, as a spike is the same for "
            "readout and recurrence; calibrate instead of scaling"
        )
    tau = np.maximum(rate.tau - lag, constants.dt)  # (C1)
    q = decay_fraction(tau, constants.dt)[:, None]
    units = np.ones(rate.n)
    start = {}
    if from_x0:  # (C6)
        r = activate(rate.x0, rate.activation, rate.ceiling)
        # the golden ratio: any number of neurons is spread evenly, and nothing drawn
        spread = (np.arange(rate.n) * 0.6180339887498949) % 1
        start = {
            "i0": constants.unit * (rate.x0 - rate.bias),
            "v0": constants.v_reset + spread * (constants.v_th - constants.v_reset),
            "f0": inverse_lambda * r,
        }
    return LIFNetwork(
        w_in=constants.unit * q * rate.w_in,  # (C3)
        w_rec=constants.unit * q / (constants.dt * inverse_lambda) * rate.w_rec,  # (C2)
        w_out=output_gain / inverse_lambda * rate.w_out,  # (C4)
        b_out=rate.b_out,
        tau_syn=tau,
        tau_mem=constants.tau_mem * units,
        v_th=constants.v_th * units,
        v_leak=constants.v_leak + drive + constants.unit * rate.bias,  # (C5)
        v_reset=constants.v_reset * units,
        refractory=constants.refractory * units,
        noise_std=constants.noise_std * units,
        dt=constants.dt,
        current_noise_std=current_noise * constants.unit * noise_at_rest(rate),
        **start,
    )


GRID = tuple(float(value) for value in range(20, 80, 5))
"""The published values of 1/λ, in Hz."""
DRIVES = (0.0, 0.5e-3, 1e-3)
"""Constant drives beside the published bias, tried near the best 1/λ, in volts."""
SPREAD = np.geomspace(0.4, 1.5, 8)
"""Values of 1/λ tried first, relative to the analytic one."""
REFINEMENTS = 2
"""Times that the interval around the best 1/λ is divided further."""


def search_lambda(
    rate: RateRNN,
    trials: Trials,
    *,
    score: Score,
    seed: int,
    grid: Sequence[float] | None = None,
    drives: Sequence[float] = DRIVES,
    match_output: bool = True,
    lag: float = 0.0,
    current_noise: float = 0.0,
    constants: LIFConstants = PUBLISHED,
    progress: Progress = silent,
) -> Conversion:
    """Return the LIF network at the best 1/λ.

    A tanh network becomes a sigmoid one first. A first batch of 1/λ lies around the
    analytic one, which brings the neuron's f–I curve nearest to the activation over
    the states visited (for other activations than sigmoid and lif the neuron's own
    constants, unit and offset are fitted as well). Further batches divide the interval
    around the best, the first of them with every drive. Every candidate has the same
    trials and the same noise, and leaves out what remains of them once it is far behind
    (`race_candidates`). The best has the highest accuracy, and among equals the
    smallest output error. Report its accuracy on other trials: the choice was made on
    these.

    Args:
        rate: the network.
        trials: what the search runs on; resampled to the neurons' dt.
        score: the task's rule.
        seed: of the membrane noise and of the rate network's.
        grid: values of 1/λ to try instead of the analytic units, in Hz.
        drives: constant drives to try, in volts; (0.0,) for the published bias alone.
        match_output: fit a gain on the output to the target for every candidate, by
            least squares; otherwise the published mapping, whose amplitude is often 2
            to 4 times too large.
        lag: time that τ_syn is shortened by, in seconds, for the neuron's own delay.
        current_noise: how much of the rate network's noise goes to the currents.
        constants: of the neurons.
        progress: is given the steps as they pass.

    Raises:
        ValueError: a grid without values or with values that are not positive.
    """
    rate = tanh_to_sigmoid(rate) if rate.activation == "tanh" else rate
    if grid is not None:
        values = np.unique(np.asarray(grid, dtype=np.float64))
        if not values.size or not (values > 0).all():
            raise ValueError(
                f"grid: got {grid}, need values of 1/λ in Hz, greater than 0"
            )
    else:
        constants, values = _start(rate, trials, constants, seed)
    fine = refine(trials, constants.dt)

    def network(candidate: Candidate) -> LIFNetwork:
        return rate_to_lif(
            rate,
            inverse_lambda=candidate.inverse_lambda,
            output_gain=candidate.output_gain,
            drive=candidate.drive,
            lag=lag,
            # a burn-in leads to a start of its own
            from_x0=constants.burn_in == 0,
            current_noise=current_noise,
            constants=constants,
        )

    course = Racecourse(
        network, fine, score, seed, constants.burn_in_steps, match_output, progress
    )

    def blank(value: float, drive: float) -> Candidate:
        return Candidate(inverse_lambda=value, drive=drive, unit=constants.unit)

    attempts = course.race([blank(float(value), 0.0) for value in values])
    for turn in range(1 if grid is not None else REFINEMENTS):
        best = max(attempts, key=_merit)
        middle = best.candidate.inverse_lambda
        levels = np.unique([a.candidate.inverse_lambda for a in attempts])
        # drives matter little beside λ: they are tried once it is nearly known
        extra = drives if turn == 0 else (best.candidate.drive,)
        pairs = [(v, d) for v in _around(middle, levels) for d in extra]
        old = {(a.candidate.inverse_lambda, a.candidate.drive) for a in attempts}
        new = [blank(*pair) for pair in pairs if pair not in old]
        attempts += course.race(new, best)
    chosen = max(attempts, key=_merit).candidate
    return Conversion(
        network=network(chosen),
        rate=rate,
        constants=constants,
        method="scale",
        chosen=chosen,
        candidates=tuple(attempt.candidate for attempt in attempts),
    )


def _merit(attempt: Attempt) -> tuple[int, float, float]:
    return merit(attempt.candidate)


def _start(
    rate: RateRNN, trials: Trials, constants: LIFConstants, seed: int
) -> tuple[LIFConstants, np.ndarray]:
    """Return the neuron's constants and the values of 1/λ to try first."""
    run = simulate_rate(rate, trials.inputs, seed=seed, keep_x=True)
    assert run.x is not None
    # the published neuron suits these two alone, and its drive no bias
    if rate.activation in ("sigmoid", "lif") and not rate.bias.any():
        match = analytic_inverse_lambda(rate, run.x, constants)
    else:
        match = match_constants(rate, run.x, candidate_constants(constants))[0]
        constants = dataclasses.replace(matched_constants(match), burn_in=0.0)
    return constants, match.inverse_lambda * SPREAD


def _around(best: float, levels: np.ndarray) -> list[float]:
    """Return `best` and the middles between it and its neighbours."""
    below, above = levels[levels < best], levels[levels > best]
    near = [best]
    near += [float(below[-1] + best) / 2] if below.size else []
    near += [float(above[0] + best) / 2] if above.size else []
    return sorted(near)
