"""What tuning for timescales does to states at rest, in floats and on the chip.

A network is converted plainly, with a small drive per unit of x and no trials of rest,
which makes units with strong weights too fast. That is tuned in floats, and rounded to
8, 4 and 2 bits and tuned through the chip's arithmetic. Tuned with the task's loss
alone it is the control.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from benchmarks.tuning.networks import TuningCase
from isotau.convert.records.fixedpoint import FixedPointNetwork
from isotau.convert.records.lif import LIFNetwork
from isotau.convert.records.rate import RateRNN
from isotau.convert.records.spikes import mean_rate
from isotau.convert.records.trials import Trials, refine, with_silence
from isotau.convert.simulate.lif_dynamics import simulate_lif
from isotau.convert.simulate.rate_dynamics import simulate_rate
from isotau.convert.simulate.readout import network_outputs
from isotau.convert.to_fixed.prepare import prepare
from isotau.convert.to_fixed.quantize import QuantizeConfig, messages
from isotau.convert.to_lif.calibrate import calibrate
from isotau.convert.to_lif.state_match import RestingState, match, resting_state
from isotau.convert.to_lif.teacher import CalibrateConfig
from isotau.convert.tuning.learner.tune_config import TuneConfig
from isotau.convert.tuning.loss.autocovariance_loss import AutocovarianceTarget
from isotau.convert.tuning.loss.batch import Source
from isotau.convert.tuning.loss.objective import Objective
from isotau.convert.tuning.session import Quantization
from isotau.convert.tuning.timescale_target import Look, aim_at, target_of_rate
from isotau.convert.tuning.tune_loop import Tuned, tune
from isotau.sim.engines import compiled
from isotau.sim.tasks import TASKS, Task

WEIGHT = 10.0
"""Of the timescale term, beside the task's loss."""
FIT, TEST, QUIET = 150, 200, 200
"""Trials: of conversion, of the score, and without input."""
SETTLE, LENGTH, LONGEST = 0.3, 1.0, 0.5
"""Seconds without input: before a look, of it, and of the longest lag."""
PLAIN = CalibrateConfig(swing=10e-3, rest=0.0)
TRAINED = ("w_in", "w_rec", "w_out", "b_out", "tau_syn")
TUNING = TuneConfig(
    train=TRAINED,
    learning_rate=0.02,
    updates=90,
    halve_every=45,
    evaluate_every=30,
    evaluate_trials=64,
)


class Tried(NamedTuple):
    """How a network is tuned, and what errors in the size of its curves count."""

    config: TuneConfig
    amplitude: float
    bits: tuple[int, ...]


TRIED = {
    "go-nogo": Tried(TUNING, 1.0, (8, 4, 2)),
    # A tenth of the trials leaves for another memory state: most of the variance.
    "dms-750": Tried(
        replace(
            TUNING,
            learning_rate=0.003,
            updates=60,
            halve_every=30,
            evaluate_every=20,
            quiet_trials=64,
        ),
        0.1,
        (8, 4, 2),
    ),
    "mante": Tried(TUNING, 1.0, (8, 4, 2)),
}
"""By the task."""
CASES = (
    ("shipped go_nogo_N200.mat", "calibrate"),
    ("shipped dms_750_N200.rate.npz", "calibrate"),
    ("shipped mante_N250.rate.npz", "calibrate"),
)
"""Networks that are looked at."""


class Converted(NamedTuple):
    """A LIF network that stands for a rate network, and volts that stand for 1."""

    net: LIFNetwork
    unit: float


class Setting(NamedTuple):
    """What all ways of a network share.

    Attributes:
        rate: the network.
        task: that it learned.
        tried: how it is tuned.
        reference: its resting state.
        test: trials that no way has seen.
        shown: typical inputs, with rest.
        seed: of everything.
    """

    rate: RateRNN
    task: Task
    tried: Tried
    reference: RestingState
    test: Trials
    shown: Trials
    seed: int

    def draw(self, batch: int, rng: np.random.Generator) -> Trials:
        """Return trials of the task, in the network's steps."""
        return refine(self.task.draw(batch, rng), self.rate.dt)


