"""Calibration: a rate network's weights refitted to the spikes in place of its rates.

The LIF neurons are first shown the currents that the rate network's units saw on some
trials. Least squares then finds the weights that turn the neurons' filtered spikes into
the drive that the rate network had there; no gradient passes through time. Further
rounds let the network run on its own weights and add the states that it visits, with
the drive that the rate network would have at them.

Related: decoders of the Neural Engineering Framework (Eliasmith & Anderson 2003) and
the rates that teach spiking networks in DePasquale, Churchland & Abbott 2016,
arXiv:1601.07620. The loop over visited states is that of Ross, Gordon & Bagnell 2011,
arXiv:1011.0686.
"""

import dataclasses
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from isotau.convert.ground.progress import Progress, silent
from isotau.convert.ground.representation import short_repr
from isotau.convert.neuron.activation import activate
from isotau.convert.neuron.fi_curve import curve, evaluate
from isotau.convert.neuron.lif_constants import PUBLISHED, LIFConstants
from isotau.convert.records.lif import LIFNetwork
from isotau.convert.records.rate import RateRNN
from isotau.convert.records.trials import Trials, refine, with_silence
from isotau.convert.simulate.lif_dynamics import respond, simulate_lif
from isotau.convert.simulate.rate_dynamics import draw_start, simulate_rate
from isotau.convert.to_lif.teacher import CalibrateConfig, Teacher

USUAL = CalibrateConfig()
TURN = {"sigmoid": 2.0, "tanh": 1.0}
"""States beyond which a bounded activation says little more."""
OFFSETS = np.linspace(-12e-3, 8e-3, 21)
"""Constant drives at x = 0 that are tried, in volts above threshold."""


@short_repr
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Calibration:
    """Calibrated networks and what they were made of.

    Attributes:
        networks: after the first fit and after every round.
        constants: of the neurons; burn_in is 0, as every trial starts in the state
            that stands for the rate network's own.
        inverse_lambda: firing rate that stands for r = 1 in the prior, in Hz.
        residual: share of the recurrent drive's variance that the fit leaves, a fit.
    """

    networks: tuple[LIFNetwork, ...]
    constants: LIFConstants
    inverse_lambda: float
    residual: tuple[float, ...]

    def ending_with(self, network: LIFNetwork) -> "Calibration":
        """Return the same with another network in the last one's place."""
        return dataclasses.replace(self, networks=(*self.networks[:-1], network))


def calibrate(
    rate: RateRNN,
    trials: Trials,
    *,
    constants: LIFConstants = PUBLISHED,
    config: CalibrateConfig = USUAL,
    seed: int = 0,
    progress: Progress = silent,
) -> Calibration:
    """Return the networks of all rounds, as `calibrate_rounds` makes them."""
    *_, last = calibrate_rounds(
        rate, trials, constants=constants, config=config, seed=seed, progress=progress
    )
    return last


