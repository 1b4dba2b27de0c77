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
from isotau.convert.records.fixedpoint import FixedPointNetwork, u_per_volt
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
from isotau.convert.tuning.forward.dynamics import ForwardState
from isotau.convert.tuning.forward.units import in_volts

PLAIN = QuantizeConfig()


@short_repr
@dataclass(frozen=True, slots=True, eq=False)
class ChipDynamics:
    """Dynamics that quantize the module's present parameters and run the integers.

    The state scale is chosen anew for every update unless the configuration names one.
    Gradients do not depend on it, but roundings do: with few bits, or where it pays
    that grids stay where they are, give the configuration that `frozen_scale` returns.

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
        cut = None
        if self.config.outliers in ("clip", "fit"):
            cut = _clipped(net, fixed)
        return PreparedChip(module, fixed, self.unit, cut, compiled)

    def fixed(self, module: LIFModule) -> FixedPointNetwork:
        """Return the integers that a module runs as, traced to its network."""
        return self._quantized(self.network(module), traced=True)

    def network(self, module: LIFModule) -> LIFNetwork:
        """Return the network of a module in volts; what it left as it was, to the bit.

        A parameter's numbers are the module's; of what does not train those that are
        not `net`'s, rounded to the module's type.
        """
        made = in_volts(to_network(module), self.unit)
        trained = {name for name, _ in module.named_parameters()}
        fields = {}
        for name in TRAINABLE:
            value, given = getattr(made, name), getattr(self.net, name)
            if name not in trained:
                rounded = torch.tensor(given, dtype=module.w_rec.dtype).double()
                value = np.where(value == rounded.numpy(), given, value)
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


def frozen_scale(
    net: LIFNetwork,
    ranges: Ranges,
    *,
    input_peak: float,
    config: QuantizeConfig = PLAIN,
    room: float = 2.0,
) -> QuantizeConfig:
    """Return a configuration whose state scale no longer follows the parameters.

    It is the one that `quantize` chooses for the network now, less `room`: thresholds,
    biases and weights may grow by as much before they leave their registers.

    Args:
        net: the network before tuning.
        ranges: what its states visit.
        input_peak: largest |input| that it will be shown.
        config: choices.
        room: factor, at least 1.

    Raises:
        ValueError: populations with scales of their own, which one number cannot hold.
    """
    if not room >= 1:
        raise ValueError(f"room: got {room}, need at least 1")
    scale = quantize(
        net, ranges, input_peak=input_peak, config=config, traced=False
    ).state_scale
    if np.ptp(scale) > 1e-9 * scale.max():
        raise ValueError(
            f"state_scale: got {scale.min():.4g} to {scale.max():.4g} in several "
            "populations, need one to freeze; leave it to each update"
        )
    return replace(config, state_scale=float(scale[0]) / room)


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

        def repeated(value: np.ndarray) -> Tensor:
            return weights.new_tensor(value, dtype=torch.float64).expand(batch, -1)

        u = repeated(fixed.u0)
        if module.tau_syn.requires_grad and fixed.u0.any():
            # u0 makes up for the decay before its first use, which depends on τ_syn
            kept = torch.exp(-module.dt / module.tau_syn.double())
            u = straight(u * kept.detach() / kept, u)
        z = weights.new_zeros(batch, fixed.n)
        x = weights.new_zeros(batch, fixed.n_in)
        return ForwardState(
            z, repeated(fixed.v0), u, torch.zeros_like(z, dtype=torch.int64), x
        )

    def run(
        self, inputs: Tensor, state: ForwardState, *, seed: int | None, step: int
    ) -> tuple[Tensor, ForwardState]:
        """Return the spikes and the state; see `Prepared.run`.

        Raises:
            DoesNotFit: an input needs a message beyond 32 bits.
        """
        module = self.module
        earlier = torch.cat([state.x[None], inputs[:-1]]).detach().double()
        sent = messages(self.fixed, earlier.cpu().numpy())
        dtype = torch.float64 if self.program is None else module.w_rec.dtype
        have = coefficients(module, self.fixed, self.unit, self.cut, dtype)
        if self.program is None:
            spikes, end = run_steps(
                *(module, self.fixed, self.unit, have, sent, state),
                seed=seed,
                step=step,
            )
            spikes = spikes.to(module.w_rec.dtype)
            return spikes, end._replace(z=spikes[-1], x=inputs[-1])
        job = ChipSegment(
            fixed=self.fixed,
            unit=self.unit,
            program=self.program,
            damping=module.damping,
            surrogate=module.surrogate,
            sent=sent,
            seed=seed,
            step=step,
            taped=torch.is_grad_enabled(),
        )
        spikes, end = run_compiled(job, have, state)
        return spikes, end._replace(z=spikes[-1], x=inputs[-1])


def _clipped(net: LIFNetwork, fixed: FixedPointNetwork) -> Clipped:
    """Return the weights that quantization cut at the top of their block."""
    kept = (fixed.du + float(arithmetic.DU_OFFSET)) / arithmetic.DECAY_UNITY
    gain = kept / decay_fraction(net.tau_syn, net.dt)
    wanted = (u_per_volt(fixed) * gain / (1 << arithmetic.INPUT_SHIFT))[:, None]
    return Clipped(
        clipped("input", fixed.blocks, net.w_in * wanted / fixed.input_scale),
        clipped("recurrent", fixed.blocks, net.w_rec * wanted),
    )
