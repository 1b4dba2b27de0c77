"""Units whose error has a known cause are given that cause and its size."""

import csv
import dataclasses
import json

import numpy as np
import pytest
import torch

from isotau.convert.neuron.fi_curve import firing_rate
from isotau.convert.neuron.lif_constants import LIFConstants
from isotau.convert.records.lif import LIFNetwork
from isotau.convert.records.rate import RateRNN
from isotau.convert.records.spikes import Spikes, count, pack, unpack
from isotau.convert.simulate.lif_dynamics import simulate_lif
from isotau.convert.simulate.norse_module import LIFModule, StepNoise
from isotau.convert.simulate.rate_dynamics import simulate_rate
from isotau.convert.to_lif.search_lambda import rate_to_lif
from isotau.convert.to_lif.unit_diagnostics import (
    NUMBERS,
    Cause,
    average_trials,
    bin_rates,
    bin_units,
    diagnose_units,
    steps_per_bin,
    write_csv,
)

BINS, WIDTH, BATCH = 8, 0.1, 3
REST = float(firing_rate(0.0, LIFConstants()))
"""Rate at threshold; twice that is 1/λ here, so that σ(0) = ½ fits."""
CASES = {
    # drive above threshold in mV, r of the rate unit, spikes in even and odd bins
    Cause.AGREES: (0.0, 0.5, 2, 2),
    Cause.SILENT: (-10.0, 0.5, 0, 0),
    Cause.SATURATED: (0.0, 0.5, 1, 1),
    Cause.BEYOND_FIT: (8.0, 1.0, 6, 6),
    Cause.UPSTREAM: (3.0, 0.5, 4, 4),
    Cause.DYNAMICS: (0.0, 0.5, 6, 6),
    Cause.NOISE: (0.0, 0.5, 4, 0),
}
N = len(CASES)


@pytest.fixture
def staged():
    """Seven unconnected units, one for each cause, and spikes set by hand."""
    cases = list(CASES.values())
    none, every = np.zeros((N, N)), np.ones(N)
    rate = RateRNN(
        w_rec=none,
        w_in=none[:, :1],
        w_out=none[:1],
        bias=0 * every,
        b_out=[0.0],
        tau=0.05 * every,
        dale=np.zeros(N, dtype=np.int8),
        activation="sigmoid",
        noise_std=0.0,
        dt=0.005,
    )
    long = np.array([cause is Cause.SATURATED for cause in CASES])
    net = LIFNetwork(
        w_in=none[:, :1],
        w_rec=none,
        w_out=none[:1],
        b_out=[0.0],
        tau_syn=0.05 * every,
        tau_mem=0.01 * every,
        v_th=-0.04 * every,
        v_leak=-0.04 + 1e-3 * np.array([case[0] for case in cases]),
        v_reset=-0.065 * every,
        refractory=np.where(long, 0.05, 0.002),
        noise_std=1e-3,
        dt=1e-3,
    )
    raster = np.zeros((BINS, 100, BATCH, N), dtype=bool)
    for unit, (*_, even, odd) in enumerate(cases):
        raster[0::2, : 10 * even : 10, :, unit] = True
        raster[1::2, : 10 * odd : 10, :, unit] = True
    bits = pack(raster.reshape(-1, BATCH, N))
    spikes = Spikes(bits=bits, n=N, dt=1e-3, engine="made")
    rates = np.empty((20 * BINS, BATCH, N))
    rates[:] = [case[1] for case in cases]
    return rate, rates, net, spikes, np.zeros((100 * BINS, BATCH, 1))


def diagnose(staged, **kwargs):
    settings = {"inverse_lambda": 2 * REST, "offset": 0.0, "width": WIDTH, **kwargs}
    return diagnose_units(*staged, **settings)


def test_each_cause_is_found(staged):
    found = diagnose(staged)
    assert found.cause == tuple(CASES)
    assert found.n == N


