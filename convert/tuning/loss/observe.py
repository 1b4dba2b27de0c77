"""What a network did with a batch, as losses look at it, in segments if asked."""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from isotau.convert.records.spikes import BIN_WIDTH
from isotau.convert.simulate.norse_module import LIFModule
from isotau.convert.tuning.forward.dynamics import ForwardState, Prepared, detach
from isotau.convert.tuning.forward.filtered_readout import read_filtered
from isotau.convert.tuning.loss.batch import Batch
from isotau.convert.tuning.loss.segments import WHOLE, Segments


class Observation(NamedTuple):
    """What a network did in a batch's trials, without the lead.

    Attributes:
        outputs: steps × batch × output.
        counts: bins × batch × neuron: spikes in bins of `bin_steps`; a last bin that
            is not full is left out.
        bin_steps: steps of a bin.
        fired: spikes per neuron and step; None if they were not counted.
        currents: samples × batch × neuron, in volts: the synaptic current right after
            its jump; None if it was not sampled.
        first_sample: steps of the trial after which the first of them was taken.
    """

    outputs: Tensor
    counts: Tensor
    bin_steps: int
    fired: Tensor | None = None
    currents: Tensor | None = None
    first_sample: int = 0


def observe(
    prepared: Prepared,
    module: LIFModule,
    batch: Batch,
    segments: Segments = WHOLE,
    *,
    every: int = 0,
) -> Observation:
    """Return what a network does with a batch; differentiable.

    A segment ends with a bin, so its length is rounded up to whole bins. The readout's
    filter begins with the trial, at f0, as in every stage.

    Args:
        prepared: the network, ready to run.
        module: gives the readout and the units.
        batch: what it is shown.
        segments: how the backward pass is cut.
        every: steps between two samples of the current; 0 for none.
    """
    width = bin_steps(module.dt)
    # a gradient through the lead would pass the first cut
    state = settle(prepared, batch, gradient=not segments.truncate)
    f = module.f0.expand_as(state.v)
    outputs, counts, spikes, currents = [], [], [], []
    steps = batch.inputs.shape[0] - batch.lead
    cuts = [whole_bins(cut, width) for cut in segments if cut]
    length = min(cuts, default=max(steps, 1))
    since = 0
    for first in range(batch.lead, batch.inputs.shape[0], length):
        inputs = batch.inputs[first : first + length]
        # a recomputed segment may be shorter than what is to be cut
        if segments.truncate and since >= segments.truncate:
            state, f, since = detach(state), f.detach(), 0
        since += length
        place = (batch.seed, first, width, every)
        arguments = (prepared, module, inputs, f, *place, *state)
        if segments.recompute and torch.is_grad_enabled():
            # the noise has its own seeds (U4), so torch's need not be kept
            segment = checkpoint(
                run_segment, *arguments, use_reentrant=False, preserve_rng_state=False
            )
        else:
            segment = run_segment(*arguments)
        output, count, total, current, f, *after = segment
        state = ForwardState(*after)
        outputs.append(output)
        counts.append(count)
        spikes.append(total)
        currents.append(current)
    # over all steps: bins leave the last steps of a trial out
    fired = torch.stack(spikes).sum() / (state.v.numel() * steps)
    return Observation(
        *(torch.cat(outputs), torch.cat(counts), width, fired),
        # samples are counted from where the lead began
        torch.cat(currents) * module.unit if every else None,
        every - batch.lead % every if every else 0,
    )


def bin_steps(dt: float) -> int:
    """Return the steps of a bin."""
    return max(1, round(BIN_WIDTH / dt))


def whole_bins(steps: int, width: int) -> int:
    """Return a number of steps rounded up to whole bins of `width` steps."""
    return -(-steps // width) * width


def settle(prepared: Prepared, batch: Batch, *, gradient: bool) -> ForwardState:
    """Return the state in which a batch's trials begin, after their lead.

    Args:
        prepared: the network.
        batch: of trials.
        gradient: whether the state is to be differentiable.
    """
    state = prepared.start(batch.inputs.shape[1])
    if not batch.lead:
        return state
    with torch.set_grad_enabled(gradient and torch.is_grad_enabled()):
        lead = batch.inputs[: batch.lead]
        return prepared.run(lead, state, seed=batch.seed, step=0)[1]


def run_segment(
    prepared: Prepared,
    module: LIFModule,
    inputs: Tensor,
    f: Tensor,
    seed: int | None,
    first: int,
    width: int,
    every: int,
    *state: Tensor,
) -> tuple[Tensor, ...]:
    """Return outputs, counts, spikes in all, currents, filter and state after steps.

    Args:
        prepared: the network.
        module: gives the readout.
        inputs: steps × batch × channel.
        f: filtered spikes before the first step, batch × neuron, in Hz.
        seed: of the membrane noise; None for none.
        first: number of the first step since the lead began.
        width: steps of a bin; those that fill none are not counted.
        every: steps between two samples of the current; 0 for none.
        state: fields of the `ForwardState` before the first step, one by one, as
            torch's checkpoints follow tensors only.
    """
    spikes, after, currents = prepared.run(
        inputs, ForwardState(*state), seed=seed, step=first, every=every
    )
    # the filter goes on over the segment's end, as the state does
    outputs, f = read_filtered(module, spikes, f)
    bins = len(spikes) // width
    binned = spikes[: bins * width].reshape(bins, width, *spikes.shape[1:])
    return (outputs, binned.sum(dim=1), spikes.detach().sum(), currents, f, *after)
