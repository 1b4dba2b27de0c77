"""Calibrated networks do what their rate network does, within the noise of spikes.

What spikes may cost is known: outputs of Poisson neurons, filtered by exp(−t/τ)/τ, have
the variance Σ w² rate/(2τ). Neurons that are driven across threshold fire more evenly.
"""

import dataclasses

import numpy as np
import pytest

from isotau.convert.neuron.lif_constants import PUBLISHED
from isotau.convert.records.rate import RateRNN
from isotau.convert.records.spikes import mean_rate
from isotau.convert.records.storage import same
from isotau.convert.records.trials import Trials, refine
from isotau.convert.simulate.lif_dynamics import simulate_lif
from isotau.convert.simulate.rate_dynamics import simulate_rate
from isotau.convert.simulate.readout import read_out
from isotau.convert.to_lif.calibrate import calibrate, choose_neuron
from isotau.convert.to_lif.teacher import CalibrateConfig

FAST = CalibrateConfig(rounds=0)


def bistable(**changed):
    """A rank-one tanh network with overlap 2: its output remembers a pulse's sign."""
    n = 100
    q, _ = np.linalg.qr(np.random.default_rng(0).standard_normal((n, 2)))
    along, across = np.sqrt(n) * q.T[:, :, None]
    m, vectors = along, 2 * along + 0.5 * across
    fields = {
        "w_rec": m @ vectors.T / n,
        "w_in": along + 0.5 * across,
        "w_out": along.T / n,
        "bias": np.zeros(n),
        "b_out": np.zeros(1),
        "tau": np.full(n, 0.1),
        "dale": np.zeros(n, dtype=np.int8),
        "activation": "tanh",
        "noise_std": 0.0,
        "dt": 0.02,
        "x0_std": 0.0,
        "m_vectors": m,
        "n_vectors": vectors,
    }
    return RateRNN(**(fields | changed))


def sparse(**changed):
    """A sparse Dale network of 40 sigmoid units, each with a τ of its own.

    It reads out what it does with the first input.
    """
    n, rng = 40, np.random.default_rng(1)
    dale = np.where(np.arange(n) < 30, 1, -1)
    w = np.abs(rng.standard_normal((n, n))) * (rng.random((n, n)) < 0.3)
    w_in = rng.standard_normal((n, 2))
    fields = {
        "w_rec": w * np.where(dale > 0, 0.3, -0.9),
        "w_in": w_in,
        "w_out": w_in.T[:1] / 10,
        "bias": 0.2 * rng.standard_normal(n),
        "b_out": [0.1],
        "tau": rng.uniform(0.02, 0.1, n),
        "dale": dale,
        "activation": "sigmoid",
        "noise_std": 0.0,
        "dt": 0.005,
    }
    return RateRNN(**(fields | changed))


def trials_of(inputs, dt):
    steps, batch, _ = inputs.shape
    return Trials(
        inputs=inputs,
        targets=np.zeros((steps, batch, 1)),
        mask=np.ones((steps, batch)),
        labels=np.zeros(batch, dtype=np.int64),
        dt=dt,
        task="test",
    )


def pulses(amplitudes, steps=60):
    inputs = np.zeros((steps, len(amplitudes), 1))
    inputs[5:12, :, 0] = amplitudes
    return trials_of(inputs, 0.02)


