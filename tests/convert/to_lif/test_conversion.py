"""What a conversion says of itself: amplitudes, order, and the rates it expects."""

import dataclasses

import numpy as np
import pytest

from isotau.convert.neuron.fi_curve import curve, evaluate
from isotau.convert.neuron.lif_constants import LIFConstants
from isotau.convert.records.spikes import count
from isotau.convert.records.trials import Trials
from isotau.convert.simulate.lif_dynamics import simulate_lif
from isotau.convert.simulate.rate_dynamics import simulate_rate
from isotau.convert.to_lif.change_variables import replicate
from isotau.convert.to_lif.conversion import (
    Candidate,
    Conversion,
    answer_amplitude,
    expected_rates,
    merit,
    summarize_noise,
    unit_rates,
)
from isotau.convert.to_lif.search_lambda import rate_to_lif
from isotau.convert.to_lif.teacher import SPREAD, CalibrateConfig, Teacher

CANDIDATE = Candidate(
    inverse_lambda=40.0,
    drive=1e-3,
    output_gain=1.0,
    unit=1e-3,
    amplitude=None,
    accuracy=0.9,
    accuracy_ungained=0.9,
    error=0.1,
)


def shown(targets: np.ndarray, mask: np.ndarray) -> Trials:
    return Trials(
        inputs=np.zeros((*mask.shape, 1)),
        targets=targets,
        mask=mask,
        labels=np.zeros(mask.shape[1]),
        dt=0.005,
        task="none",
    )


def test_amplitudes_are_those_of_trials_that_ask():
    targets, outputs = np.zeros((2, 4, 3, 1))
    mask = np.ones((4, 3), dtype=bool)
    targets[2:, 0], targets[3, 2] = 1.0, -1.0
    outputs[:, 0, 0] = [0.1, -1.2, 0.7, 0.3]
    outputs[:, 1] = 9.0
    outputs[:, 2, 0] = [0.0, 0.2, 0.1, -0.4]
    assert answer_amplitude(outputs, shown(targets, mask)) == pytest.approx(0.8)
    mask[1] = False
    assert answer_amplitude(outputs, shown(targets, mask)) == pytest.approx(0.55)
    # the target of trial 2 no longer counts, so that it asks for nothing
    mask[3] = False
    assert answer_amplitude(outputs, shown(targets, mask)) == pytest.approx(0.7)
    assert answer_amplitude(outputs, shown(0 * targets, mask)) is None


def test_accuracy_comes_before_error():
    better = dataclasses.replace(CANDIDATE, accuracy=0.95, error=0.5)
    nearer = dataclasses.replace(CANDIDATE, error=0.05)
    assert max([CANDIDATE, nearer, better], key=merit) is better
    assert max([CANDIDATE, nearer], key=merit) is nearer


def test_expected_rates_are_those_of_neurons_under_that_drive(rate_net):
    """A long simulation of neurons that get unit·x + drive from their v_leak alone."""
    constants = LIFConstants(unit=2e-3, v_leak=-0.038, burn_in=0.0)
    x = np.linspace(-4.0, 3.0, rate_net.n)
    alone = dataclasses.replace(
        rate_net, bias=x, w_rec=0 * rate_net.w_rec, dale=np.zeros(rate_net.n)
    )
    network = rate_to_lif(alone, inverse_lambda=40.0, drive=1e-3, constants=constants)
    found = Conversion(
        network=network,
        rate=alone,
        constants=constants,
        method="scale",
        chosen=CANDIDATE,
        candidates=(CANDIDATE,),
    )
    spikes = simulate_lif(network, np.zeros((1000, 40, 2)), seed=0).spikes
    measured = count(spikes, width=900).mean(axis=(0, 1)) / 0.9
    expected = expected_rates(found, x[None, None])[0, 0]
    assert expected.max() > 40 and expected.min() < 8
    # 40 trials of 0.9 s: the mean of a near-Poisson count is known to √(f/36)
    np.testing.assert_allclose(measured, expected, atol=1.5)


def test_copies_are_expected_to_fire_by_drives_of_their_own(rate_net):
    """The observer sees as many neurons as there are, each by its own f–I curve."""
    quiet = dataclasses.replace(rate_net, noise_std=0.0)
    constants = LIFConstants(unit=2e-3, v_leak=-0.038, noise_std=0.0)
    wide = replicate(quiet, 2)
    network = Teacher(wide, constants, CalibrateConfig(), seed=0).network(None, None)
    found = Conversion(
        network=network,
        rate=wide,
        constants=constants,
        method="calibrate",
        chosen=CANDIDATE,
        candidates=(CANDIDATE,),
    )
    run = simulate_rate(quiet, np.zeros((3, 2, 2)), seed=0, keep_x=True)
    hz = unit_rates(quiet, found, run).reshape(3, 2, rate_net.n, 2)
    above = constants.unit * run.x + constants.v_leak - constants.v_th + CANDIDATE.drive
    for copy, drive in enumerate((-SPREAD / 2, SPREAD / 2)):
        expected = evaluate(curve(constants), above + drive)
        np.testing.assert_allclose(hz[..., copy], expected, rtol=1e-9)
    assert (hz[..., 1] >= hz[..., 0]).all()


@pytest.mark.parametrize(
    ("noise_std", "current", "said"),
    [
        (0.1, 3e-3, "The currents have the rate network's noise (SD 3 mV)."),
        (0.1, 0.0, "noise was not carried, and with it its timescales"),
        (0.0, 0.0, "at rest nothing of it has a timescale; --noise-std gives"),
    ],
)
def test_what_became_of_the_noise_is_said(rate_net, noise_std, current, said):
    rate = dataclasses.replace(rate_net, noise_std=noise_std)
    network = dataclasses.replace(
        rate_to_lif(rate, inverse_lambda=40.0), current_noise_std=current
    )
    conversion = Conversion(
        network=network,
        rate=rate,
        constants=LIFConstants(),
        method="calibrate",
        chosen=CANDIDATE,
        candidates=(CANDIDATE,),
    )
    found = summarize_noise(conversion)
    assert said in found["said"]
    assert found["noise_std_mv"] == pytest.approx(1.0)
    assert found["current_noise_std_mv"] == pytest.approx(1e3 * current)


def test_how_much_of_the_noise_is_shared_is_said(rate_net):
    """Loadings that double the variance of half of the neurons, and of more."""
    network = rate_to_lif(rate_net, inverse_lambda=40.0)
    lost = np.sqrt(-np.expm1(-2 * network.dt / network.tau_syn))
    shared = np.where(np.arange(rate_net.n) % 2, 3e-3, 1e-3) * lost
    network = dataclasses.replace(
        network,
        current_noise_std=1e-3,
        w_in=np.hstack([network.w_in, shared[:, None] / 0.25]),
        input_noise_std=np.array([0.25]),
    )
    conversion = Conversion(
        network=network,
        rate=rate_net,
        constants=LIFConstants(),
        method="calibrate",
        chosen=CANDIDATE,
        candidates=(CANDIDATE,),
    )
    found = summarize_noise(conversion)
    assert found["shared_noise_std_mv"] == pytest.approx(np.sqrt(5))
    assert found["shared_part"] == pytest.approx((0.5 + 0.9) / 2)
    assert "share, from 1 input channel, 2.24 mV: 70% of the variance)" in found["said"]
