"""What one network gives at the rate, LIF and fixed-point stage, on fresh trials."""

import time
from typing import Any

import numpy as np

from benchmarks.conversion.studies import ConversionStudy
from isotau.convert.records.rate import RateRNN
from isotau.convert.records.spikes import Spikes, mean_rate, window
from isotau.convert.records.trials import Trials, refine, subset
from isotau.convert.simulate.lif_dynamics import LIFRun, simulate_lif
from isotau.convert.simulate.rate_dynamics import simulate_rate
from isotau.convert.simulate.readout import network_outputs
from isotau.convert.to_fixed.prepare import prepare
from isotau.convert.to_fixed.quantize import messages
from isotau.convert.to_lif.conversion import Conversion
from isotau.convert.to_lif.convert_rate import ConvertConfig, convert_rate
from isotau.sim.engines import compiled
from isotau.sim.lowrank.factors import factors
from isotau.sim.lowrank.trajectories import compare_kappa, kappa, spiking_kappa
from isotau.sim.tasks import TASKS, Task, lead_in

RANGED = 32
"""Trials of the fit that the quantizer's ranges and losses come from."""


def measure(
    net: RateRNN, study: ConversionStudy, *, seed: int, scaled: bool
) -> dict[str, Any]:
    """Return the figures of one network; every stage sees the same test trials."""
    task = TASKS[study.task]
    # A stream of its own for each purpose: more trials to fit change no test trial.
    fit = task.draw(study.fit, np.random.default_rng([seed, 1]))
    test = task.draw(study.test, np.random.default_rng([seed, 2]))
    # The trajectory x is large, and only networks with low-rank factors have a κ in it.
    run = simulate_rate(net, test.inputs, seed=seed + 400, keep_x=bool(net.rank))
    figures: dict[str, Any] = {
        "n": net.n,
        "activation": net.activation,
        "rate": _answers(run.outputs, test, test, run.outputs, task),
    }
    for method in ("calibrate", "scale") if scaled else ("calibrate",):
        config = ConvertConfig(method=method)
        start = time.perf_counter()
        conversion = convert_rate(net, fit, score=task.score, seed=seed, config=config)
        seconds = time.perf_counter() - start
        figures[method] = _stages(conversion, fit, test, run.outputs, task, seed) | {
            "seconds": seconds,
            "inverse_lambda": conversion.chosen.inverse_lambda,
            "unit_mv": 1e3 * conversion.constants.unit,
            "candidates": len(conversion.candidates),
            "membrane_noise_mv": 1e3 * float(conversion.network.noise_std.mean()),
        }
        if net.rank and method == "calibrate":
            assert run.x is not None
            figures["kappa"] = _kappa(net, conversion, test, run.x, seed)
    return figures


def _stages(
    conversion: Conversion,
    fit: Trials,
    test: Trials,
    rate_outputs: np.ndarray,
    task: Task,
    seed: int,
) -> dict[str, Any]:
    """Return what the LIF and the fixed-point network do."""
    net, constants = conversion.network, conversion.constants
    fine = refine(test, constants.dt)
    lead = constants.burn_in_steps

    def lif_inputs(trials: Trials) -> np.ndarray:
        # Steps before the trial, in which synapses and membranes leave their start.
        return lead_in(task, refine(trials, constants.dt).inputs, lead)

    def lif_run(inputs: np.ndarray, seed: int) -> LIFRun:
        return simulate_lif(net, inputs, seed=seed)

    # Ranges come from trials of the fit: the chip network must not know the test.
    inputs, ranging = lif_inputs(test), lif_inputs(subset(fit, slice(0, RANGED)))
    ranged = lif_run(ranging, seed + 400)
    peak = float(np.abs(fit.inputs).max())
    fixed = prepare(net, ranging, run=ranged, input_peak=peak).fixed
    run = lif_run(inputs, seed + 100)
    chip = compiled.run(
        fixed, messages(fixed, inputs), seed=seed + 200, count_overflow=True
    )
    assert chip.overflow is not None  # it was asked for
    figures = {}
    for name, spikes, stage in (
        ("lif", run.spikes, net),
        ("fixed", chip.spikes, fixed),
    ):
        outputs = network_outputs(stage, spikes)[lead:]
        trial_spikes: Spikes = window(spikes, lead) if lead else spikes
        figures[name] = _answers(outputs, fine, test, rate_outputs, task) | {
            "rate_hz": mean_rate(trial_spikes)
        }
    figures["fixed"]["u_wraps"] = int(chip.overflow.u_wraps.sum())
    return figures


def _answers(
    outputs: np.ndarray,
    trials: Trials,
    coarse: Trials,
    rate_outputs: np.ndarray,
    task: Task,
) -> dict[str, Any]:
    """Return accuracies, amplitude and the distance to the rate network's output.

    Args:
        outputs: time × batch × outputs, in steps of `trials`.
        trials: that gave the outputs.
        coarse: those trials in steps of the rate network.
        rate_outputs: time × batch × outputs, in steps of `coarse`.
        task: that scores.
    """
    stride = round(coarse.dt / trials.dt)
    mask = coarse.mask
    # The last fine step within a coarse one stands for the time at its end.
    off = outputs[stride - 1 :: stride][mask] - rate_outputs[mask]
    target_peaks = np.abs(trials.targets).max(axis=(0, 2))
    # A trial whose right answer is silence has no amplitude to compare.
    active = target_peaks > 0
    peaks = np.abs(np.where(trials.mask[:, :, None], outputs, 0)).max(axis=(0, 2))
    return {
        "accuracy": float(task.score(outputs, trials).mean()),
        "strict": float(task.score_strict(outputs, trials).mean()),
        "amplitude": float((peaks[active] / target_peaks[active]).mean()),
        "rms_to_rate": float(np.sqrt((off**2).mean())),
    }


def _kappa(
    net: RateRNN, conversion: Conversion, test: Trials, x: np.ndarray, seed: int
) -> dict[str, Any]:
    """Return how the latent trajectories of rate and LIF network agree."""
    lif, constants = conversion.network, conversion.constants
    # A few tens of trials hold thousands of steps, enough for a correlation.
    batch = slice(0, min(32, test.batch))
    inputs = refine(test, constants.dt).inputs[:, batch]
    spikes = simulate_lif(lif, inputs, seed=seed + 300).spikes
    m = factors(net).m_vectors
    rate_kappa = kappa(x[:, batch], m, inputs=net.w_in, offset=net.bias)
    spiking = spiking_kappa(
        spikes,
        lif,
        inputs,
        m,
        inputs=net.w_in,
        unit=constants.unit,
        # What the fit added to the constant drive belongs to κ.
        offset=net.bias - (lif.v_leak - constants.v_leak) / constants.unit,
    )
    agreement = compare_kappa(rate_kappa, spiking)
    return {
        "nrmse": [float(value) for value in agreement.nrmse],
        "correlation": [float(value) for value in agreement.correlation],
    }
