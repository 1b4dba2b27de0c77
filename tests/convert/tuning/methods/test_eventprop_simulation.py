"""The continuous network: its spikes against integration in small steps and a closed
form, its gradients against differences of losses."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.integrate import quad

from isotau.convert.records.lif import LIFNetwork
from isotau.convert.simulate.norse_module import LIFModule
from isotau.convert.tuning.methods.eventprop_simulation import (
    charge,
    charge_slope,
    gradients,
    neurons_of,
    simulate_events,
)

DT, N = 1e-3, 5
PARAMETERS = ("w_in", "w_rec", "v_leak", "v_th", "tau_mem", "tau_syn")


def network(seed=0, **changes):
    """Everything differs from neuron to neuron, and nothing begins at rest."""
    rng = np.random.default_rng(seed)
    net = LIFNetwork(
        w_in=3e-3 * rng.standard_normal((N, 2)),
        w_rec=5e-3 * rng.standard_normal((N, N)),
        w_out=0.02 * rng.standard_normal((2, N)),
        b_out=[0.1, -0.2],
        tau_syn=rng.uniform(3e-3, 3e-2, N),
        tau_mem=rng.uniform(5e-3, 2e-2, N),
        v_th=rng.uniform(-0.045, -0.04, N),
        v_leak=rng.uniform(-0.041, -0.034, N),
        v_reset=np.full(N, -0.065),
        refractory=DT * np.array([0, 1, 2, 2, 3]),
        noise_std=1e-3,
        dt=DT,
        i0=1e-3 * rng.standard_normal(N),
        v0=rng.uniform(-0.065, -0.045, N),
        f0=rng.uniform(0, 30, N),
        tau_out=rng.uniform(0.01, 0.03, N),
    )
    return replace(net, **changes)


def kinds():
    """Networks that differ in what can go wrong."""
    net = network(0)
    fast = np.full(N, -0.01)
    return {
        "usual": net,
        "another": network(3),
        "equal taus": replace(net, tau_mem=net.tau_syn),
        "no synaptic memory": replace(
            net,
            tau_syn=np.full(N, DT / 50),
            w_rec=2 * net.w_rec,
            v_leak=net.v_th + 3e-3,
        ),
        "no membrane memory": replace(
            net, tau_mem=np.where(np.arange(N) % 2, DT / 50, net.tau_mem)
        ),
        "no readout memory": replace(net, tau_out=np.full(N, DT / 50)),
        "above threshold at first": replace(
            net, v0=np.where(np.arange(N) < 2, net.v_th + 1e-3, net.v0)
        ),
        "two spikes in a step": replace(
            net, v_leak=fast, tau_mem=np.full(N, 2e-4), refractory=np.zeros(N)
        ),
    }


def inputs_of(steps, batch=2, seed=5):
    return np.random.default_rng(seed).standard_normal((steps, batch, 2))


def times_of(train, j):
    mine = train.neuron == j
    return train.step[mine] * DT + train.offset[mine]


def small_steps(net, inputs, parts):
    """Spike times by the equations alone, `parts` Euler steps in each dt."""
    h = net.dt / parts
    grow = (net.dt / net.tau_syn) / (1 - np.exp(-net.dt / net.tau_syn))
    v, i = net.v0.copy(), net.i0 * grow
    release = np.full(net.n, -1.0)
    arrivals, spikes = [], [[] for _ in range(net.n)]
    for step in range(len(inputs) * parts):
        t = step * h
        if step % parts == 0:
            i += grow * (net.w_in @ inputs[step // parts])
        while arrivals and arrivals[0][0] <= t:
            i += grow * net.w_rec[:, arrivals.pop(0)[1]]
        slope = (net.v_leak - v + i) / net.tau_mem
        i -= h * i / net.tau_syn
        v = np.where(release > t, net.v_reset, v + h * slope)
        for j in np.nonzero(v > net.v_th)[0]:
            exact = t + h - (v[j] - net.v_th[j]) / slope[j]
            spikes[j].append(exact)
            arrivals.append((exact + net.dt, j))
            release[j] = exact + net.refractory[j] + net.dt / 2
            v[j] = net.v_reset[j]
        arrivals.sort()
    return spikes


def test_spikes_are_those_of_small_steps():
    net, inputs = network(0), inputs_of(60, 1)
    expected = small_steps(net, inputs[:, 0], 2000)
    train = simulate_events(net, inputs).trains[0]
    assert sum(map(len, expected)) > 15
    for j in range(N):
        np.testing.assert_allclose(times_of(train, j), expected[j], atol=0.02 * DT)


def test_records_of_spikes_agree_with_each_other():
    train = simulate_events(kinds()["two spikes in a step"], inputs_of(50)).trains[0]
    times = train.step * DT + train.offset
    assert (np.diff(times) >= 0).all()
    assert (train.offset >= 0).all() and (train.offset <= DT).all()
    np.testing.assert_array_equal(
        train.step, np.repeat(np.arange(50), np.diff(train.first))
    )
    together = train.step * N + train.neuron
    assert np.unique(together, return_counts=True)[1].max() == 2
    for e, before in enumerate(train.previous):
        mine = np.nonzero(train.neuron[:e] == train.neuron[e])[0]
        assert before == (mine[-1] if len(mine) else -1)


def test_more_spikes_than_there_was_room_for():
    net = kinds()["two spikes in a step"]
    long = simulate_events(net, inputs_of(1500, 1)).trains[0]
    short = simulate_events(net, inputs_of(1500, 1)[:100]).trains[0]
    assert len(long.neuron) > 4096
    np.testing.assert_array_equal(long.offset[: len(short.offset)], short.offset)


def test_neurons_above_threshold_spike_at_the_start_without_a_slope():
    net = kinds()["above threshold at first"]
    train = simulate_events(net, inputs_of(3)).trains[0]
    np.testing.assert_array_equal(train.neuron[:2], [0, 1])
    np.testing.assert_array_equal(train.offset[:2], 0)
    assert np.isinf(train.slope[:2]).all() and np.isfinite(train.slope[2:]).all()


def alone(v_leak):
    """One neuron under a constant drive."""
    one = np.ones(1)
    return LIFNetwork(
        w_in=np.zeros((1, 1)),
        w_rec=np.zeros((1, 1)),
        w_out=np.ones((1, 1)),
        b_out=np.zeros(1),
        tau_syn=0.005 * one,
        tau_mem=0.01 * one,
        v_th=-0.04 * one,
        v_leak=v_leak * one,
        v_reset=-0.065 * one,
        refractory=0.002 * one,
        noise_std=0.0,
        dt=DT,
        f0=20.0 * one,
        tau_out=0.015 * one,
    )


def closed_form(v_leak, steps):
    """Spike times τ ln((v_leak − v_reset)/(v_leak − v_th)) apart, plus the reset; and
    the readout's filter over each step, as the difference of its integral."""
    rise = 0.01 * np.log((v_leak + 0.065) / (v_leak + 0.04))
    spikes = rise + np.arange(1000) * (rise + 0.0025)
    spikes = spikes[spikes < steps * DT]
    since = np.maximum(DT * np.arange(steps + 1)[:, None] - spikes, 0)
    integral = (1 - np.exp(-since / 0.015)).sum(axis=1)
    start = 20 * np.exp(-DT / 0.015 * np.arange(1, steps + 1))
    return spikes, np.diff(integral) / DT + start


