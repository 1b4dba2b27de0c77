"""Norse's layers against Norse itself, spike for spike."""

import numpy as np
import pytest
import torch
from norse.torch import (
    LIBoxCell,
    LICell,
    LIFBoxCell,
    LIFCell,
    LIFParameters,
    LIFRecurrent,
    LIFRecurrentCell,
    LIFRefracRecurrentCell,
    SequentialState,
)
from norse.torch.functional.leaky_integrator_box import LIBoxParameters
from norse.torch.functional.lif_box import LIFBoxParameters
from norse.torch.functional.lif_refrac import LIFRefracParameters
from torch import nn

from isotau.convert.simulate.norse_module import LIFModule
from isotau.targets.nir_graph.from_norse import from_norse
from isotau.targets.nir_graph.graph import CannotImport

STEPS, BATCH, N_IN, N = 150, 3, 5, 12


def numbers(seed, *shape, scale=1.0):
    generator = torch.Generator().manual_seed(seed)
    return scale * torch.randn(*shape, generator=generator)


def parameters(v_leak=0.2, v_reset=-0.1):
    """Different time constants and thresholds for every neuron."""
    return LIFParameters(
        tau_syn_inv=torch.linspace(100, 300, N),
        tau_mem_inv=torch.linspace(50, 200, N),
        v_th=torch.linspace(0.8, 1.2, N),
        v_leak=torch.tensor(v_leak),
        v_reset=torch.tensor(v_reset),
    )


def weights(autapses=True):
    return {
        "input_weights": numbers(1, N, N_IN, scale=2.0),
        "recurrent_weights": numbers(2, N, N, scale=0.6),
        "autapses": autapses,
    }


def stepped(layer, inputs):
    state, spikes = None, []
    for x in inputs:
        z, state = layer(x, state)
        spikes.append(z)
    return torch.stack(spikes)


def ours(read, inputs):
    with torch.no_grad():
        outputs, spikes = LIFModule(read.net)(inputs.double())
    return outputs.numpy(), spikes.numpy() > 0


@pytest.fixture
def inputs():
    return (numbers(0, STEPS, BATCH, N_IN) > 1.0).float()


@torch.no_grad()
@pytest.mark.parametrize("autapses", [True, False])
def test_a_recurrent_cell_spikes_as_in_norse(inputs, autapses):
    cell = LIFRecurrentCell(N_IN, N, parameters(), **weights(autapses))
    theirs = stepped(cell, inputs).numpy() > 0
    read = from_norse(cell)
    assert theirs.sum() > 300
    np.testing.assert_array_equal(ours(read, inputs)[1], theirs)
    assert (np.diag(read.net.w_rec) == 0).all() == (not autapses)
    over_time = LIFRecurrent(N_IN, N, parameters(), **weights(autapses))
    np.testing.assert_array_equal(from_norse(over_time).net.w_rec, read.net.w_rec)


@torch.no_grad()
def test_refractory_periods_are_taken_over(inputs):
    p = LIFRefracParameters(lif=parameters(), rho_reset=torch.tensor(4.0))
    cell = LIFRefracRecurrentCell(N_IN, N, p, **weights())
    # Norse starts all trials with one tensor of potentials.
    state = cell.initial_state(inputs[0])
    v = torch.full((BATCH, N), 0.2)
    state, spikes = state._replace(lif=state.lif._replace(v=v)), []
    for x in inputs:
        z, state = cell(x, state)
        spikes.append(z)
    theirs = torch.stack(spikes).numpy() > 0
    read = from_norse([cell])
    np.testing.assert_allclose(read.net.refractory, 4e-3)
    assert theirs.sum() > 100
    np.testing.assert_array_equal(ours(read, inputs)[1], theirs)


@torch.no_grad()
def test_layers_in_sequence_come_a_step_later_each(inputs):
    hidden = LIFRecurrentCell(N_IN, N, parameters(), **weights())
    between, after = nn.Linear(N, N), nn.Linear(N, 2, bias=False)
    between.weight.copy_(numbers(3, N, N, scale=0.8))
    between.bias.copy_(numbers(4, N, scale=0.05))
    after.weight.copy_(numbers(5, 2, N))
    model = SequentialState(
        hidden,
        nn.Dropout(),
        nn.Sequential(between, LIFCell(parameters(v_leak=0.0, v_reset=0.0))),
        after,
        LIBoxCell(LIBoxParameters(tau_mem_inv=torch.tensor(80.0))),
    ).eval()
    first = stepped(hidden, inputs)
    second = stepped(model[2][1], between(first))
    outputs = stepped(model[4], after(second)).numpy()
    read = from_norse(model)
    assert [p.lag for p in read.populations] == [0, 1]
    made, spikes = ours(read, inputs)
    assert second.sum() > 100
    np.testing.assert_array_equal(spikes[..., :N], first.numpy() > 0)
    np.testing.assert_array_equal(spikes[1:, :, N:], second.numpy()[:-1] > 0)
    np.testing.assert_allclose(made[1:], outputs[:-1], atol=1e-5)


@torch.no_grad()
def test_neurons_without_synapses(inputs):
    linear = nn.Linear(N_IN, N)
    linear.weight.copy_(numbers(6, N, N_IN, scale=8.0))
    cell = LIFBoxCell(LIFBoxParameters(tau_mem_inv=torch.tensor(100.0)))
    theirs = stepped(cell, linear(inputs)).numpy() > 0
    assert theirs.sum() > 100
    np.testing.assert_array_equal(ours(from_norse([linear, cell]), inputs)[1], theirs)


def test_every_unknown_layer_is_named():
    layers = [nn.Linear(3, 4), nn.ReLU(), LIFCell(), LICell()]
    with pytest.raises(CannotImport, match=r"layer 1: got ReLU.*layer 3: got LIC"):
        from_norse(layers)


def test_steps_and_sizes_are_needed():
    with pytest.raises(ValueError, match=r"dt: got \[0.001, 0.002\], need one step"):
        from_norse([nn.Linear(2, 3), LIFCell(), nn.Linear(3, 3), LIFCell(dt=0.002)])
    with pytest.raises(ValueError, match="dt: got no layer with one, need one step"):
        from_norse(nn.Linear(2, 3))
    with pytest.raises(ValueError, match="layers: got none that says its size"):
        from_norse(LIFCell())
