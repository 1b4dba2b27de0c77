"""FPTT against autograd with states detached by hand, and against closed forms."""

import dataclasses
import weakref

import numpy as np
import pytest
import torch

from isotau.convert.records.lif import Ranges
from isotau.convert.records.trials import Trials
from isotau.convert.simulate.norse_module import LIFModule
from isotau.convert.to_fixed.quantize import QuantizeConfig
from isotau.convert.tuning.forward.chip import ChipDynamics
from isotau.convert.tuning.forward.dynamics import NorseLoop
from isotau.convert.tuning.forward.units import in_units, unit_of
from isotau.convert.tuning.learner.constraints import constraints_of, typical_sizes
from isotau.convert.tuning.learner.learner import Learner, NotFinite
from isotau.convert.tuning.learner.tune_config import TuneConfig
from isotau.convert.tuning.loss.autocovariance_loss import AutocovarianceTarget
from isotau.convert.tuning.loss.batch import Source, as_batch
from isotau.convert.tuning.loss.objective import Objective
from isotau.convert.tuning.loss.observe import observe
from isotau.convert.tuning.loss.rate_loss import RateTarget
from isotau.convert.tuning.loss.segments import Segments
from isotau.convert.tuning.methods.fptt import FPTT, carried, cut, follow, pull

BIN = 50
"""Steps of a bin at the networks' dt of 1 ms."""
TASK = Objective()


class Watched(Learner):
    """A learner that keeps what it is given and steps down by `rate` times it."""

    rate = 0.0

    def apply(self):
        """Keep the gradients; step."""
        given = {name: p.grad.clone() for name, p in self.module.named_parameters()}
        type(self).given.append(given)
        with torch.no_grad():
            for name, part in self.module.named_parameters():
                part -= self.rate * given[name]
        self.optimizer.zero_grad()
        return 0.0


def watched(rate=0.0):
    return type("Watched", (Watched,), {"rate": rate, "given": []})


def learner_of(net, kind=Learner, objective=TASK, **config):
    config = TuneConfig(dtype="float64", **config)
    unit = unit_of(net, config.width)
    module = LIFModule(in_units(net, unit), damping=0.3, train=config.train, unit=unit)
    groups = [
        {
            "params": [part],
            "lr": config.learning_rate * typical_sizes(module)[name],
            "size": typical_sizes(module)[name],
            "name": name,
        }
        for name, part in module.named_parameters()
    ]
    return kind(
        module=module,
        dynamics=NorseLoop(),
        objective=objective,
        config=config,
        optimizer=torch.optim.Adam(groups),
        constraints=constraints_of(
            in_units(net, unit),
            dale=config.dale,
            sparse=config.sparse,
            like=module.w_rec.detach(),
        ),
        chance=torch.Generator().manual_seed(0),
    )


def batch_of(net, *, steps=4 * BIN, batch=3, lead=0, seed=None, mask=None, rng=0):
    rng = np.random.default_rng(rng)
    inputs = rng.standard_normal((steps, batch, net.n_in)).cumsum(axis=0) / 10
    made = Trials(
        inputs=inputs,
        targets=np.sin(np.arange(steps) / 30)[:, None, None] + 0 * inputs,
        mask=np.ones((steps, batch), bool) if mask is None else mask,
        labels=np.arange(batch) % 2,
        dt=net.dt,
        task="test",
    )
    source = Source(draw=lambda *_: made, score=lambda *_: np.ones(batch), lead=lead)
    place = {"dtype": torch.float64, "device": torch.device("cpu")}
    return as_batch(made, net, source, seed=seed, **place)


def in_turn(module, batch, edges, rate):
    """Return the gradient of each window and change the module after each.

    One step after another, states detached at the edges; the squared error over the
    mask, divided by its steps in the whole trial.
    """
    state = module.initial_state(batch.inputs.shape[1])
    f = module.f0.expand_as(state.lif.v)
    lost, gradients = 0.0, []
    count = batch.mask.sum() * batch.targets.shape[2]
    for t in range(len(batch.targets)):
        if t in edges:
            state = state._replace(
                lif=type(state.lif)(*(x.detach() for x in state.lif))
            )
            f = f.detach()
        state = module.step(batch.inputs[t], state, module.norse_parameters())
        loss = module.loss_per_step(module.tau_out)
        f = f * (1 - loss) + state.lif.z * loss / module.dt
        error = f @ module.w_out.T + module.b_out - batch.targets[t]
        lost = lost + (error**2 * batch.mask[t, :, None]).sum() / count
        if t + 1 in edges:
            parts = dict(module.named_parameters())
            found = torch.autograd.grad(lost, list(parts.values()))
            gradients.append(dict(zip(parts, found, strict=True)))
            lost = 0.0
            with torch.no_grad():
                for part, slope in zip(parts.values(), found, strict=True):
                    part -= rate * slope
    return gradients