def calibrate_rounds(
    rate: RateRNN,
    trials: Trials,
    *,
    constants: LIFConstants = PUBLISHED,
    config: CalibrateConfig = USUAL,
    seed: int = 0,
    progress: Progress = silent,
) -> Iterator[Calibration]:
    """Yield LIF networks fitted to the rate network's drive, round after round.

    A low-rank network stays one: its n vectors are refitted. τ_syn is the rate
    network's τ, but for `config.lag`. The rate network's noise goes to the currents, in
    the strength that it has in x: at rest timescales are what a network remembers of
    its own noise.

    Args:
        rate: the network, of any activation.
        trials: what it is shown, in its own steps; report accuracy on others.
        constants: of the neurons; `unit` and `v_leak` are chosen here.
        config: how.
        seed: of membrane noise, start voltages and the rate network's noise.
        progress: is given the steps as they pass.

    Raises:
        ValueError: trials of another step or other channels than the network's, or
            in which no rate changes; `keep_signs` for a low-rank network.
    """
    if abs(trials.dt - rate.dt) > 1e-9 * rate.dt:
        raise ValueError(
            f"trials: got steps of {trials.dt} s, need the network's {rate.dt} s"
        )
    carried = rate.noisy and config.current_noise > 0
    if carried and not config.membrane_noise:
        constants = dataclasses.replace(constants, noise_std=0.0)
    shown = with_silence(trials.inputs, config.rest)
    # drawn here, as the fit needs the states from the first on (R5)
    x0 = draw_start(rate, seed, shown.shape[1])
    example = simulate_rate(rate, shown, seed=seed, x0=x0, keep_x=True)
    assert example.x is not None
    x, outputs = np.concatenate([x0[None], example.x]), example.outputs
    del example  # states of all steps fill the memory: no more than one set of them
    neuron = choose_neuron(rate, x, constants, config.swing, config.offset)
    peak = float(np.abs(trials.inputs).max())
    teacher = Teacher(rate, neuron, config, seed, input_peak=peak)
    fine = with_silence(refine(trials, neuron.dt).inputs, config.rest)
    # the neurons' answer to the rate network's currents, before there are any weights
    spikes = respond(
        teacher.network(None, None),
        teacher.currents(x),
        steps=len(fine),
        seed=seed,
        progress=progress,
    )
    lessons = [teacher.lesson(spikes, x, outputs)]
    del spikes, x
    networks, residual = [], []
    for turn in range(config.rounds + 1):
        drive, output, share = teacher.fit(lessons)
        networks.append(teacher.network(drive, output))
        residual.append(share)
        yield Calibration(
            networks=tuple(networks),
            constants=neuron,
            inverse_lambda=1 / teacher.gain,
            residual=tuple(residual),
        )
        if turn == config.rounds:
            break
        run = simulate_lif(
            networks[-1],
            fine,
            seed=seed + 1 + turn,
            record=("i",),
            every=teacher.every,
            progress=progress,
        )
        assert run.i is not None
        # (C25); what the rate network would put out there is the lesson's output
        visited = np.empty((len(run.i) + 1, *x0.shape))
        visited[0] = rate.x0
        np.divide(run.i, neuron.unit, out=visited[1:])
        visited[1:] += teacher.constant(drive)
        outputs = np.stack([_output(rate, x) for x in visited[1:]])
        lessons.append(teacher.lesson(run.spikes, visited, outputs))


def _output(rate: RateRNN, x: Float64[np.ndarray, "batch n"]) -> np.ndarray:
    """Return what the rate network puts out at a state."""
    r = activate(x + rate.readout_bias, rate.activation, rate.ceiling)
    return r @ rate.w_out.T + rate.b_out


def choose_neuron(
    rate: RateRNN,
    x: Float64[np.ndarray, "steps batch n"],
    constants: LIFConstants,
    swing: float,
    offset: float | None = None,
) -> LIFConstants:
    """Return the constants with a unit and a v_leak that suit the states.

    A typical state, or where a bounded activation turns if that is nearer, moves the
    drive by `swing`. v_leak is above threshold by `offset`, or by that of `OFFSETS` at
    which the f–I curve is nearest to the activation, up to a gain and a constant, over
    the states visited.
    """
    # (C13); a network at rest has no typical state, and division by 0 no unit
    typical = float(np.sqrt(np.mean((x - x.mean()) ** 2)))
    typical = min(max(typical, 1e-6), TURN.get(rate.activation, np.inf))
    neuron = dataclasses.replace(constants, unit=swing / typical, burn_in=0.0)
    stride = max(1, x.size // 20_000)
    while math.gcd(stride, x.size) > 1:  # or only some units would be looked at
        stride += 1
    sample = x.reshape(-1)[::stride]
    r = activate(sample, rate.activation, rate.ceiling)
    if np.ptp(r) == 0:
        raise ValueError(
            f"trials: got rates of {r[0]:g} in all units at all times, need some that "
            "differ; show inputs that drive the network"
        )
    if offset is None:
        fi, tilt = curve(neuron), 1e-9 * sample  # a silent neuron has no correlation
        likeness = [  # (C14)
            np.corrcoef(evaluate(fi, neuron.unit * sample + o) + tilt, r)[0, 1]
            for o in OFFSETS
        ]
        offset = float(OFFSETS[int(np.nanargmax(likeness))])
    return dataclasses.replace(neuron, v_leak=neuron.v_th + offset)