def test_sizes_are_those_that_were_staged(staged):
    found = diagnose(staged)
    drives, wanted, even, odd = np.array(list(CASES.values())).T
    fired = np.array([even, odd]) / WIDTH / (2 * REST)
    phi = 1 / (1 + np.exp(-drives))
    f = [
        float(firing_rate(1e-3 * d, LIFConstants(refractory=rest)))
        for d, rest in zip(drives, staged[2].refractory, strict=True)
    ]
    curve = np.array(f) / (2 * REST)
    np.testing.assert_allclose(found.fired, (even + odd) / 2 / WIDTH)
    np.testing.assert_allclose(found.wanted, wanted * 2 * REST)
    np.testing.assert_allclose(found.bias, fired.mean(0) - wanted, atol=1e-12)
    np.testing.assert_allclose(
        found.rms, np.sqrt(((fired - wanted) ** 2).mean(0)), atol=1e-12
    )
    np.testing.assert_allclose(found.misfit, np.abs(curve - phi), atol=2e-3)
    np.testing.assert_allclose(found.upstream, np.abs(phi - wanted), atol=1e-9)
    np.testing.assert_allclose(found.beyond, np.abs(curve - phi) > 0.1)
    np.testing.assert_allclose(found.noise, np.abs(fired[0] - fired[1]) / np.sqrt(2))
    steady = np.abs(fired.mean(0) - curve)
    calm = found.noise == 0
    np.testing.assert_allclose(found.dynamics[calm], steady[calm], atol=2e-3)
    # a constant rate correlates with nothing
    assert np.isnan(found.correlation).all()


