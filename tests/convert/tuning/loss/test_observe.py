"""Traces against the module's own forward pass; cuts against autograd by hand."""

import dataclasses

import numpy as np
import pytest
import torch

from isotau.convert.records.trials import Trials
from isotau.convert.simulate.norse_module import LIFModule
from isotau.convert.tuning.forward.dynamics import NorseLoop
from isotau.convert.tuning.forward.units import in_units, unit_of
from isotau.convert.tuning.loss.batch import Source, as_batch
from isotau.convert.tuning.loss.observe import Segments, bin_steps, observe

BIN, WHOLE = 50, Segments()
"""Steps of a bin at the network's dt of 1 ms."""


@pytest.fixture
def module(lif_net):
    """The network in units, with a readout whose filter has a start."""
    net = dataclasses.replace(lif_net, f0=np.linspace(0, 50, 20))
    unit = unit_of(net, 0.1)
    train = ("w_in", "w_rec", "w_out", "b_out", "tau_syn", "tau_mem", "v_th")
    return LIFModule(in_units(net, unit), damping=0.1, train=train, unit=unit)


def batch_of(net, *, steps=230, lead=0.0, seed=None):
    rng = np.random.default_rng(3)
    made = Trials(
        inputs=rng.standard_normal((steps, 3, net.n_in)).cumsum(axis=0) / 10,
        targets=np.zeros((steps, 3, net.n_out)),
        mask=np.ones((steps, 3), bool),
        labels=np.zeros(3, np.int64),
        dt=net.dt,
        task="test",
    )
    source = Source(draw=lambda *_: made, score=lambda *_: None, lead=lead)
    place = {"dtype": torch.float64, "device": torch.device("cpu")}
    return as_batch(made, net, source, seed=seed, **place)


def seen(module, batch, segments=WHOLE):
    return observe(NorseLoop().prepare(module), module, batch, segments)


def loss_of(outputs, counts):
    """Return a loss in which every step, bin and neuron counts differently."""
    rng = np.random.default_rng(4)
    parts = [
        (torch.tensor(rng.standard_normal(part.shape)) * part).sum()
        for part in (outputs, counts)
    ]
    return parts[0] + parts[1]


def slopes(module, loss):
    parts = dict(module.named_parameters())
    found = torch.autograd.grad(loss, list(parts.values()))
    assert all(slope.abs().max() > 0 for slope in found)
    return dict(zip(parts, found, strict=True))


def agree(got, need):
    for name, slope in need.items():
        scale = slope.abs().max().item()
        torch.testing.assert_close(got[name], slope, rtol=1e-9, atol=1e-11 * scale)


def by_hand(module, batch, edges=()):
    """Return outputs and counts, step after step, detached at some steps of the trial.

    With edges, the lead has no gradient either.
    """
    state = module.initial_state(3)
    parameters, f = module.norse_parameters(), module.f0.expand(3, -1)
    loss = module.loss_per_step(module.tau_out)
    outputs, counts = [], []
    for t, x in enumerate(batch.inputs, start=-batch.lead):
        if t in edges:
            lif = type(state.lif)(*(part.detach() for part in state.lif))
            state, f = state._replace(lif=lif), f.detach()
        state = module.step(x, state, parameters)
        if t < 0:
            continue
        if t % BIN == 0:
            counts.append(torch.zeros_like(state.lif.z))
        counts[-1] = counts[-1] + state.lif.z
        f = f * (1 - loss) + state.lif.z * loss / module.dt
        outputs.append(f @ module.w_out.T + module.b_out)
    full = len(batch.targets) // BIN
    return torch.stack(outputs), torch.stack(counts[:full])


@pytest.mark.parametrize("lead", [0.0, 0.07])
def test_a_trace_is_that_of_the_trial_without_its_lead(lif_net, module, lead):
    batch = batch_of(lif_net, lead=lead)
    trace, (outputs, counts) = seen(module, batch), by_hand(module, batch)
    assert trace.bin_steps == BIN and trace.counts.shape == (4, 3, 20)
    assert torch.equal(trace.counts, counts) and counts.sum() > 300
    torch.testing.assert_close(trace.outputs, outputs, rtol=1e-12, atol=1e-12)
    agree(
        slopes(module, loss_of(trace.outputs, trace.counts)),
        slopes(module, loss_of(outputs, counts)),
    )


