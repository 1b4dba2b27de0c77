"""e-prop against autograd through Norse's step, with the recurrent path cut by hand."""

import weakref
from dataclasses import replace

import numpy as np
import pytest
import torch

from isotau.convert.records.lif import LIFNetwork, Ranges
from isotau.convert.records.trials import Trials
from isotau.convert.simulate.norse_module import (
    SURROGATES,
    TRAINABLE,
    LIFModule,
    ModuleState,
)
from isotau.convert.tuning.forward.chip import ChipDynamics
from isotau.convert.tuning.forward.dynamics import NorseLoop
from isotau.convert.tuning.learner.learner import NotFinite
from isotau.convert.tuning.learner.tune_config import TuneConfig
from isotau.convert.tuning.loss.autocovariance_loss import AutocovarianceTarget
from isotau.convert.tuning.loss.batch import Source, as_batch
from isotau.convert.tuning.loss.objective import Objective
from isotau.convert.tuning.loss.observe import Observation, observe
from isotau.convert.tuning.loss.rate_loss import RateTarget
from isotau.convert.tuning.methods.eprop import Chunk, EProp, cut, stream
from isotau.convert.tuning.session import begin

N, N_IN, N_OUT, BATCH, STEPS, LEAD = 7, 3, 2, 3, 150, 37
DT = 1e-3
RATES = RateTarget(rates=np.linspace(5, 60, N), weight=0.8)


def network(recurrent=1.0, noise=0.05):
    """Everything differs from neuron to neuron, and nothing begins at rest."""
    rng = np.random.default_rng(1)
    return LIFNetwork(
        w_in=rng.normal(0, 0.8, (N, N_IN)),
        w_rec=recurrent * rng.normal(0, 0.6, (N, N)),
        w_out=rng.normal(0, 0.05, (N_OUT, N)),
        b_out=rng.normal(0, 0.1, N_OUT),
        tau_syn=rng.uniform(3e-3, 2e-2, N),
        tau_mem=rng.uniform(5e-3, 3e-2, N),
        v_th=rng.uniform(0.8, 1.2, N),
        v_leak=rng.uniform(0.2, 1.2, N),
        v_reset=rng.uniform(-0.3, 0, N),
        refractory=DT * np.arange(N) % 4e-3,
        noise_std=noise,
        dt=DT,
        i0=rng.normal(0, 0.2, N),
        v0=rng.uniform(-0.2, 0.9, N),
        f0=rng.uniform(0, 20, N),
        tau_out=rng.uniform(1e-2, 4e-2, N),
    )


def module_of(net, **choices):
    options = {"damping": 0.4, "train": TRAINABLE} | choices
    return LIFModule(net, **options)


def batch_of(net, dtype=torch.float64, lead=LEAD):
    rng = np.random.default_rng(2)
    trials = Trials(
        inputs=rng.normal(0, 0.5, (STEPS, BATCH, N_IN)),
        targets=rng.normal(0, 1, (STEPS, BATCH, N_OUT)),
        mask=rng.random((STEPS, BATCH)) < 0.6,
        labels=np.array([0, 1, 1]),
        dt=DT,
        task="any",
    )

    def before(inputs, steps):
        return np.concatenate([rng.normal(0, 0.5, (steps, BATCH, N_IN)), inputs])

    source = Source(draw=None, score=None, lead=lead * DT, before=before)
    cpu = torch.device("cpu")
    return as_batch(trials, net, source, seed=4, dtype=dtype, device=cpu)


def cut_off(module, batch):
    """Return outputs and spikes; no gradient passes from a spike through w_rec."""
    state, parameters = module.initial_state(BATCH), module.norse_parameters()
    steps = len(batch.inputs)
    noise = module.draw_noise(steps, BATCH, seed=batch.seed).by_step(steps)
    spikes = []
    for x, xi in zip(batch.inputs, noise, strict=True):
        lif = state.lif._replace(z=state.lif.z.detach())
        state = module.step(x, ModuleState(lif, state.refractory_left), parameters, xi)
        spikes.append(state.lif.z)
    spikes = spikes[batch.lead :]
    return module.read_out(spikes), torch.stack(spikes)


