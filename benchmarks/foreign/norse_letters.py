"""The letters in Norse: a network of its cells, and the same as a `LIFNetwork`."""

import numpy as np
import torch
from norse.torch import LIFParameters, LIFRecurrentCell
from torch import Tensor, nn

from benchmarks.foreign import letters
from benchmarks.foreign.training import HIDDEN
from isotau.convert.records.lif import LIFNetwork

DT = 1e-3
TAU_SYN, TAU_MEM = (2e-3, 10e-3), (5e-3, 50e-3)
"""Ranges of the hidden neurons' time constants, in seconds; evenly spaced in log."""
TAU_READOUT = (5e-3, 20e-3)
RATES = {"": 0.012, "loop": 0.004, "last": 0.006}
"""Learning rates, by the name of the weights; the first is for all others."""


class NorseLetters(nn.Module):
    """Two of Norse's recurrent cells, the second without recurrent weights.

    Norse steps with dt/τ; it is handed (1 − exp(−dt/τ))/dt as 1/τ, so that its decays
    are those of the time constants in `tau_syn` and `tau_mem`.
    """

    def __init__(self, seed: int) -> None:
        """Draw weights and order of time constants from a seed."""
        super().__init__()
        generator = torch.Generator().manual_seed(seed)

        def mixed(low: float, high: float) -> Tensor:
            order = torch.randperm(HIDDEN, generator=generator)
            return torch.from_numpy(np.geomspace(low, high, HIDDEN)).float()[order]

        outputs = len(letters.LETTERS)
        constant = torch.ones(outputs)
        self.tau_syn = torch.cat([mixed(*TAU_SYN), TAU_READOUT[0] * constant])
        self.tau_mem = torch.cat([mixed(*TAU_MEM), TAU_READOUT[1] * constant])
        self.first = self._weights(HIDDEN, letters.CHANNELS, 8.0, generator)
        self.loop = self._weights(HIDDEN, HIDDEN, 1.0, generator)
        self.last = self._weights(outputs, HIDDEN, 4.0, generator)
        self.hidden = LIFRecurrentCell(
            letters.CHANNELS,
            HIDDEN,
            p=self._constants(slice(0, HIDDEN)),
            input_weights=self.first,
            recurrent_weights=self.loop,
            autapses=True,
            dt=DT,
        )
        # LIFCell would do, but its gradients pass through the reset and explode.
        self.readout = LIFRecurrentCell(
            HIDDEN,
            outputs,
            p=self._constants(slice(HIDDEN, None)),
            input_weights=self.last,
            recurrent_weights=torch.zeros(outputs, outputs),
            autapses=True,
            dt=DT,
        )

    def _weights(
        self, post: int, pre: int, scale: float, generator: torch.Generator
    ) -> nn.Parameter:
        return nn.Parameter(
            scale * torch.randn(post, pre, generator=generator) / pre**0.5
        )

    def _constants(self, neurons: slice) -> LIFParameters:
        inverse = [
            -torch.expm1(-DT / tau[neurons]) / DT
            for tau in (self.tau_syn, self.tau_mem)
        ]
        # Norse 1.1's default surrogate takes no notice of alpha, and is too wide.
        return LIFParameters(*inverse, method="circ", alpha=0.1)

    def forward(self, events: Tensor) -> tuple[Tensor, Tensor]:
        """Return the spikes of both layers from rest, steps × sweeps × neuron."""
        before, after = None, None
        layers: tuple[list[Tensor], list[Tensor]] = ([], [])
        for x in events:
            z, before = self.hidden(x, before)
            out, after = self.readout(z, after)
            layers[0].append(z)
            layers[1].append(out)
        return torch.stack(layers[0]), torch.stack(layers[1])


def run(net: nn.Module, events: Tensor) -> tuple[Tensor, Tensor]:
    """Return the spikes of both layers."""
    return net(events)


def to_lif(net: NorseLetters) -> LIFNetwork:
    """Return the network as one record: two populations, 40 and 7.

    Its readout neurons spike one step later than Norse's, whose layers pass spikes on
    within a step.
    """
    outputs = len(letters.LETTERS)
    n = HIDDEN + outputs
    w_in, w_rec, w_out = np.zeros((n, 12)), np.zeros((n, n)), np.zeros((outputs, n))
    w_in[:HIDDEN] = net.first.detach().numpy()
    w_rec[:HIDDEN, :HIDDEN] = net.loop.detach().numpy()
    w_rec[HIDDEN:, :HIDDEN] = net.last.detach().numpy()
    w_out[:, HIDDEN:] = np.eye(outputs)
    return LIFNetwork(
        w_in=w_in,
        w_rec=w_rec,
        w_out=w_out,
        b_out=np.zeros(outputs),
        tau_syn=net.tau_syn.double().numpy(),
        tau_mem=net.tau_mem.double().numpy(),
        v_th=np.ones(n),
        v_leak=np.zeros(n),
        v_reset=np.zeros(n),
        refractory=np.zeros(n),
        noise_std=0.0,
        dt=DT,
        population=np.repeat([0, 1], [HIDDEN, outputs]),
    )
