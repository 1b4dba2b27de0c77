"""The report's numbers against what the integers really do."""

import dataclasses
import json

import numpy as np
import pytest

from isotau.convert.simulate.lif_dynamics import simulate_lif
from isotau.convert.to_fixed.quantization_report import (
    dense_weights,
    effective_tau,
    far_neurons,
    report_quantization,
    summarize,
)
from isotau.convert.to_fixed.quantize import QuantizeConfig, quantize


@pytest.fixture
def calibrated(lif_net):
    inputs = np.random.default_rng(0).standard_normal((200, 4, 2))
    return simulate_lif(lif_net, inputs, seed=0).ranges


@pytest.mark.parametrize(("start", "published"), [(4096, 243), (512, 196), (128, 81)])
def test_truncation_shortens_time_constants(start, published):
    """Figures measured on Lava for a nominal 255.5 steps (a loss of 16/4096)."""
    tau = effective_tau(np.array([16]), np.array([start]), 1.0)
    assert tau[0] == pytest.approx(published, abs=1.0)


def test_effective_tau_is_the_nominal_one_for_large_states():
    fraction = np.array([41, 200, 800])
    tau = effective_tau(fraction, np.full(3, 8e6), 1e-3)
    np.testing.assert_allclose(tau, -1e-3 / np.log1p(-fraction / 4096), rtol=2e-3)
    assert np.isnan(effective_tau(np.array([41]), np.array([0.2]), 1e-3)).all()


def test_a_time_constant_between_two_registers_is_named(lif_net, calibrated):
    """6 s at 1 ms: the longest register holds 4.1 s."""
    tau = np.where(np.arange(lif_net.n) == 7, 6.0, lif_net.tau_syn)
    slow = dataclasses.replace(lif_net, tau_syn=tau, tau_out=tau)
    fixed = quantize(slow, calibrated, input_peak=3.0)
    report = report_quantization(slow, fixed, calibrated)
    assert np.flatnonzero(far_neurons(report)).tolist() == [7]
    numbers = summarize(report)
    (missed,) = numbers["tau_missed"]
    assert missed == {
        "parameter": "tau_syn",
        "neuron": 7,
        "asked_ms": 6000.0,
        "held_ms": pytest.approx(4095.5, rel=1e-4),
    }
    assert numbers["said"] == (
        "The slowest synapse, of 6 s, has 4.095 s in the chip's steps of 1 ms; in 1 "
        "of 20 neurons a time constant is 5% off or more."
    )
    # Half as slow it is held, which is said of slow ones; of fast ones nothing is.
    held = dataclasses.replace(lif_net, tau_syn=tau / 3, tau_out=tau)
    report = report_quantization(
        held, quantize(held, calibrated, input_peak=3.0), calibrated
    )
    assert summarize(report)["said"].endswith(
        "has 2.047 s in the chip's steps of 1 ms."
    )
    fast = quantize(lif_net, calibrated, input_peak=3.0)
    numbers = summarize(report_quantization(lif_net, fast, calibrated))
    assert (numbers["said"], numbers["tau_missed"], numbers["step_ms"]) == ("", [], 1.0)


def test_errors_shrink_with_bits(lif_net, calibrated):
    worst = []
    for bits in (8, 6, 4, 2):
        config = QuantizeConfig(num_weight_bits=bits)
        made = quantize(lif_net, calibrated, input_peak=4.0, config=config)
        report = report_quantization(lif_net, made, calibrated)
        by_name = {p.name: p for p in report.parameters}
        worst.append(by_name["w_rec"].rms)
        assert by_name["w_rec"].total == np.count_nonzero(lif_net.w_rec)
        zeros = np.count_nonzero(lif_net.w_rec) - np.count_nonzero(
            dense_weights(made, "recurrent")
        )
        assert by_name["w_rec"].zeroed == zeros
    assert worst == sorted(worst) and worst[0] < 0.01 < worst[-1]


def test_report_holds_every_parameter(lif_net, calibrated):
    made = quantize(lif_net, calibrated, input_peak=4.0)
    report = report_quantization(lif_net, made, calibrated)
    names = [p.name for p in report.parameters]
    assert names[:6] == ["w_in", "w_rec", "v_leak", "v_th", "tau_syn", "tau_mem"]
    assert names[6:] == ["noise_std", "current_noise_std"]
    assert all(p.worst < 0.02 for p in report.parameters)
    assert report.noise_std[1] == pytest.approx(1e-3, rel=2e-3)
    assert report.headroom_u >= 2 and report.headroom_v >= 2
    nominal = report.tau_syn_register
    np.testing.assert_allclose(nominal, lif_net.tau_syn, rtol=0.02)
    assert (report.tau_syn_effective <= nominal * 1.001).all()


def test_summary_is_strict_json(lif_net, calibrated):
    quiet = type(calibrated)(
        i_peak=calibrated.i_peak, i_rms=0 * calibrated.i_rms, v_low=np.zeros(20)
    )
    made = quantize(lif_net, quiet, input_peak=4.0)
    said = summarize(report_quantization(lif_net, made, quiet))
    json.dumps(said, allow_nan=False)
    assert said["tau_syn_kept"]["effective"] is said["current_noise_kept"] is None
    assert said["headroom_v"] is None
    assert said["median_tau_syn_ms"]["effective"] is None


def test_what_is_kept_of_noise_and_time_constants_is_said(lif_net, calibrated):
    """Powers of two of one exponent: no neuron is off by more than half an octave."""
    asked = np.geomspace(0.5e-3, 3e-3, lif_net.n)
    noisy = dataclasses.replace(lif_net, noise_std=0.0, current_noise_std=asked)
    made = quantize(noisy, calibrated, input_peak=4.0)
    report = report_quantization(noisy, made, calibrated)
    before, after = report.current_noise_std
    np.testing.assert_array_equal(before, asked)
    assert (np.abs(np.log2(after / before)) <= 0.51).all()
    said = summarize(report)
    assert said["noise_kept"] is None
    kept = said["current_noise_kept"]
    assert kept["median"] == pytest.approx(np.median(after / before))
    assert np.abs(np.log2(kept["worst"])) == np.abs(np.log2(after / before)).max()
    assert said["tau_syn_kept"]["register"]["median"] == pytest.approx(1, abs=0.01)
    units = said["current_rms_units"]
    expected = made.u_per_volt * calibrated.i_rms
    assert units == {"median": np.median(expected), "least": expected.min()}