def held(seed, batch=24, steps=80, every=80):
    """Random inputs that are held for so many steps."""
    levels = np.random.default_rng(seed).uniform(-2, 2, (steps // every, batch, 2))
    return trials_of(np.repeat(levels, every, axis=0), 0.005)


def compare(net, lif, trials, seed=99):
    """Both networks' outputs, and the SD that Poisson spikes give the first's."""
    fine = refine(trials, lif.dt)
    spikes = simulate_lif(lif, fine.inputs, seed=seed).spikes
    outputs = read_out(
        spikes, w_out=lif.w_out, b_out=lif.b_out, tau=lif.tau_syn, f0=lif.f0
    )
    every = round(net.dt / lif.dt)
    expected = simulate_rate(net, trials.inputs, seed=0, noise=False).outputs
    poisson = (lif.w_out**2 * mean_rate(spikes) / (2 * lif.tau_syn)).sum()
    return outputs[every - 1 :: every], expected, float(np.sqrt(poisson))


def rms(x):
    return float(np.sqrt(np.mean(x**2)))


@pytest.fixture(scope="module")
def remembered():
    return calibrate(bistable(), pulses(np.linspace(-1.5, 1.5, 12)), seed=3)


@pytest.fixture(scope="module")
def followed():
    return calibrate(sparse(), held(0), seed=3)


def test_there_is_one_network_per_fit(remembered):
    assert len(remembered.networks) == len(remembered.residual) == 2
    assert all(0 < left < 0.01 for left in remembered.residual)
    assert remembered.constants.burn_in == 0
    three = CalibrateConfig(rounds=2)
    made = calibrate(bistable(), pulses([-1.0, 1.0], steps=20), config=three)
    assert len(made.networks) == 3


@pytest.mark.parametrize("turn", [0, 1])
def test_a_memory_is_kept_by_the_spiking_network(remembered, turn):
    lif = remembered.networks[turn]
    ours, theirs, poisson = compare(bistable(), lif, pulses(np.linspace(-1.2, 1.2, 8)))
    assert np.corrcoef(ours.ravel(), theirs.ravel())[0, 1] > 0.99
    late = slice(30, None)
    assert abs(theirs[late]).min() > 0.5
    assert rms((ours - theirs)[late]) < poisson / 2
    assert (np.sign(ours[late]) == np.sign(theirs[late])).all()


def test_a_low_rank_network_stays_one(remembered):
    """In units of x, where a neuron's weights are not multiplied by its own q."""
    net, lif = bistable(), remembered.networks[-1]
    q = 1 - np.exp(-1e-3 / lif.tau_syn)[:, None]
    sizes = np.linalg.svd(lif.w_rec / q, compute_uv=False)
    assert sizes[1] < 1e-12 * sizes[0]
    left = np.linalg.svd(lif.w_rec / q)[0][:, 0]
    m = net.m_vectors[:, 0] / np.linalg.norm(net.m_vectors)
    assert abs(left @ m) == pytest.approx(1, abs=1e-12)


def settled(net, lif, trials):
    """Means of the last 100 ms, when held inputs have settled, and Poisson's SD."""
    ours, theirs, poisson = compare(net, lif, trials)
    return ours[-20:].mean(axis=0), theirs[-20:].mean(axis=0), poisson


@pytest.mark.parametrize("turn", [0, 1])
def test_a_sparse_network_is_followed_on_new_inputs(followed, turn):
    ours, theirs, poisson = settled(sparse(), followed.networks[turn], held(5))
    assert np.corrcoef(ours.ravel(), theirs.ravel())[0, 1] > 0.99
    assert rms(ours - theirs) < poisson / 2
    assert rms(ours - theirs) < 0.15 * theirs.std()
    assert all(0 < left < 0.05 for left in followed.residual)


def test_signs_and_zeros_are_kept_exactly(followed):
    net = sparse()
    for lif in followed.networks:
        assert not lif.w_rec[net.w_rec == 0].any()
        assert not (lif.w_rec * net.dale < 0).any()
        assert (lif.w_rec != 0).sum() > 0.5 * (net.w_rec != 0).sum()


def test_signs_may_be_let_go():
    free = CalibrateConfig(rounds=0, keep_signs=False)
    lif = calibrate(sparse(), held(0), config=free).networks[0]
    assert (lif.w_rec * sparse().dale < 0).any()
    assert lif.w_rec[sparse().w_rec == 0].any()


def test_time_constants_are_the_rate_networks(followed):
    for lif in followed.networks:
        np.testing.assert_array_equal(lif.tau_syn, sparse().tau)
    lagging = CalibrateConfig(rounds=0, lag=5e-3)
    lif = calibrate(sparse(), held(0, steps=20, every=20), config=lagging).networks[0]
    np.testing.assert_allclose(lif.tau_syn, sparse().tau - 5e-3)


def test_trials_start_without_a_transient():
    """From the upper fixed point: the network stays there from the first step on."""
    net = bistable()
    run = simulate_rate(
        net,
        np.zeros((2000, 1, 1)),
        seed=0,
        x0=net.m_vectors.T,
        keep_x=True,
    )
    net = bistable(x0=run.x[-1, 0])
    made = calibrate(net, pulses(np.linspace(-6, 2, 12)), seed=1)
    lif, calm = made.networks[-1], pulses(np.zeros(10), steps=20)
    ours, theirs, poisson = compare(net, lif, calm)
    assert np.ptp(theirs) < 1e-6
    assert rms(ours[0] - theirs[0]) < poisson / 2
    assert abs(ours.mean(axis=1) - theirs.mean(axis=1)).max() < poisson / 2
    rested = dataclasses.replace(
        lif, i0=np.zeros(100), v0=lif.v_reset, f0=np.zeros(100)
    )
    transient, _, _ = compare(net, rested, calm)
    assert rms(transient[0] - theirs[0]) > 3 * poisson


def test_calibration_is_better_than_its_prior():
    """The prior's weights alone, which a strong ridge leaves.

    A softplus is not the neuron's own curve.
    """
    net, test = others("softplus"), held(5)
    stiff = CalibrateConfig(rounds=0, ridge=1e9)
    made = calibrate(net, held(1), seed=1, config=FAST)
    prior = calibrate(net, held(1), seed=1, config=stiff)
    assert prior.inverse_lambda == made.inverse_lambda
    assert prior.residual[0] > 2 * made.residual[0]
    q = 1 - np.exp(-1e-3 / net.tau)[:, None]
    scale = prior.constants.unit * q / 1e-3 / prior.inverse_lambda
    np.testing.assert_allclose(
        prior.networks[0].w_rec, scale * net.w_rec, rtol=1e-5, atol=1e-15
    )
    errors = []
    for lif in (made.networks[0], prior.networks[0]):
        ours, theirs, _ = settled(net, lif, test)
        errors.append(rms(ours - theirs))
    assert errors[0] < 0.7 * errors[1]


def others(activation):
    """The sparse network with inputs and weights that suit the activation."""
    net = sparse(activation=activation)
    if activation == "lif":
        return dataclasses.replace(net, w_in=8 * net.w_in)
    return dataclasses.replace(net, w_rec=net.w_rec / 2, ceiling=20.0)


@pytest.mark.parametrize("activation", ["relu", "softplus", "lif"])
def test_other_activations_are_followed(activation):
    net = others(activation)
    lif = calibrate(net, held(1), seed=1, config=FAST).networks[0]
    ours, theirs, poisson = settled(net, lif, held(5))
    assert np.corrcoef(ours.ravel(), theirs.ravel())[0, 1] > 0.98
    assert rms(ours - theirs) < poisson
    assert rms(ours - theirs) < 0.2 * theirs.std()


def test_the_readouts_own_bias_is_followed():
    net = sparse(readout_bias=np.linspace(-2, 2, 40))
    lif = calibrate(net, held(0), seed=3).networks[-1]
    ours, theirs, poisson = settled(net, lif, held(5))
    plain = settled(sparse(), lif, held(5))[1]
    assert rms(ours - theirs) < poisson / 2
    assert rms(ours - plain) > 2 * rms(ours - theirs)


def test_the_seed_decides_everything():
    net, shown = sparse(noise_std=0.05), held(0, batch=3, steps=20, every=20)
    one, again, other = (calibrate(net, shown, seed=s) for s in (1, 1, 2))
    for first, second in zip(one.networks, again.networks, strict=True):
        assert same(first, second)
    assert one.residual == again.residual
    assert not same(one.networks[-1], other.networks[-1])


def test_progress_is_told_of_every_run():
    said = []

    def told(steps, what):
        said.append((len(steps), what))
        return steps

    calibrate(sparse(), held(0, batch=2, steps=10, every=10), progress=told)
    runs = ["neurons under laid-down currents", "LIF network"]
    assert said == [(1, run) for run in runs]


def test_trials_of_another_step_are_refused():
    shown = dataclasses.replace(held(0), dt=0.01)
    with pytest.raises(
        ValueError, match=r"trials: got steps of 0\.01 s, need the netw"
    ):
        calibrate(sparse(), shown)


def test_a_step_that_neurons_cannot_divide_is_refused():
    net = sparse(dt=0.0025)
    with pytest.raises(ValueError, match=r"dt: got 0\.001 s, need a whole fraction of"):
        calibrate(net, dataclasses.replace(held(0), dt=0.0025))


def test_trials_of_other_channels_are_refused():
    with pytest.raises(ValueError, match=r"inputs: got shape \(60, 3, 1\), need"):
        calibrate(sparse(dt=0.02), pulses([1.0, 2.0]))


def test_trials_in_which_nothing_happens_are_refused():
    net = sparse(activation="relu", x0=np.full(40, -1.0), bias=np.full(40, -9.0))
    with pytest.raises(ValueError, match="trials: got rates of 0 in all units at all"):
        calibrate(net, trials_of(np.zeros((5, 2, 2)), 0.005))


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"swing": 0.0}, r"swing: got 0\.0, need numbers greater than 0"),
        ({"ridge": -1.0}, r"ridge: got -1\.0, need numbers greater than 0"),
        ({"rounds": -1}, "rounds: got -1, need 0 to 100"),
        ({"lag": -0.001}, r"lag: got -0\.001, need numbers of at least 0"),
    ],
)
def test_a_configuration_is_checked(changed, said):
    with pytest.raises(ValueError, match=said):
        CalibrateConfig(**changed)