def test_noise_is_that_of_the_count(staged):
    """Poisson spikes at f: counts of a bin vary by √(f·width), rates by √(f/width)."""
    rate, _, net, _, _ = staged
    rng = np.random.default_rng(0)
    steps, batch = 1000, 100
    raster = rng.random((steps, batch, N)) < REST * 1e-3
    spikes = Spikes(bits=pack(raster), n=N, dt=1e-3, engine="made")
    calm = dataclasses.replace(net, v_leak=net.v_th)
    rates = np.full((steps // 5, batch, N), 0.5)
    inputs = np.zeros((steps, batch, 1))
    settings = {"inverse_lambda": 2 * REST, "width": 0.05, "tolerance": 0.15}
    single = diagnose_units(rate, rates, calm, spikes, inputs, **settings)
    np.testing.assert_allclose(
        single.noise, np.sqrt(REST / 0.05) / (2 * REST), rtol=0.06
    )
    short = np.array([cause is not Cause.SATURATED for cause in CASES])
    assert {single.cause[k] for k in np.flatnonzero(short)} == {Cause.NOISE}
    alike = np.zeros(batch, dtype=int)
    mean = diagnose_units(rate, rates, calm, spikes, inputs, labels=alike, **settings)
    assert mean.noise.mean() == pytest.approx(single.noise.mean() / 10, rel=0.15)
    assert {mean.cause[k] for k in np.flatnonzero(short)} == {Cause.AGREES}


def test_correlation_is_pearsons(staged):
    rate, rates, net, spikes, inputs = staged
    rng = np.random.default_rng(2)
    varied = rng.random(rates.shape)
    found = diagnose((rate, varied, net, spikes, inputs))
    noisy = list(CASES).index(Cause.NOISE)
    wanted = varied[:, :, noisy].reshape(BINS, 20, BATCH).mean(1).ravel()
    fired = np.repeat(np.arange(BINS) % 2 == 0, BATCH)
    expected = np.corrcoef(wanted, fired)[0, 1]
    assert found.correlation[noisy] == pytest.approx(expected)


def test_early_bins_can_be_left_out(staged):
    rate, rates, net, spikes, inputs = staged
    changed = rates.copy()
    changed[:40] = 99.0
    late = diagnose((rate, changed, net, spikes, inputs), skip=0.2)
    assert late.cause == tuple(CASES)
    assert (diagnose((rate, changed, net, spikes, inputs)).rms > 10).all()


def test_a_silent_tanh_unit_is_at_minus_one(staged):
    rate, rates, net, spikes, inputs = staged
    tanh = dataclasses.replace(rate, activation="tanh")
    found = diagnose((tanh, 2 * rates - 1, net, spikes, inputs), inverse_lambda=REST)
    silent = list(CASES).index(Cause.SILENT)
    assert found.bias[silent] == pytest.approx(-1)
    np.testing.assert_allclose(found.bias, 2 * diagnose(staged).bias, atol=1e-12)
    np.testing.assert_allclose(found.wanted, diagnose(staged).wanted)


def test_a_converted_network_and_one_unit_broken(rate_net):
    """Whole runs: most of the error is noise; a unit held down is silent."""
    rng = np.random.default_rng(3)
    inputs = np.repeat(rng.standard_normal((4, 40, 2)), 50, axis=0)
    rates = simulate_rate(rate_net, inputs, seed=0).rates
    net = rate_to_lif(rate_net, inverse_lambda=45.0)
    held = np.array(net.v_leak)
    held[4] -= 0.03
    fine = np.repeat(inputs, 5, axis=0)

    def judged(lif, **kwargs):
        spikes = simulate_lif(lif, fine, seed=0).spikes
        return diagnose_units(
            rate_net, rates, lif, spikes, fine, inverse_lambda=45.0, **kwargs
        )

    whole = judged(net)
    assert np.median(whole.correlation) > 0.5
    assert np.abs(whole.bias).mean() < 0.1
    assert np.median(whole.upstream) < 0.1 and np.median(whole.misfit) < 0.15
    broken = judged(dataclasses.replace(net, v_leak=held))
    assert broken.cause[4] is Cause.SILENT and whole.cause[4] is not Cause.SILENT
    assert broken.fired[4] == 0 and broken.wanted[4] > 5


def test_csv_keeps_every_digit(staged, tmp_path):
    found = diagnose(staged)
    path = write_csv(found, tmp_path / "units.csv")
    first, *rest = path.read_text().splitlines()
    assert json.loads(first.removeprefix("# "))["width"] == WIDTH
    rows = list(csv.DictReader(rest))
    assert [row["cause"] for row in rows] == [cause.value for cause in CASES]
    for name in NUMBERS:
        column = [float(row[name]) for row in rows]
        np.testing.assert_array_equal(column, getattr(found, name))


def test_bad_arguments_are_named(staged):
    with pytest.raises(ValueError, match=r"skip: got 0.75 s, need 0 to 0.6"):
        diagnose(staged, skip=0.75)
    with pytest.raises(ValueError, match=r"inverse_lambda: got 0\.0 at"):
        diagnose(staged, inverse_lambda=0.0)
    with pytest.raises(ValueError, match=r"unit: got shape \(2,\), need \(7,\)"):
        diagnose(staged, unit=[1.0, 2.0])


STEPS, TRIALS = 60, 3


@pytest.fixture
def rate_unit(rate_net):
    """A rate network as wide as `lif_net`."""
    return dataclasses.replace(
        rate_net,
        **{name: getattr(rate_net, name)[:20] for name in ("w_in", "bias", "tau")},
        w_rec=rate_net.w_rec[:20, :20],
        w_out=rate_net.w_out[:, :20],
        dale=rate_net.dale[:20],
        x0=(),
        readout_bias=(),
    )


def test_drives_are_the_currents_that_norse_has(lif_net, rate_unit):
    i0 = np.linspace(0, 2e-3, lif_net.n)
    net = dataclasses.replace(lif_net, i0=i0, w_rec=0.3 * lif_net.w_rec)
    rng = np.random.default_rng(0)
    inputs = rng.standard_normal((STEPS, TRIALS, net.n_in))
    module = LIFModule(net)
    state, generator = module.initial_state(TRIALS), torch.Generator().manual_seed(0)
    currents, bits = np.empty((STEPS, TRIALS, net.n)), []
    with torch.no_grad():
        for t in range(STEPS):
            noise = module.noise_per_step().v * torch.randn(
                TRIALS, net.n, generator=generator, dtype=torch.float64
            )
            x = torch.tensor(inputs[t])
            state = module.step(x, state, module.norse_parameters(), StepNoise(noise))
            # Norse returns i after its decay; v was given it before.
            currents[t] = state.lif.i.numpy() * np.exp(net.dt / net.tau_syn)
            bits.append(pack(state.lif.z.numpy() > 0))
    spikes = Spikes(bits=np.stack(bits), n=net.n, dt=net.dt, engine="norse")
    assert unpack(spikes.bits, net.n).any()
    unit, offset = np.full(net.n, 2e-3), np.linspace(-1e-3, 1e-3, net.n)
    got = bin_units(
        rate_unit, net, spikes, inputs, unit=unit, offset=offset, width=0.02
    )
    drives = currents + net.v_leak - net.v_th

    def bins(x):
        return x.reshape(3, 20, TRIALS, net.n).mean(axis=1)

    np.testing.assert_allclose(got.drive, bins(drives), atol=1e-12)
    np.testing.assert_allclose(got.fired, count(spikes, width=20) / 0.02)
    phi = 1 / (1 + np.exp(-(drives - offset) / unit))
    np.testing.assert_allclose(got.activation, bins(phi), rtol=1e-9)
    assert drives.max() < 0.08  # where the curve's table ends
    f = firing_rate(drives[:20, 0], LIFConstants()).mean(axis=0)
    np.testing.assert_allclose(got.curve[0, 0], f, rtol=3e-3, atol=1e-3)


def test_neurons_of_different_kinds_have_their_own_curves(lif_net, rate_unit):
    refractory = np.where(np.arange(lif_net.n) % 2, 2e-3, 50e-3)
    net = dataclasses.replace(
        lif_net,
        refractory=refractory,
        v_leak=np.full(lif_net.n, -38e-3),
        w_rec=0 * lif_net.w_rec,
    )
    quiet = np.zeros((40, 1, net.n), dtype=bool)
    spikes = Spikes(bits=pack(quiet), n=net.n, dt=net.dt, engine="made")
    inputs, one = np.zeros((40, 1, net.n_in)), np.ones(net.n)
    got = bin_units(rate_unit, net, spikes, inputs, unit=one, offset=one, width=0.04)
    for kind in (2e-3, 50e-3):
        expected = firing_rate(2e-3, LIFConstants(refractory=kind))
        np.testing.assert_allclose(
            got.curve[0, 0, refractory == kind], expected, rtol=1e-3
        )


def test_rates_and_trials_are_averaged(rate_unit):
    rng = np.random.default_rng(1)
    rates = rng.random((10, 4, rate_unit.n))
    quiet = np.zeros((50, 4, rate_unit.n), dtype=bool)
    spikes = Spikes(bits=pack(quiet), n=rate_unit.n, dt=1e-3, engine="made")
    binned = bin_rates(rate_unit, rates, spikes, width=0.02)
    np.testing.assert_allclose(binned, [rates[:4].mean(0), rates[4:8].mean(0)])
    by_label = average_trials(binned, [7, 2, 7, 7])
    np.testing.assert_allclose(by_label[:, 0], binned[:, 1])
    np.testing.assert_allclose(by_label[:, 1], binned[:, [0, 2, 3]].mean(1))
    assert average_trials(binned, None) is binned


def test_runs_that_do_not_fit_are_named(lif_net, rate_net, rate_unit):
    n = lif_net.n
    quiet = np.zeros((50, 4, n), dtype=bool)
    spikes = Spikes(bits=pack(quiet), n=n, dt=1e-3, engine="made")
    inputs, one = np.zeros((50, 4, 2)), np.ones(n)
    kwargs = {"unit": one, "offset": one, "width": 0.02}
    with pytest.raises(ValueError, match=r"spikes: got 20 neurons .* need 24 in steps"):
        bin_units(rate_net, lif_net, spikes, inputs, **kwargs)
    with pytest.raises(ValueError, match=r"inputs: got shape \(9, 4, 2\), need"):
        bin_units(rate_unit, lif_net, spikes, inputs[:9], **kwargs)
    with pytest.raises(ValueError, match=r"width: got 1.0 s, need at most the trial's"):
        bin_units(rate_unit, lif_net, spikes, inputs, **{**kwargs, "width": 1.0})
    with pytest.raises(ValueError, match=r"width: got 0.0033 s, need a multiple of dt"):
        steps_per_bin(0.0033, 0.001)
    with pytest.raises(ValueError, match=r"rates: got 0.045 s, need 0.05 s as the spi"):
        bin_rates(rate_unit, np.zeros((9, 4, n)), spikes, width=0.01)
    with pytest.raises(ValueError, match=r"labels: got shape \(3,\), need \(4,\)"):
        average_trials(np.zeros((2, 4, n)), [0, 1, 1])