def autograd(module, batch, objective):
    outputs, spikes = cut_off(module, batch)
    counts = spikes.reshape(3, STEPS // 3, BATCH, N).sum(dim=1)
    parts = objective.task_parts(Observation(outputs, counts, STEPS // 3), batch)
    assert spikes.mean() > 0.01
    module.zero_grad()
    sum(parts.values()).backward()
    losses = {name: float(part.detach()) for name, part in parts.items()}
    return losses, {name: p.grad for name, p in module.named_parameters()}


def same(told, losses, gradients, rtol=1e-8):
    assert told.losses.keys() == losses.keys()
    for name, loss in losses.items():
        assert float(told.losses[name]) == pytest.approx(float(loss), rel=rtol)
    for name, expected in gradients.items():
        found = told.gradients[name]
        if expected is None:
            assert not found.any(), name
            continue
        assert found.dtype == expected.dtype
        size = float(expected.abs().max())
        assert size > 0, name
        torch.testing.assert_close(
            found,
            expected,
            rtol=rtol,
            atol=rtol * size,
            msg=lambda m, n=name: f"{n}: {m}",
        )


@pytest.mark.parametrize("rates", [None, RATES])
@pytest.mark.parametrize("task", ["mse", "norm", "labels", "none"])
def test_gradients_are_those_without_the_recurrent_path(task, rates):
    if task == "none" and rates is None:
        rates = RateTarget(rates=10.0, kind="mean")
    objective = Objective(task=task, task_weight=1.7, rates=rates)
    module = module_of(network())
    batch = batch_of(network())
    expected = autograd(module, batch, objective)
    told = stream(module, cut(batch), objective, labels=batch.labels, seed=batch.seed)
    same(told, *expected)


@pytest.mark.parametrize("surrogate", SURROGATES)
def test_every_surrogate(surrogate):
    module, batch = module_of(network(), surrogate=surrogate), batch_of(network())
    told = stream(module, cut(batch), Objective(), seed=batch.seed)
    # Norse has the root of π of "heavi_erfc" in single precision
    rtol = 1e-7 if surrogate == "heavi_erfc" else 1e-8
    same(told, *autograd(module, batch, Objective()), rtol=rtol)


def test_without_recurrent_weights_it_is_all_of_the_gradient():
    module, batch = module_of(network(recurrent=0.0)), batch_of(network())
    objective = Objective(rates=RATES)
    told = stream(module, cut(batch), objective, seed=batch.seed)
    trace = observe(NorseLoop().prepare(module), module, batch)
    parts = objective.task_parts(trace, batch)
    sum(parts.values()).backward()
    losses = {name: part.detach() for name, part in parts.items()}
    same(told, losses, {name: p.grad for name, p in module.named_parameters()})


def test_with_recurrent_weights_it_points_the_same_way_but_is_not_all():
    module, batch = module_of(network()), batch_of(network())
    found = stream(module, cut(batch), Objective(), seed=batch.seed).gradients
    trace = observe(NorseLoop().prepare(module), module, batch)
    Objective().task_parts(trace, batch)["task"].backward()
    full = module.w_rec.grad
    cosine = (found["w_rec"] * full).sum() / found["w_rec"].norm() / full.norm()
    assert 0.3 < cosine < 0.999


def test_the_readouts_part_is_that_of_finite_differences():
    module, batch = module_of(network()), batch_of(network())
    found = stream(module, cut(batch), Objective(), seed=batch.seed).gradients

    def loss():
        with torch.no_grad():
            trace = observe(NorseLoop().prepare(module), module, batch)
            return float(Objective().task_parts(trace, batch)["task"])

    for name, at in [("w_out", (0, 2)), ("w_out", (1, 5)), ("b_out", (1,))]:
        part = getattr(module, name).data
        value, step = part[at].clone(), 1e-3
        part[at] = value + step
        above = loss()
        part[at] = value - step
        below = loss()
        part[at] = value
        slope = (above - below) / (2 * step)
        assert float(found[name][at]) == pytest.approx(slope, rel=1e-7)


@pytest.mark.parametrize("length", [1, 50, 64, 200])
def test_chunks_may_have_any_length(length):
    module, batch = module_of(network()), batch_of(network(), lead=0)
    objective = Objective(rates=RATES)
    whole = stream(module, cut(batch), objective, seed=batch.seed)
    parts = (part.split(length) for part in (batch.inputs, batch.targets, batch.mask))
    told = stream(module, map(Chunk, *parts), objective, seed=batch.seed)
    same(told, whole.losses, whole.gradients, rtol=1e-12)


def test_threads_change_nothing():
    module, batch = module_of(network()), batch_of(network())
    before = torch.get_num_threads()
    told = []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            told.append(stream(module, cut(batch), Objective(), seed=batch.seed))
    finally:
        torch.set_num_threads(before)
    for name, gradient in told[0].gradients.items():
        assert torch.equal(gradient, told[1].gradients[name])


def test_single_precision_is_close():
    net = network()
    module, batch = module_of(net, dtype=torch.float32), batch_of(net, torch.float32)
    told = stream(module, cut(batch), Objective(rates=RATES), seed=batch.seed)
    expected = autograd(module, batch, Objective(rates=RATES))
    same(told, *expected, rtol=1e-4)


def test_nothing_of_chunks_that_went_by_is_kept():
    module, alive = module_of(network()), []

    def chunks():
        for _ in range(6):
            assert sum(ref() is not None for ref in alive) <= 1
            inputs = torch.ones(64, BATCH, N_IN, dtype=torch.float64)
            alive.append(weakref.ref(inputs))
            yield Chunk(inputs, torch.zeros(64, BATCH, N_OUT), torch.ones(64, BATCH))
            del inputs

    stream(module, chunks(), Objective(rates=RATES), seed=1)
    assert len(alive) == 6


def learner_of(net, objective, source=None, **choices):
    config = TuneConfig(dtype="float64", **choices)
    source = source or Source(
        draw=lambda *_: batch_of(net).trials, score=lambda *_: np.ones(BATCH)
    )
    return begin(net, source, objective, config, EProp(), None).learner


def test_an_update_takes_the_gradient_and_tells_the_losses():
    net, objective = network(), Objective(rates=RATES)
    learner = learner_of(net, objective, train=("w_rec", "w_out", "v_th"), clip=None)
    batch = batch_of(net)
    parts, gradients = autograd(learner.module, batch, objective)
    sizes = {g["name"]: g["size"] for g in learner.optimizer.param_groups}
    norm = sum(
        float((gradients[name] * size).square().sum()) for name, size in sizes.items()
    )
    before = learner.module.w_rec.detach().clone()
    learner.optimizer.zero_grad()
    told = EProp().learn(learner, batch, None)
    assert told.losses["task"] == pytest.approx(parts["task"], rel=1e-8)
    assert told.losses["rates"] == pytest.approx(parts["rates"], rel=1e-8)
    assert told.losses["total"] == told.losses["task"] + told.losses["rates"]
    assert told.gradient == pytest.approx(norm**0.5, rel=1e-6)
    assert not torch.equal(learner.module.w_rec, before)


@pytest.mark.parametrize("feedback", ["symmetric", "random"])
def test_a_network_learns_by_it(small, signs, feedback):
    learner = learner_of(small, Objective(), signs, learning_rate=0.02, batch=8)
    method, rng, losses = EProp(feedback=feedback), np.random.default_rng(3), []
    for k in range(40):
        batch = as_batch(
            signs.draw(8, rng),
            small,
            signs,
            seed=k,
            dtype=torch.float64,
            device=torch.device("cpu"),
        )
        losses.append(method.learn(learner, batch, None).losses["total"])
    assert np.mean(losses[-5:]) < 0.6 * np.mean(losses[:5])


def test_random_feedback_stands_for_w_out_on_the_way_back():
    module, batch = module_of(network()), batch_of(network())
    weights = torch.randn(N_OUT, N, dtype=torch.float64)
    told = stream(module, cut(batch), Objective(), feedback=weights, seed=batch.seed)
    exact = stream(module, cut(batch), Objective(), seed=batch.seed)
    for name in ("w_out", "b_out"):
        assert torch.equal(told.gradients[name], exact.gradients[name])
    outputs, spikes = cut_off(module, batch)
    loss = Objective().task_parts(Observation(outputs, spikes, 1), batch)["task"]
    (errors,) = torch.autograd.grad(loss, outputs, retain_graph=True)
    swapped = LIFModule(replace(network(), w_out=weights.numpy()))
    (errors * swapped.read_out(list(spikes))).sum().backward()
    torch.testing.assert_close(
        told.gradients["w_rec"], module.w_rec.grad, rtol=1e-8, atol=1e-12
    )


def test_random_feedback_is_drawn_once_and_remembered():
    net = network()
    learner, batch = learner_of(net, Objective()), batch_of(net)
    method, other = (EProp(feedback="random", seed=6) for _ in range(2))
    assert method.state() == {}
    size = learner.module.w_out.detach().square().mean().sqrt()
    method.learn(learner, batch, None)
    first = method.state()["feedback"]
    assert float(first.square().mean().sqrt() / size) == pytest.approx(1, abs=0.5)
    method.learn(learner, batch, None)
    assert torch.equal(method.state()["feedback"], first)
    other.restore(method.state())
    other.learn(learner, batch, None)
    assert torch.equal(other.state()["feedback"], first)
    other.restore({})
    assert other.state() == {}
    EProp().learn(learner, batch, None)
    assert EProp().state() == {}


def test_what_it_cannot_do_it_says():
    net = network()
    learner, batch = learner_of(net, Objective()), batch_of(net)
    target = AutocovarianceTarget(
        covariance=np.ones((2, N)),
        lags=[0.0, 0.01],
        interval=0.01,
        volts=np.ones(N),
        reliability=np.ones(N),
    )
    learner.objective = Objective(timescales=target)
    with pytest.raises(
        ValueError, match="timescales: got a target, need none, as an a"
    ):
        EProp().learn(learner, batch, None)
    learner.objective = Objective()
    ranges = Ranges(i_peak=np.ones(N), i_rms=np.ones(N), v_low=np.ones(N))
    learner.dynamics = ChipDynamics(net, np.ones(N), ranges, 1.0)
    with pytest.raises(
        ValueError, match="dynamics: got the chip's arithmetic, need fl"
    ):
        EProp().learn(learner, batch, None)
    with pytest.raises(ValueError, match="feedback: got 'adaptive'"):
        EProp(feedback="adaptive")
    with pytest.raises(ValueError, match="seed: got -1"):
        EProp(seed=-1)
    learner = learner_of(net, Objective())
    learner.module.w_out.data.zero_()
    with pytest.raises(ValueError, match="w_out: got only 0, need random feedback's"):
        EProp(feedback="random").learn(learner, batch, None)


def test_a_loss_that_is_no_number_stops():
    net = network()
    learner, batch = learner_of(net, Objective()), batch_of(net)
    batch.targets[3] = torch.inf
    batch.mask[3] = 1.0
    before = learner.module.w_rec.detach().clone()
    with pytest.raises(NotFinite, match="loss: got inf for task"):
        EProp().learn(learner, batch, None)
    assert torch.equal(learner.module.w_rec, before)


def test_streams_that_do_not_fit():
    module, batch = module_of(network()), batch_of(network())
    with pytest.raises(ValueError, match="labels: got none, need one for each trial"):
        stream(module, cut(batch), Objective(task="labels"))
    with pytest.raises(ValueError, match="chunks: got no step"):
        stream(module, [], Objective())
    lead = batch._replace(lead=len(batch.inputs))
    with pytest.raises(ValueError, match="chunks: got no step"):
        stream(module, [next(cut(lead))], Objective())
    with pytest.raises(ValueError, match="device: got meta, need cpu"):
        stream(module_of(network()).to("meta"), cut(batch), Objective())
    good = Chunk(batch.inputs[:5], batch.targets[:5], batch.mask[:5])
    for wrong in (
        good._replace(inputs=good.inputs[:4]),
        good._replace(inputs=good.inputs[:, :, :2]),
        good._replace(targets=good.targets[:, :, :1]),
        good._replace(mask=good.mask[:, :2]),
        Chunk(*(part[:, :2] for part in good)),
    ):
        with pytest.raises(ValueError, match="chunk: got inputs, targets and mask of"):
            stream(module, [good, wrong], Objective())