def test_one_neuron_under_constant_drive_is_the_closed_form():
    steps, v_leak = 200, -0.0352
    nothing = np.zeros((steps, 1, 1))
    events = simulate_events(alone(v_leak), nothing)
    spikes, filtered = closed_form(v_leak, steps)
    assert len(spikes) == 9
    np.testing.assert_allclose(times_of(events.trains[0], 0), spikes, rtol=1e-12)
    np.testing.assert_allclose(events.filtered[:, 0, 0], filtered, rtol=1e-10)
    goal = np.random.default_rng(1).uniform(0, 100, steps)
    change = 1e-8
    high, low = (
        0.5 * ((closed_form(v_leak + step, steps)[1] - goal) ** 2).sum()
        for step in (change, -change)
    )
    pull = (filtered - goal)[:, None, None]
    got = gradients(alone(v_leak), nothing, events, pull)["v_leak"]
    assert got[0] == pytest.approx((high - low) / (2 * change), rel=1e-6)


def loss_of(net, inputs, goal, lead):
    """A loss, its derivative, and how often each neuron spiked in each trial."""
    events = simulate_events(net, inputs, lead=lead, keep=True)
    apart = events.filtered - goal
    counts = [np.bincount(train.neuron, minlength=net.n) for train in events.trains]
    return 0.5 * (apart**2).sum(), apart, events, np.array(counts)


def slope(net, name, where, change, told):
    """The loss's derivative by five points; the spikes stay as many."""
    values = []
    counts = loss_of(net, *told)[3]
    for step in (2, 1, -1, -2):
        changed = getattr(net, name).copy()
        changed[where] += step * change
        value, _, _, now = loss_of(replace(net, **{name: changed}), *told)
        np.testing.assert_array_equal(now, counts)
        values.append(value)
    return (8 * (values[1] - values[2]) - (values[0] - values[3])) / (12 * change)


@pytest.mark.parametrize("lead", [0, 13])
@pytest.mark.parametrize("kind", kinds())
def test_gradients_are_differences_of_losses(kind, lead):
    net, inputs = kinds()[kind], inputs_of(50)
    goal = np.random.default_rng(6).uniform(0, 60, (50 - lead, 2, N))
    told = (inputs, goal, lead)
    _, apart, events, counts = loss_of(net, *told)
    assert counts.sum() > 15
    found = gradients(net, inputs, events, apart)
    assert tuple(sorted(found)) == tuple(sorted(PARAMETERS))
    for name, gradient in found.items():
        sizes = np.abs(getattr(net, name)).mean()
        expected = np.array(
            [
                slope(net, name, where, 1e-6 * sizes, told)
                for where in np.ndindex(gradient.shape)
            ]
        ).reshape(gradient.shape)
        largest = np.abs(expected).max()
        assert largest > 0
        np.testing.assert_allclose(
            gradient, expected, rtol=1e-5, atol=1e-6 * largest, err_msg=name
        )


