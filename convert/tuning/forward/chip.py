"""`ChipDynamics`: dynamics whose forward pass is the chip's, integer for integer.

A message arrives one step after it is sent, so that the network answers one step later
than in floats. The spikes are those of every engine on the network that
`ChipDynamics.fixed` returns; the gradient passes straight through the rounding
(`chip_coefficients`).
"""

from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float64
from torch import Tensor

from isotau.convert.chip import arithmetic
from isotau.convert.ground.representation import short_repr
from isotau.convert.records.fixedpoint import FixedPointNetwork
from isotau.convert.records.lif import LIFNetwork, Ranges, decay_fraction
from isotau.convert.simulate.norse_module import LIFModule, to_network
from isotau.convert.simulate.trainable import TRAINABLE
from isotau.convert.to_fixed.quantize import QuantizeConfig, messages, quantize
from isotau.convert.to_fixed.weight_blocks import clipped
from isotau.convert.tuning.forward.chip_coefficients import (
    Clipped,
    coefficients,
    straight,
)
from isotau.convert.tuning.forward.chip_loop import run_steps
from isotau.convert.tuning.forward.chip_pass import (
    ChipSegment,
    Program,
    program_of,
    run_compiled,
)
from isotau.convert.tuning.forward.dynamics import ForwardRun, ForwardState
from isotau.convert.tuning.forward.units import in_volts

PLAIN = QuantizeConfig()


@short_repr
@dataclass(frozen=True, slots=True, eq=False)
class ChipDynamics:
    """Dynamics that quantize the module's present parameters and run the integers.

    The state scale is chosen anew for every update unless the configuration names one.
    Gradients do not depend on it, but roundings do: with few bits, or where it pays
    that grids stay where they are, give a configuration with a `state_scale`.

    Attributes:
        net: the network before tuning, in volts; what the module does not change is
            taken from here.
        unit: volts of the module's units.
        ranges: what the network's states visit.
        input_peak: largest |input| that it will be shown.
        config: of the quantizer.
        compiled: whether modules on the CPU run in the compiled pass; in torch
            operations otherwise, as on other devices.
    """

    net: LIFNetwork
    unit: Float64[np.ndarray, " n"]
    ranges: Ranges
    input_peak: float
    config: QuantizeConfig = PLAIN
    compiled: bool = True

    def prepare(self, module: LIFModule) -> "PreparedChip":
        """Return the network, ready to run.

        Raises:
            DoesNotFit: the present parameters do not fit the chip.
        """
        net = self.network(module)
        fixed = self._quantized(net, traced=False)
        compiled = self.compiled and module.w_rec.device.type == "cpu"
        # "split" and "keep" choose exponents that hold every weight.
        clipping = self.config.outliers in ("clip", "fit")
        cut = _clipped(net, fixed) if clipping else None
        return PreparedChip(module, fixed, self.unit, cut, compiled)

    def fixed(self, module: LIFModule) -> FixedPointNetwork:
        """Return the integers that a module runs as, traced to its network."""
        return self._quantized(self.network(module), traced=True)

    def network(self, module: LIFModule) -> LIFNetwork:
        """Return the network of a module in volts; what it left as it was, to the bit.

        A parameter's numbers are the module's; of what does not train those that are
        not `net`'s, rounded to the module's type.
        """
        present = in_volts(to_network(module), self.unit)
        trained = {name for name, _ in module.named_parameters()}
        fields = {}
        for name in TRAINABLE:
            value, before = getattr(present, name), getattr(self.net, name)
            if name not in trained:
                # The module's type may hold fewer digits than the network.
                rounded = torch.tensor(before, dtype=module.w_rec.dtype).double()
                value = np.where(value == rounded.numpy(), before, value)
            fields[name] = value
        return replace(self.net, **fields)

    def _quantized(self, net: LIFNetwork, *, traced: bool) -> FixedPointNetwork:
        return quantize(
            net,
            self.ranges,
            input_peak=self.input_peak,
            config=self.config,
            traced=traced,
        )


class PreparedChip:
    """A network as `ChipDynamics` runs it."""

    def __init__(
        self,
        module: LIFModule,
        fixed: FixedPointNetwork,
        unit: Float64[np.ndarray, " n"],
        cut: Clipped | None,
        compiled: bool,
    ) -> None:
        """Keep the integers; see `ChipDynamics`."""
        self.module, self.fixed, self.unit, self.cut = module, fixed, unit, cut
        self.program: Program | None = program_of(fixed) if compiled else None

    def start(self, batch: int) -> ForwardState:
        """Return the state at power-up; u as the chip holds it, before its decay."""
        module, fixed = self.module, self.fixed
        weights = module.w_rec.detach()

        # float64 whatever the module's type: it holds all of the chip's integers
        u, v = (
            weights.new_tensor(value, dtype=torch.float64).expand(batch, -1)
            for value in (fixed.u0, fixed.v0)
        )
        if module.tau_syn.requires_grad and fixed.u0.any():
            # u0 makes up for the decay before its first use, which depends on τ_syn
            keep = torch.exp(-module.dt / module.tau_syn.double())
            u = straight(u * keep.detach() / keep, u)
        # Nothing is under way at power-up: no spike, no message. (L14)
        z = weights.new_zeros(batch, fixed.n)
        x = weights.new_zeros(batch, fixed.n_in)
        return ForwardState(z, v, u, torch.zeros_like(z, dtype=torch.int64), x)

    def run(
        self,
        inputs: Tensor,
        state: ForwardState,
        *,
        seed: int | None,
        step: int,
        every: int = 0,
    ) -> ForwardRun:
        """Return what the chip does; see `Prepared.run`.

        Raises:
            DoesNotFit: an input needs a message beyond 32 bits.
        """
        module, weights = self.module, self.module.w_rec
        # The chip hears a message a step after it was sent.
        earlier = torch.cat([state.x[None], inputs[:-1]]).detach().double()
        segment = ChipSegment(
            fixed=self.fixed,
            unit=self.unit,
            program=self.program,
            damping=module.damping,
            surrogate=module.surrogate,
            sent=messages(self.fixed, earlier.cpu().numpy()),
            seed=seed,
            step=step,
            every=every,
        )
        # The loop's integers need float64, which the coefficients then share.
        loop = self.program is None
        dtype = torch.float64 if loop else weights.dtype
        values = coefficients(module, self.fixed, self.unit, self.cut, dtype)
        run = (run_steps if loop else run_compiled)(segment, values, state)
        spikes = run.spikes.to(weights.dtype)
        end = run.state._replace(z=spikes[-1], x=inputs[-1])
        return ForwardRun(spikes, end, run.currents.to(weights.dtype))


def _clipped(net: LIFNetwork, fixed: FixedPointNetwork) -> Clipped:
    """Return the weights that quantization cut at the top of their block."""
    # the gain by which `quantize` makes up for the rounding of τ_syn
    loss = (fixed.du + float(arithmetic.DU_OFFSET)) / arithmetic.DECAY_UNITY
    gain = loss / decay_fraction(net.tau_syn, net.dt)
    per_volt = (fixed.u_per_volt * gain / (1 << arithmetic.INPUT_SHIFT))[:, None]
    return Clipped(
        clipped("input", fixed.blocks, net.w_in * per_volt / fixed.input_scale),
        clipped("recurrent", fixed.blocks, net.w_rec * per_volt),
    )