def agree(got, need):
    assert len(got) == len(need)
    for ours, theirs in zip(got, need, strict=True):
        for name, slope in theirs.items():
            assert slope.abs().max() > 0
            torch.testing.assert_close(ours[name], slope, rtol=1e-9, atol=1e-15)


def test_one_window_is_backpropagation_through_the_trial(lif_net):
    kind = watched()
    learner, batch = learner_of(lif_net, kind), batch_of(lif_net)
    FPTT(windows=1, alpha=0.0).learn(learner, batch, None)
    outputs, _ = learner.module(batch.inputs)
    (outputs - batch.targets).square().mean().backward()
    need = {name: p.grad for name, p in learner.module.named_parameters()}
    agree(kind.given, [need])


@pytest.mark.parametrize("rate", [0.0, 1e-3])
def test_windows_are_truncated_backpropagation(lif_net, rate):
    mask = np.ones((4 * BIN, 3), bool)
    mask[: BIN // 2] = mask[-10:, 1] = False
    kind, batch = watched(rate), batch_of(lif_net, mask=mask)
    FPTT(windows=3, alpha=0.0).learn(learner_of(lif_net, kind), batch, None)
    module = learner_of(lif_net).module
    agree(kind.given, in_turn(module, batch, (0, BIN, 2 * BIN, 4 * BIN), rate))


def test_the_lead_passes_with_its_noise_and_without_a_gradient(lif_net):
    batch = batch_of(lif_net, lead=0.07, seed=5)
    kind = watched()
    learner = learner_of(lif_net, kind)
    told = FPTT(windows=1, alpha=0.0).learn(learner, batch, None)
    # truncation after the trial's end: the lead alone has no gradient
    cuts = Segments(truncate=1000)
    trace = observe(NorseLoop().prepare(learner.module), learner.module, batch, cuts)
    loss = learner.objective.task_parts(trace, batch)["task"]
    loss.backward()
    agree(kind.given, [{n: p.grad for n, p in learner.module.named_parameters()}])
    assert told.losses["total"] == pytest.approx(loss.item(), rel=1e-12)


def test_without_updates_the_windows_losses_are_the_trials(lif_net):
    mask = np.random.default_rng(2).random((4 * BIN + 17, 3)) < 0.3
    batch = batch_of(lif_net, steps=4 * BIN + 17, mask=mask, seed=3, lead=0.02)
    learner = learner_of(lif_net, watched(), Objective(task_weight=3.0))
    told = FPTT(windows=4).learn(learner, batch, None).losses
    trace = observe(NorseLoop().prepare(learner.module), learner.module, batch)
    need = learner.objective.task_parts(trace, batch)["task"].item()
    assert told == {"task": pytest.approx(need), "total": pytest.approx(need)}


def test_windows_without_a_target_change_nothing(lif_net):
    mask = np.zeros((4 * BIN, 3), bool)
    mask[3 * BIN :] = True
    kind, batch = watched(), batch_of(lif_net, mask=mask)
    FPTT(windows=4).learn(learner_of(lif_net, kind), batch, None)
    module = learner_of(lif_net).module
    agree(kind.given, in_turn(module, batch, (0, 3 * BIN, 4 * BIN), 0.0)[1:])


def test_every_window_is_asked_for_the_label(lif_net):
    batch = batch_of(lif_net)
    learner = learner_of(lif_net, watched(), Objective(task="labels"))
    told = FPTT(windows=4).learn(learner, batch, None).losses
    outputs, _ = learner.module(batch.inputs)
    means = outputs.reshape(4, BIN, 3, 2).mean(dim=1)
    chosen = means.log_softmax(dim=2)[:, torch.arange(3), batch.labels]
    assert told["task"] == pytest.approx(-chosen.mean().item())


def test_every_window_is_asked_for_the_rates(lif_net):
    batch = batch_of(lif_net)
    wanted = Objective(task="none", rates=RateTarget(rates=10.0))
    kind = watched()
    learner = learner_of(lif_net, kind, wanted, train=("w_in", "w_rec"))
    told = FPTT(windows=4).learn(learner, batch, None).losses
    prepared = NorseLoop().prepare(learner.module)
    trace = observe(prepared, learner.module, batch)
    need = [
        wanted.task_parts(trace._replace(counts=count[None]), batch)["rates"].item()
        for count in trace.counts
    ]
    assert len(need) == len(kind.given) == 4
    assert told["rates"] == pytest.approx(np.mean(need))


def test_regularizers_slope_against_finite_differences():
    rng = np.random.default_rng(0)
    phi, mean, slope = torch.tensor(rng.standard_normal((3, 4)))
    size, alpha, h = 0.3, 0.2, 1e-5

    def value(at):
        far = (at - mean) / size - size * slope / (2 * alpha)
        return alpha / 2 * far.square().sum().item()

    got = pull(phi, mean, slope, size=size, alpha=alpha)
    for k, unit in enumerate(torch.eye(4, dtype=torch.float64)):
        need = (value(phi + h * unit) - value(phi - h * unit)) / (2 * h)
        assert got[k].item() == pytest.approx(need, rel=1e-7)


def test_it_rests_where_the_windows_slopes_cancel():
    # losses c(Φ − p)²/2 in turn: rest is near Σcp/Σc, far from every p
    curve, place = (1.0, 3.0, 2.0), (1.0, -2.0, 4.0)
    phi = average = torch.tensor(5.0, dtype=torch.float64)
    slope, size, alpha = torch.zeros_like(phi), 0.5, 0.2
    seen = []
    for k in range(6000):
        risk = pull(phi, average, slope, size=size, alpha=alpha)
        slope = curve[k % 3] * (phi - place[k % 3])
        phi = phi - 0.01 * (slope + risk)
        average = follow(average, phi, slope, size=size, alpha=alpha)
        seen.append(phi.item())
    rest = np.dot(curve, place) / np.sum(curve)
    assert np.mean(seen[-3:]) == pytest.approx(rest, abs=0.02)


def test_where_weights_rest_past_gradients_add_up(lif_net):
    # with Φ constant the recursions give g₂, g₃ + g₁/4, g₄ + g₁/8 + g₂/4
    alone, all_of_it = watched(), watched()
    batch = batch_of(lif_net)
    FPTT(windows=4, alpha=0.0).learn(learner_of(lif_net, alone), batch, None)
    learner = learner_of(lif_net, all_of_it, clip=None)
    FPTT(windows=4, alpha=0.4).learn(learner, batch, None)
    for name in ("w_in", "w_rec", "w_out", "b_out"):
        g1, g2, g3, g4 = (given[name] for given in alone.given)
        need = (g1, g2, g3 + g1 / 4, g4 + g1 / 8 + g2 / 4)
        for given, slope in zip(all_of_it.given, need, strict=True):
            torch.testing.assert_close(given[name], slope)


def test_what_is_remembered_of_a_gradient_is_clipped(lif_net):
    alone, kind = watched(), watched()
    batch = batch_of(lif_net)
    first = FPTT(windows=4, alpha=0.0)
    norm = first.learn(learner_of(lif_net, alone), batch, None).gradient
    method = FPTT(windows=1, alpha=0.5)
    learner = learner_of(lif_net, kind, clip=1e-3)
    norm = method.learn(learner, batch, None).gradient
    assert norm > 1e-2
    kept = method.state()["gradient.w_rec"]
    torch.testing.assert_close(kept, kind.given[0]["w_rec"] * 1e-3 / norm)


def test_the_past_goes_on_in_the_next_trial(lif_net):
    kind = watched()
    learner = learner_of(lif_net, kind, clip=None)
    method, batch = FPTT(windows=1, alpha=0.4), batch_of(lif_net)
    for _ in range(3):
        method.learn(learner, batch, None)
    slope = kind.given[0]["w_rec"]
    torch.testing.assert_close(kind.given[2]["w_rec"], 1.25 * slope)


@pytest.mark.parametrize("goes_on", [True, False])
def test_it_goes_on_from_its_state_bit_for_bit(lif_net, goes_on):
    batches = [batch_of(lif_net, rng=k, steps=2 * BIN) for k in range(2)]
    whole, parted = learner_of(lif_net), learner_of(lif_net)
    method = FPTT(windows=2)
    for batch in batches:
        method.learn(whole, batch, None)
    before, after = FPTT(windows=2), FPTT(windows=2)
    before.learn(parted, batches[0], None)
    if goes_on:
        after.restore({name: part.clone() for name, part in before.state().items()})
    after.learn(parted, batches[1], None)
    assert torch.equal(whole.module.w_rec, parted.module.w_rec) == goes_on


def test_without_a_regularizer_nothing_is_remembered(lif_net):
    method = FPTT(windows=2, alpha=0.0)
    method.learn(learner_of(lif_net), batch_of(lif_net), None)
    assert method.state() == {}


def chip_of(net, **config):
    swing = net.v_th - net.v_reset
    ranges = Ranges(*(np.full(net.n, 20.0) * swing for _ in range(3)))
    peak = 8.0
    unit = unit_of(net, TuneConfig().width)
    return ChipDynamics(net, unit, ranges, peak, QuantizeConfig(**config))


def test_on_the_chip_the_windows_losses_are_the_trials(lif_net):
    learner, batch = learner_of(lif_net, watched()), batch_of(lif_net, seed=3)
    learner.dynamics = chip_of(lif_net)
    told = FPTT(windows=4).learn(learner, batch, None).losses
    trace = observe(learner.dynamics.prepare(learner.module), learner.module, batch)
    assert trace.counts.sum() > 100
    need = learner.objective.task_parts(trace, batch)["task"].item()
    assert told["task"] == pytest.approx(need)


def test_on_the_chip_a_state_keeps_its_voltages(lif_net):
    module = learner_of(lif_net).module
    scale = chip_of(lif_net).fixed(module).state_scale.max()
    before, now = (
        chip_of(lif_net, state_scale=factor * scale).prepare(module)
        for factor in (0.3, 0.7)
    )
    batch = batch_of(lif_net)
    _, state, _ = before.run(batch.inputs, before.start(3), seed=None, step=0)
    after = carried(state, before, now)
    old, new = (run.fixed.state_scale for run in (before, now))
    assert np.ptp(new / old) < 1e-9 and abs(new[0] / old[0] - 1) > 0.5
    for part in ("v", "i"):  # both runs have the same decays
        integers = getattr(after, part).detach().numpy()
        need = getattr(state, part).detach().numpy() * new / old
        assert np.abs(need).max() > 100
        np.testing.assert_allclose(integers, need, rtol=0, atol=0.5 + 1e-6)
        np.testing.assert_array_equal(integers, np.rint(integers))
    assert torch.equal(after.rest, state.rest)


def test_floats_are_carried_on_as_they_are(lif_net):
    run = NorseLoop().prepare(learner_of(lif_net).module)
    state = run.start(3)
    assert carried(state, run, run) is state


def held_at_once(net, windows, steps):
    """Return the largest number of bytes that autograd keeps at once."""
    held = [0, 0]

    def let_go(size):
        held[0] -= size

    class Kept:
        def __init__(self, tensor):
            self.tensor = tensor
            size = tensor.numel() * tensor.element_size()
            held[0] += size
            held[1] = max(held)
            weakref.finalize(self, let_go, size)

    batch = batch_of(net, steps=steps)
    with torch.autograd.graph.saved_tensors_hooks(Kept, lambda kept: kept.tensor):
        FPTT(windows=windows).learn(learner_of(net), batch, None)
    return held[1]


def test_memory_is_that_of_one_window(lif_net):
    short, long = held_at_once(lif_net, 1, BIN), held_at_once(lif_net, 6, 6 * BIN)
    assert long < 1.1 * short
    assert held_at_once(lif_net, 1, 6 * BIN) > 5 * short


def test_a_small_task_is_learned(lif_net):
    net = dataclasses.replace(lif_net, noise_std=0.0)
    learner = learner_of(net, learning_rate=0.02)
    method, batch = FPTT(windows=4), batch_of(net)
    losses = [method.learn(learner, batch, None).losses["total"] for _ in range(12)]
    assert losses[-1] < 0.25 * losses[0]
    assert (learner.module.w_rec[:, :15] >= 0).all()
    assert (learner.module.w_rec[:, 15:] <= 0).all()


def test_a_loss_that_is_no_number_ends_it(lif_net):
    learner, batch = learner_of(lif_net), batch_of(lif_net)
    targets = batch.targets.clone()
    targets[-1] = torch.nan
    clean = learner.module.w_rec.detach().clone()
    with pytest.raises(NotFinite, match="loss: got nan for task"):
        FPTT(windows=1).learn(learner, batch._replace(targets=targets), None)
    assert torch.equal(learner.module.w_rec, clean)


def test_a_gradient_that_is_no_number_is_not_remembered(lif_net):
    learner, batch, method = learner_of(lif_net), batch_of(lif_net), FPTT(windows=1)
    learner.module.w_rec.register_hook(lambda slope: slope * torch.inf)
    with pytest.raises(NotFinite, match="gradient: got a norm of"):
        method.learn(learner, batch, None)
    assert method.state() == {}


def test_a_trial_without_a_mask_is_refused(lif_net):
    batch = batch_of(lif_net, mask=np.zeros((4 * BIN, 3), bool))
    with pytest.raises(ValueError, match="mask: got no step"):
        FPTT().learn(learner_of(lif_net), batch, None)


def test_losses_of_whole_trials_are_refused(lif_net):
    batch = batch_of(lif_net)
    norm = learner_of(lif_net, objective=Objective(task="norm"))
    with pytest.raises(ValueError, match=r"task: got 'norm' with method 'fptt'.*'mse'"):
        FPTT().learn(norm, batch, None)
    with pytest.raises(ValueError, match="got 'fptt' with a timescale term"):
        FPTT().learn(learner_of(lif_net), batch, batch)
    target = AutocovarianceTarget(
        covariance=np.ones((2, 20)),
        lags=[0.0, 0.01],
        interval=0.01,
        volts=np.ones(20),
        reliability=np.ones(20),
    )
    slow = learner_of(lif_net, objective=Objective(timescales=target))
    with pytest.raises(ValueError, match="got 'fptt' with a timescale term"):
        FPTT().learn(slow, batch, None)
    cuts = learner_of(lif_net, segments=Segments(recompute=50))
    with pytest.raises(ValueError, match=r"segments: got .*recompute=50.* need none"):
        FPTT().learn(cuts, batch, None)


def test_another_methods_state_is_refused():
    with pytest.raises(ValueError, match=r"state: got 'trace\.w_rec', need average"):
        FPTT().restore({"trace.w_rec": torch.zeros(2)})


@pytest.mark.parametrize(("windows", "alpha"), [(0, 0.1), (3, -0.1)])
def test_impossible_settings_are_refused(windows, alpha):
    with pytest.raises(ValueError, match=r"windows: got 0|alpha: got -0\.1"):
        FPTT(windows=windows, alpha=alpha)


@pytest.mark.parametrize("steps", [1, 49, 50, 149, 150, 1000, 1013])
@pytest.mark.parametrize("windows", [1, 3, 10, 64])
def test_windows_cover_the_trial_in_whole_bins(steps, windows):
    parts = cut(steps, windows, BIN)
    assert [t for part in parts for t in range(part.start, part.stop)] == [
        *range(steps)
    ]
    assert len(parts) == min(windows, max(1, steps // BIN))
    lengths = [part.stop - part.start for part in parts[:-1]]
    assert all(length % BIN == 0 for length in lengths)
    last = (parts[-1].stop - parts[-1].start) // BIN * BIN
    assert max([*lengths, last]) - min([*lengths, last]) <= BIN


def test_gradients_are_taken_at_noisy_weights(lif_net):
    batch, given = batch_of(lif_net), []
    for noise in (0.0, 0.2):
        kind = watched()
        learner = learner_of(lif_net, kind, weight_noise=noise)
        before = learner.module.w_rec.detach().clone()
        FPTT(windows=2).learn(learner, batch, None)
        assert torch.equal(learner.module.w_rec, before)
        given.append(kind.given)
    for clean, noisy in zip(*given, strict=True):
        assert not torch.allclose(clean["w_rec"], noisy["w_rec"], rtol=1e-2)