def test_noise_begins_with_the_lead(lif_net, module):
    with_lead = batch_of(lif_net, lead=0.07, seed=6)
    whole = batch_of(lif_net, seed=6)._replace(inputs=with_lead.inputs)
    late, all_of_it = (seen(module, batch).counts for batch in (with_lead, whole))
    spikes, _, _ = (
        NorseLoop()
        .prepare(module)
        .run(with_lead.inputs, NorseLoop().prepare(module).start(3), seed=6, step=0)
    )
    assert torch.equal(all_of_it[0], spikes[:BIN].sum(dim=0))
    assert torch.equal(late[0], spikes[70 : 70 + BIN].sum(dim=0))


@pytest.mark.parametrize("lead", [0.0, 0.014])
@pytest.mark.parametrize("cuts", [WHOLE, Segments(truncate=50), Segments(recompute=50)])
def test_currents_are_sampled_from_where_the_lead_began(lif_net, module, lead, cuts):
    """In volts, in the trial alone, whatever the segments."""
    batch, every = batch_of(lif_net, lead=lead, seed=6), 4
    run = NorseLoop().prepare(module)
    trace = observe(run, module, batch, cuts, every=every)
    state = run.start(3)
    _, _, whole = run.run(batch.inputs, state, seed=6, step=0, every=1)
    steps = batch.lead + trace.first_sample - 1
    expected = (whole * module.unit)[steps::every]
    torch.testing.assert_close(trace.currents, expected, rtol=1e-12, atol=1e-15)
    assert trace.first_sample == (2 if lead else 4) and trace.currents.requires_grad
    assert seen(module, batch).currents is None


@pytest.mark.parametrize("recompute", [1, 50, 60, 1000])
@pytest.mark.parametrize("seed", [None, 5])
def test_what_is_computed_again_has_the_same_gradients(
    lif_net, module, recompute, seed
):
    batch = batch_of(lif_net, lead=0.03, seed=seed)
    kept, again = (
        seen(module, batch, Segments(recompute=steps)) for steps in (0, recompute)
    )
    assert torch.equal(kept.outputs, again.outputs)
    assert torch.equal(kept.counts, again.counts)
    agree(
        slopes(module, loss_of(again.outputs, again.counts)),
        slopes(module, loss_of(kept.outputs, kept.counts)),
    )


def test_computing_again_keeps_less(lif_net, module):
    batch = batch_of(lif_net, steps=10 * BIN)
    kept = []
    for steps in (0, BIN):
        sizes = []

        def keep(tensor, sizes=sizes):
            sizes.append(tensor.numel() * tensor.element_size())
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            seen(module, batch, Segments(recompute=steps))
        kept.append(sum(sizes))
    assert kept[1] < 0.1 * kept[0]


@pytest.mark.parametrize(
    ("truncate", "edges"),
    [(30, (0, 50, 100, 150, 200)), (100, (0, 100, 200)), (101, (0, 150)), (230, (0,))],
)
@pytest.mark.parametrize("lead", [0.0, 0.04])
def test_truncation_is_a_detached_state(lif_net, module, truncate, edges, lead):
    batch = batch_of(lif_net, lead=lead)
    trace = seen(module, batch, Segments(truncate=truncate))
    outputs, counts = by_hand(module, batch, edges)
    got = slopes(module, loss_of(trace.outputs, trace.counts))
    agree(got, slopes(module, loss_of(outputs, counts)))
    whole = slopes(module, loss_of(*by_hand(module, batch)))
    differs = not torch.allclose(got["w_rec"], whole["w_rec"], rtol=1e-6)
    assert differs == (len(edges) > 1 or lead > 0)


@pytest.mark.parametrize("recompute", [50, 200])
def test_both_cuts_together_are_truncation(lif_net, module, recompute):
    batch = batch_of(lif_net, lead=0.04, seed=2)
    alone, both = (
        seen(module, batch, Segments(truncate=100, recompute=steps))
        for steps in (0, recompute)
    )
    agree(
        slopes(module, loss_of(both.outputs, both.counts)),
        slopes(module, loss_of(alone.outputs, alone.counts)),
    )


@pytest.mark.parametrize("segments", [Segments(), Segments(100, 0), Segments(0, 50)])
def test_without_gradients_the_trace_is_the_same(lif_net, module, segments):
    batch = batch_of(lif_net, lead=0.04, seed=2)
    with torch.no_grad():
        got = seen(module, batch, segments)
    need = seen(module, batch)
    assert not got.outputs.requires_grad
    assert torch.equal(got.outputs, need.outputs)
    assert torch.equal(got.counts, need.counts)


@pytest.mark.parametrize(
    ("dt", "steps"), [(1e-3, 50), (5e-3, 10), (3e-3, 17), (0.2, 1)]
)
def test_a_bin_is_50_ms_or_a_step(dt, steps):
    assert bin_steps(dt) == steps