def measure(case: TuningCase, *, seed: int = 0) -> dict[str, Any]:
    """Return a network's states at rest against those of the rate network.

    Args:
        case: the network.
        seed: of everything.
    """
    rate, task = case.rate, TASKS[case.task]
    fit, test = (
        refine(task.draw(trials, np.random.default_rng([seed, k])), rate.dt)
        for k, trials in enumerate((FIT, TEST))
    )
    reference, again = (_rest_of_rate(rate, seed + k) for k in (1, 2))
    setting = Setting(rate, task, TRIED[case.task], reference, test, fit, seed)
    rows = [{"bits": None, "way": "rate network again"} | _states(reference, again)]
    plain = calibrate(rate, fit, config=PLAIN, seed=seed)
    converted = Converted(plain.networks[-1], plain.constants.unit)
    rows += [{"bits": None} | row for row in _in_floats(setting, converted)]
    for bits in setting.tried.bits:
        rows += [{"bits": bits} | row for row in _on_chip(setting, converted, bits)]
    return {
        "name": case.name,
        "task": case.task,
        "weight": WEIGHT,
        "updates": setting.tried.config.updates,
        "learning_rate": setting.tried.config.learning_rate,
        "amplitude": setting.tried.amplitude,
        "trained": list(TRAINED),
        "rows": rows,
    }


def _in_floats(setting: Setting, converted: Converted) -> Iterator[dict[str, Any]]:
    """Yield the rows of a network tuned through Norse's step."""
    start = _lif_figures(setting, converted, converted.net)
    yield {"way": "converted plainly"} | start
    for way, objective in _ways(setting, converted):
        begin = time.perf_counter()
        tuned = _tuned(setting, converted.net, objective, None)
        yield (
            {"way": way, "seconds": time.perf_counter() - begin}
            | _lif_figures(setting, converted, tuned.network)
            | _course(tuned)
        )


def _on_chip(
    setting: Setting, converted: Converted, bits: int
) -> Iterator[dict[str, Any]]:
    """Yield the rows of a network tuned through the chip's arithmetic."""
    config = QuantizeConfig(num_weight_bits=bits, outliers="fit")
    net = converted.net
    inputs = with_silence(refine(setting.shown, net.dt).inputs)
    ready = prepare(net, inputs, config=config, seed=setting.seed)
    yield {"way": "rounded"} | _chip_figures(setting, converted, ready.fixed)
    chip = Quantization(ready.run.ranges, ready.input_peak, config)
    for way, objective in _ways(setting, converted):
        begin = time.perf_counter()
        tuned = _tuned(setting, ready.folded, objective, chip)
        fixed = tuned.fixed if tuned.best.update else ready.fixed
        assert fixed is not None
        yield (
            {"way": way, "seconds": time.perf_counter() - begin}
            | _chip_figures(setting, converted, fixed)
            | _course(tuned)
        )


def _ways(setting: Setting, converted: Converted) -> Iterator[tuple[str, Objective]]:
    yield "tuned for the task", Objective()
    target = _target(setting, converted)
    yield "tuned for task and timescales", Objective(timescales=target)


def _target(setting: Setting, converted: Converted) -> AutocovarianceTarget:
    """Return the autocovariances of the rate network's x at rest."""
    rate = setting.rate
    aim = aim_at(
        volts=np.full(rate.n, converted.unit),
        interval=rate.dt,
        weight=WEIGHT,
        amplitude=setting.tried.amplitude,
    )
    look = Look(lambda dt: _silence(rate, dt), SETTLE, setting.seed + 3)
    return target_of_rate(rate, look, aim)


def _tuned(
    setting: Setting,
    net: LIFNetwork,
    objective: Objective,
    quantization: Quantization | None,
) -> Tuned:
    source = Source(draw=setting.draw, score=setting.task.score)
    config = setting.tried.config
    return tune(
        net, source, objective=objective, config=config, quantization=quantization
    )


