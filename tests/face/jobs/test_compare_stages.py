"""Units against neurons, κ against κ, outputs against outputs."""

import dataclasses

import numpy as np
import pytest

from isotau.convert.read.read_rate import read_rate
from isotau.convert.records.trials import refine, subset
from isotau.convert.to_lif.change_variables import tanh_to_sigmoid
from isotau.convert.to_lif.unit_diagnostics import Cause
from isotau.jobs.compare_stages import (
    compare_units,
    output_difference,
    read_kappa,
    repeated_difference,
)
from isotau.jobs.pipeline import carry
from isotau.jobs.run_config import RunConfig
from isotau.jobs.stages import lif_stage


def test_a_scaled_network_keeps_the_published_burn_in(rate_net):
    """A sigmoid network without bias; and its trials are preceded by silence."""
    net = dataclasses.replace(
        rate_net, w_in=rate_net.w_in[:, :1], bias=np.zeros(rate_net.n)
    )
    config = RunConfig(method="scale", trials=4, search_trials=4, lava_trials=1)
    made = carry(net, config)
    assert made.plan.burn_in == 0.2
    assert made.stages["fixed"].whole.steps == 1200
    assert made.stages["fixed"].spikes.steps == 1000
    assert made.kappa is None and Cause.SILENT not in made.units.cause[:0]


def test_difference_is_taken_where_scored_at_the_end_of_each_step(carried):
    rate = carried.stages["rate"]
    few = subset(refine(rate.trials, 1e-3), slice(0, 5))
    outputs = 100 + np.zeros((1500, 5, 1))
    # the last of 20 steps is 0.25 off, in the decision's 15 of 75 steps alone
    outputs[19::20] = rate.outputs[:, :5] + 0.25 * few.mask[19::20, :, None]
    stage = dataclasses.replace(carried.stages["lif"], outputs=outputs, trials=few)
    assert output_difference(stage, rate) == pytest.approx(0.25)
    assert output_difference(rate, rate) == 0.0


def test_another_run_of_the_rate_network_differs_by_its_noise(carried):
    rate, plan = carried.rate, carried.plan
    off = repeated_difference(rate, plan, carried.stages["rate"])
    assert off == carried.repeated > 0
    still = dataclasses.replace(rate, noise_std=0.0)
    quieter = dataclasses.replace(
        carried.stages["rate"],
        outputs=carried.stages["rate"].outputs * 0 + 1,
    )
    assert repeated_difference(still, plan, quieter) != off


@pytest.mark.parametrize("result", ["carried", "scaled"])
def test_units_agree_but_for_the_one_that_was_broken(result, request):
    made = request.getfixturevalue(result)
    good = {Cause.AGREES, Cause.NOISE}
    assert sum(cause in good for cause in made.units.cause) >= 0.9 * made.units.n
    network = made.conversion.network
    v_leak = network.v_leak.copy()
    v_leak[7] -= 0.1
    broken = dataclasses.replace(
        made.conversion, network=dataclasses.replace(network, v_leak=v_leak)
    )
    units = compare_units(
        made.rate, broken, made.plan, lif_stage(broken.network, made.plan)
    )
    assert np.argmax(units.rms) == 7 and units.cause[7] is Cause.SILENT
    assert units.fired[7] == 0


def test_a_calibrated_neuron_is_asked_for_its_own_curve(carried):
    """So next to nothing is left for a misfit between curve and activation."""
    assert np.median(carried.units.misfit) < 1e-9
    assert Cause.BEYOND_FIT not in carried.units.cause
    assert carried.units.width == pytest.approx(0.04)  # whole steps of 20 ms


def test_kappa_is_read_at_every_stage(carried, scaled):
    """By both methods in the coordinates of the network as it was given."""
    for made, least in ((carried, 0.98), (scaled, 0.8)):
        assert list(made.kappa.traces) == ["rate", "lif", "fixed"]
        assert made.kappa.traces["rate"][1] == 0.02
        assert made.kappa.traces["lif"][0].shape == (1500, 12, 1)
        for agreement in made.kappa.agreement.values():
            assert agreement.correlation[0] > least
    first, second = (made.kappa.traces["rate"][0] for made in (carried, scaled))
    # the draws of noise are the same, and so are the trials
    np.testing.assert_allclose(first, second)


def test_kappa_of_a_scaled_network_starts_where_the_rate_networks_does(scaled):
    """At x0 = 0; in its own sigmoid coordinates κ would start elsewhere."""
    lif = scaled.kappa.traces["lif"][0]
    assert np.abs(lif[:3]).max() < 0.1 * np.abs(lif).max()
    sigmoid = tanh_to_sigmoid(scaled.rate)
    assert np.abs(sigmoid.bias - 2 * scaled.rate.bias).max() > 0


def test_a_full_rank_network_has_no_kappa(carried):
    plain = dataclasses.replace(
        carried.rate, m_vectors=np.zeros((0, 0)), n_vectors=np.zeros((0, 0))
    )
    assert (
        read_kappa(
            plain, carried.conversion, carried.fixed, carried.plan, carried.stages
        )
        is None
    )


def test_kappa_along_an_input_is_read_all_the_same(carried):
    """Where m is an input direction, that cannot be regressed out."""
    along = dataclasses.replace(carried.rate, w_in=carried.rate.m_vectors)
    reading = read_kappa(
        along, carried.conversion, carried.fixed, carried.plan, carried.stages
    )
    assert reading is not None and np.isfinite(reading.traces["lif"][0]).all()


def test_copies_are_compared_with_their_unit(low_rank_file):
    config = RunConfig(
        task="rdm", copies=2, trials=6, search_trials=6, lava_trials=1, seed=3
    )
    rate = read_rate(low_rank_file).net
    made = carry(rate, config)
    assert made.units.n == made.fixed.n == made.stages["rate"].spikes.n == 2 * rate.n
    np.testing.assert_allclose(made.units.wanted[::2], made.units.wanted[1::2])
    assert made.kappa.agreement["fixed"].correlation[0] > 0.95