def test_gradients_do_not_depend_on_threads():
    net, inputs = network(0), inputs_of(40, 11)
    told = []
    for threads in (1, 3):
        events = simulate_events(net, inputs, threads=threads)
        told.append(gradients(net, inputs, events, events.filtered, threads=threads))
    assert sorted(told[0]) == ["v_leak", "v_th", "w_in", "w_rec"]
    for name, gradient in told[0].items():
        np.testing.assert_array_equal(gradient, told[1][name])


def test_a_cut_keeps_later_losses_from_earlier_steps():
    """Inputs are shown before the cut alone: their weights have the gradient of the
    loss before it."""
    net, inputs, at = network(0), inputs_of(60), 30
    inputs[at:] = 0
    cuts = np.arange(60) == at
    events = simulate_events(net, inputs)
    pull = np.random.default_rng(2).standard_normal(events.filtered.shape)
    early = pull * (np.arange(60) < at)[:, None, None]
    whole = gradients(net, inputs, events, pull)["w_in"]
    cut = gradients(net, inputs, events, pull, cuts=cuts)["w_in"]
    expected = gradients(net, inputs, events, early)["w_in"]
    np.testing.assert_allclose(cut, expected, rtol=1e-9)
    assert np.abs(whole - cut).max() > 0.1 * np.abs(cut).max()


def test_shallow_spikes_are_divided_by_the_least_slope():
    """One neuron that just reaches its threshold, once."""
    net = alone(-0.0398)
    nothing = np.zeros((60, 1, 1))
    events = simulate_events(net, nothing)
    (spike,) = events.trains[0].slope
    assert spike == pytest.approx(0.0002 / 0.01)
    pull = np.random.default_rng(3).standard_normal(events.filtered.shape)
    exact = gradients(net, nothing, events, pull)["v_th"]
    clipped = gradients(net, nothing, events, pull, shallow=0.1)["v_th"]
    least = 0.1 * 0.025 / 0.01
    np.testing.assert_allclose(clipped, exact * spike / least, rtol=1e-12)


def test_charge_makes_the_mean_over_a_step_that_of_the_discrete_current():
    tau = 0.004
    (factor,) = charge(np.array([tau]), DT)
    total = quad(lambda s: factor * np.exp(-s / tau), 0, DT)[0]
    assert total / DT == pytest.approx(1, rel=1e-12)


@pytest.mark.parametrize("tau", [2e-5, 1e-3, 0.02])
def test_charge_slope_is_its_difference(tau):
    h = 1e-5 * tau
    high, low = (charge(np.array([tau + step]), DT) for step in (h, -h))
    got = charge_slope(np.array([tau]), DT)
    np.testing.assert_allclose(got, (high - low) / (2 * h), rtol=1e-6)


def test_rates_and_outputs_are_near_those_of_the_discrete_network():
    rng, n = np.random.default_rng(1), 100
    signs = np.where(np.arange(n) < 80, 1, -4)
    weights = np.abs(rng.standard_normal((n, n))) * (rng.random((n, n)) < 0.2)
    net = LIFNetwork(
        w_in=1e-3 * rng.standard_normal((n, 2)),
        w_rec=7e-4 * weights * signs,
        w_out=0.02 * rng.standard_normal((2, n)),
        b_out=[0.1, -0.2],
        tau_syn=rng.uniform(0.01, 0.08, n),
        tau_mem=np.full(n, 0.01),
        v_th=np.full(n, -0.04),
        v_leak=rng.uniform(-0.042, -0.036, n),
        v_reset=np.full(n, -0.065),
        refractory=np.full(n, 0.002),
        noise_std=0.0,
        dt=DT,
        v0=rng.uniform(-0.065, -0.04, n),
    )
    inputs = np.repeat(rng.standard_normal((20, 4, 2)), 20, axis=0)
    with torch.no_grad():
        outputs, spikes = LIFModule(net)(torch.tensor(inputs))
    events = simulate_events(net, inputs)
    seconds = 4 * 400 * DT
    discrete = spikes.numpy().sum((0, 1)) / seconds
    rates = sum(np.bincount(train.neuron, minlength=n) for train in events.trains)
    assert discrete.mean() > 20
    assert rates.mean() / seconds == pytest.approx(discrete.mean(), rel=0.02)
    assert np.corrcoef(rates, discrete)[0, 1] > 0.998
    continuous = events.filtered @ net.w_out.T + net.b_out
    both = [
        x.reshape(-1, 20, 4, 2).mean(1).ravel() for x in (continuous, outputs.numpy())
    ]
    assert np.corrcoef(*both)[0, 1] > 0.99


def test_neurons_without_any_memory_are_refused():
    net = network(0)
    net = replace(net, tau_mem=np.full(N, DT / 50), tau_syn=np.full(N, DT / 2))
    with pytest.raises(
        ValueError, match=r"tau_mem, tau_syn: got 2e-05 and 0\.0005 s at"
    ):
        neurons_of(net)