@pytest.mark.parametrize(
    ("activation", "spread", "typical"),
    [
        ("tanh", 0.5, 0.5),
        ("tanh", 3.0, 1.0),
        ("sigmoid", 1.5, 1.5),
        ("sigmoid", 9.0, 2.0),
        ("relu", 9.0, 9.0),
    ],
)
def test_a_typical_state_moves_the_drive_by_the_swing(activation, spread, typical):
    x = 0.7 + spread * np.where(np.arange(400).reshape(10, 4, 10) % 2, 1.0, -1.0)
    net = sparse(activation=activation, dale=np.zeros(40))
    neuron = choose_neuron(net, x, PUBLISHED, 8e-3)
    assert neuron.unit == pytest.approx(8e-3 / typical)
    changed = {"unit": PUBLISHED.unit, "v_leak": PUBLISHED.v_leak, "burn_in": 0.2}
    assert dataclasses.replace(neuron, **changed) == PUBLISHED
    assert neuron.burn_in == 0


def test_the_neurons_own_curve_is_recognized():
    """With 1 mV for 1, v_leak at threshold makes the curve the activation itself."""
    x = 10 * np.random.default_rng(0).standard_normal((50, 8, 40))
    x /= x.std()
    neuron = choose_neuron(sparse(activation="lif"), 10 * x, PUBLISHED, 10e-3)
    assert neuron.unit == pytest.approx(1e-3)
    assert neuron.v_leak == pytest.approx(neuron.v_th, abs=1e-12)


def test_the_choice_looks_at_every_unit():
    """Also where the number of states looked at would step over units in phase."""
    x = np.random.default_rng(0).standard_normal((500, 40, 40)) - 4
    x[:, :, 1::2] += 8
    net = sparse(activation="relu", dale=np.zeros(40))
    one = choose_neuron(net, x, PUBLISHED, 10e-3)
    other = choose_neuron(net, x[:, :, ::-1], PUBLISHED, 10e-3)
    assert one == other