def _lif_figures(
    setting: Setting, converted: Converted, net: LIFNetwork
) -> dict[str, Any]:
    """Return how a LIF network does in its task and at rest."""
    inputs = refine(setting.test, net.dt).inputs
    spikes = simulate_lif(net, inputs, seed=setting.seed + 4).spikes

    def current(silence: np.ndarray, every: int) -> np.ndarray:
        run = simulate_lif(
            net, silence, seed=setting.seed + 5, record=("i",), every=every
        )
        assert run.i is not None
        return run.i

    rest = _rest(setting, converted, net.dt, current)
    return _answers(setting, net, spikes) | _states(setting.reference, rest)


def _chip_figures(
    setting: Setting, converted: Converted, fixed: FixedPointNetwork
) -> dict[str, Any]:
    """Return how a chip's network does in its task and at rest."""
    sent = messages(fixed, refine(setting.test, fixed.dt).inputs)
    spikes = compiled.run(fixed, sent, seed=setting.seed + 4).spikes

    def current(silence: np.ndarray, every: int) -> np.ndarray:
        quiet = messages(fixed, silence)
        run = compiled.run(fixed, quiet, seed=setting.seed + 5, record=("u",))
        assert run.u is not None
        return run.u[every - 1 :: every] / fixed.u_per_volt

    rest = _rest(setting, converted, fixed.dt, current)
    return _answers(setting, fixed, spikes) | _states(setting.reference, rest)


def _rest(
    setting: Setting,
    converted: Converted,
    dt: float,
    current: Callable[[np.ndarray, int], np.ndarray],
) -> RestingState:
    """Return the resting state of a network whose currents are given in volts."""
    rate = setting.rate
    every, before = round(rate.dt / dt), round(SETTLE / rate.dt)
    x = current(_silence(rate, dt), every)[before:].astype(np.float64)
    return resting_state(x / converted.unit, round(LONGEST / rate.dt))


def _rest_of_rate(rate: RateRNN, seed: int) -> RestingState:
    x = simulate_rate(rate, _silence(rate, rate.dt), seed=seed, keep_x=True).x
    assert x is not None
    return resting_state(x[round(SETTLE / rate.dt) :], round(LONGEST / rate.dt))


def _silence(rate: RateRNN, dt: float) -> np.ndarray:
    return np.zeros((round((SETTLE + LENGTH) / dt), QUIET, rate.n_in))


def _answers(
    setting: Setting, net: LIFNetwork | FixedPointNetwork, spikes: Any
) -> dict[str, Any]:
    """Return the share of right answers, and the mean rate."""
    fine = refine(setting.test, net.dt)
    right = setting.task.score(network_outputs(net, spikes), fine)
    return {"accuracy": float(np.mean(right)), "rate_hz": mean_rate(spikes)}


def _states(reference: RestingState, rest: RestingState) -> dict[str, Any]:
    """Return how states at rest differ from the reference's."""
    found = match(reference, rest)
    both = np.isfinite(reference.tau) & np.isfinite(rest.tau)
    first, second = np.log(reference.tau[both]), np.log(rest.tau[both])
    enough = both.sum() > 2
    return {
        "tau_ratio": found.tau_ratio,
        "log_ratio_sd": float(np.std(second - first)) if enough else None,
        "correlation": float(np.corrcoef(first, second)[0, 1]) if enough else None,
        "autocorrelation_rms": found.autocorrelation_error,
        "sd_ratio": found.sd_ratio,
        "taus": int(both.sum()),
        "of": int(np.isfinite(reference.tau).sum()),
    }


def _course(tuned: Tuned) -> dict[str, Any]:
    """Return what the held-out trials said on the way."""
    return {
        "best_update": tuned.best.update,
        "course": [
            {"update": point.update, "accuracy": point.accuracy, **point.losses}
            for point in tuned.evaluations
        ],
    }
