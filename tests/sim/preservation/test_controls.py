"""The controls that a verdict on preservation must pass, on a chip network.

A trained working-memory network (delay of 750 ms) on the simulated chip, without input.
At 1/λ = 55 Hz most of its neurons have timescales of 0.2 to 0.7 s, which its recurrent
weights make: its synapses have 20 to 125 ms.
"""

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from isotau.convert.records import storage
from isotau.convert.records.fixedpoint import FixedPointNetwork
from isotau.convert.records.lif import LIFNetwork
from isotau.convert.records.rate import RateRNN
from isotau.convert.records.spikes import Spikes, count, window
from isotau.convert.simulate.lif_dynamics import simulate_lif
from isotau.convert.to_fixed.quantize import QuantizeConfig, quantize
from isotau.convert.to_lif.search_lambda import rate_to_lif
from isotau.sim.engines import compiled
from isotau.sim.preservation import Pair, Verdict, compare_spikes, sensitivity
from isotau.sim.spikes.poisson import observe
from isotau.sim.timescales import Series, Status, Timescales, ml

NETWORK = Path(__file__).resolve().parents[3] / "examples/data/dms_750_N200.rate.npz"
INVERSE_LAMBDA = 55.0
TRIALS, STEPS, SETTLE = 600, 3000, 500
BIN_WIDTH = 0.075
pytestmark = pytest.mark.slow


@cache
def spiking(inverse_lambda: float = INVERSE_LAMBDA) -> LIFNetwork:
    rate = storage.load(NETWORK, RateRNN)
    return rate_to_lif(rate, inverse_lambda=inverse_lambda)


def on_chip(lif: LIFNetwork, config: QuantizeConfig | None = None) -> FixedPointNetwork:
    silence = np.zeros((800, 20, lif.n_in))
    seen = simulate_lif(lif, silence, seed=0)
    return quantize(lif, seen.ranges, input_peak=1.0, config=config or QuantizeConfig())


def quiet(chip: FixedPointNetwork, seed: int, trials: int = TRIALS) -> Spikes:
    silence = np.zeros((STEPS + SETTLE, trials, chip.n_in), dtype=np.int32)
    return window(compiled.run(chip, silence, seed=seed).spikes, SETTLE)


def twice(chip: FixedPointNetwork, seed: int) -> tuple[Timescales, Timescales]:
    first, again = (
        ml(quiet(chip, seed + run), bin_width=BIN_WIDTH) for run in range(2)
    )
    return first, again


@cache
def original() -> tuple[Timescales, Timescales]:
    return twice(on_chip(spiking()), 10)


def pair(b: tuple[Timescales, Timescales]) -> Pair:
    a = original()
    return Pair(name="dms", a=a[0], a_again=a[1], b=b[0], b_again=b[1])


def verdict(b: tuple[Timescales, Timescales]) -> Verdict:
    return compare_spikes([pair(b)], rng=np.random.default_rng(0)).verdict


def test_the_same_network_under_other_seeds():
    assert verdict(twice(on_chip(spiking()), 20)) is Verdict.PRESERVED


def test_timescales_permuted_across_neurons():
    order = np.random.default_rng(0).permutation(200)

    def permuted(t: Timescales) -> Timescales:
        arrays = ("tau", "low", "high", "estimate", "amplitude", "offset", "goodness")
        moved = {name: getattr(t, name)[order] for name in (*arrays, "rate")}
        return replace(t, status=tuple(t.status[k] for k in order), **moved)

    again = twice(on_chip(spiking()), 30)
    assert verdict((permuted(again[0]), permuted(again[1]))) is Verdict.NOT_PRESERVED


@pytest.mark.long
def test_weights_shuffled():
    """Each neuron keeps its outgoing weights, and has them with others."""
    lif, rng = spiking(), np.random.default_rng(1)
    shuffled = np.stack([rng.permutation(column) for column in lif.w_rec.T], axis=1)
    b = twice(on_chip(replace(lif, w_rec=shuffled)), 40)
    assert verdict(b) is Verdict.NOT_PRESERVED


@pytest.mark.long
def test_a_scale_40_times_too_small():
    scale = float(on_chip(spiking()).state_scale[0]) / 40
    coarse = on_chip(spiking(), QuantizeConfig(state_scale=scale))
    assert verdict(twice(coarse, 50)) is Verdict.NOT_PRESERVED


@pytest.mark.long
def test_ten_trials_of_a_network_that_does_not_fluctuate():
    """At 1/λ = 90 Hz the recurrent weights are weak and nothing is slow."""
    chip = on_chip(spiking(90.0))
    runs = [ml(quiet(chip, 60 + k, trials=10), bin_width=BIN_WIDTH) for k in range(4)]
    few = Pair(name="few", a=runs[0], a_again=runs[1], b=runs[2], b_again=runs[3])
    found = compare_spikes([few], rng=np.random.default_rng(0))
    assert found.verdict is Verdict.NOT_IDENTIFIABLE


def test_poisson_neurons_of_the_same_rates():
    spikes = quiet(on_chip(spiking()), 70)
    length = spikes.steps * spikes.dt
    rates = count(spikes, width=spikes.steps).mean(axis=(0, 1)) / length
    surrogate = observe(
        np.broadcast_to(rates, (1, 200, spikes.n)),
        dt_rates=length,
        inverse_lambda=1.0,
        dt=spikes.dt,
        rng=np.random.default_rng(2),
    )
    found = ml(surrogate, bin_width=BIN_WIDTH)
    assert sum(status is Status.OK for status in found.status) <= 0.05 * spikes.n


@pytest.mark.long
def test_spikes_exchanged_between_trials():
    """Rates over the trial are kept, what one bin knows of the next is lost."""
    rng, spikes = np.random.default_rng(3), quiet(on_chip(spiking()), 80)
    counts = count(spikes, width=round(BIN_WIDTH / spikes.dt))
    mixed = rng.permuted(counts, axis=1)
    found = ml(Series(values=mixed, bin_width=BIN_WIDTH))
    assert sum(status is Status.OK for status in found.status) <= 0.05 * spikes.n


@pytest.mark.long
def test_distance_grows_with_the_error_of_lambda():
    errors = (0.0, 0.1, 0.2, 0.5)
    chips = [on_chip(spiking(INVERSE_LAMBDA * (1 + error))) for error in errors]
    pairs = [[pair(twice(chip, 90))] for chip in chips]
    found = sensitivity(errors, pairs, rng=np.random.default_rng(4))
    assert (np.diff(found.distance) > 0).all()
    assert found.verdicts[0] is Verdict.PRESERVED
    assert set(found.verdicts[1:]) == {Verdict.NOT_PRESERVED}
