"""Training for imprecise devices: noisy weights, and updates of limited precision.

A network whose gradients are taken at noisy weights settles where noise costs little
(doi:10.1038/s41467-020-16108-9); a device that moves a weight by whole pulses learns
nothing from updates below one, unless they are rounded at random
(doi:10.48550/arXiv.1502.02551).
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor

from isotau.convert.simulate.norse_module import LIFModule
from isotau.convert.tuning.learner.constraints import Constraints

NOISY = ("w_in", "w_rec")
ROUNDED = ("w_in", "w_rec", "w_out")


@contextmanager
def perturbed(
    module: LIFModule, weight_noise: float, chance: torch.Generator, kept: Constraints
) -> Iterator[None]:
    """Return a context in which input and recurrent weights have Gaussian noise.

    Inside, dynamics are prepared and run, and `backward` is called. After it the
    weights are what they were, bit for bit, and hold the gradients that were taken at
    the noisy ones.

    A weight of 0 that does not train has no noise, nor has an absent synapse. Where
    recurrent weights keep their sign, noise that leads beyond 0 ends there.

    Args:
        module: changed in place while inside.
        weight_noise: standard deviation of what is added to a weight, as a share of the
            root mean square of its matrix's weights that are not 0; 0 changes nothing
            and draws nothing.
        chance: of the noise.
        kept: bounds of the recurrent weights.
    """
    if weight_noise == 0:
        yield
        return
    # kept, not subtracted again: adding and subtracting would round
    clean = {name: getattr(module, name).detach().clone() for name in NOISY}
    try:
        with torch.no_grad():
            for name in NOISY:
                weight = getattr(module, name)
                weight.copy_(_noisy(weight, weight_noise, chance))
            # no device turns a synapse's sign
            module.w_rec.copy_(module.w_rec.maximum(kept.low).minimum(kept.high))
        yield
    finally:
        with torch.no_grad():
            for name, weight in clean.items():
                getattr(module, name).copy_(weight)


def remember_peaks(module: LIFModule) -> None:
    """Keep the largest weight of each matrix that trains, from which steps follow.

    To be called once, before training and before a checkpoint's weights are loaded: the
    peaks then are the same in a run that is resumed. They stand in the module as
    buffers that `state_dict` leaves out.

    Raises:
        ValueError: a matrix that trains has no weight but 0.
    """
    for name in ROUNDED:
        weight = getattr(module, name)
        if not isinstance(weight, torch.nn.Parameter):
            continue
        # a buffer, so that it goes along when the module changes its device
        peak = weight.detach().abs().max()
        if peak == 0:
            raise ValueError(
                f"update_levels: got {name} with no weight but 0, need one that sets "
                f"its step; leave {name} out of train or give it weights"
            )
        module.register_buffer(_peak(name), peak, persistent=False)


def round_update(
    module: LIFModule,
    before: Mapping[str, Tensor],
    levels: int,
    chance: torch.Generator,
) -> None:
    """Replace what weights moved by whole multiples of their matrix's step, in place.

    The step is the matrix's largest weight before training (`remember_peaks`) divided
    by `levels`. A move is rounded up or down at random, so that its mean is kept.
    Biases, potentials and time constants move as they did.

    Args:
        module: after an update.
        before: its parameters before the update, by name.
        levels: steps that the largest weight has; 0 changes nothing and draws nothing.
        chance: of the rounding.

    Raises:
        ValueError: the module's peaks were not remembered.
    """
    if levels == 0:
        return
    for name in ROUNDED:
        if name not in before:
            continue
        peak = getattr(module, _peak(name), None)
        if peak is None:
            raise ValueError(
                f"update_levels: got a module whose largest {name} before training is "
                "not known, need it for the step; call remember_peaks first"
            )
        with torch.no_grad():
            weight = getattr(module, name)
            # (U19), in float64: a step of float32 weights may be below their rounding
            step = peak.double() / levels
            moved = (weight.double() - before[name].double()) / step
            up = torch.rand(
                weight.shape,
                generator=chance,
                dtype=torch.float64,
                device=chance.device,
            )
            whole = torch.floor(moved + up.to(weight.device))
            weight.copy_(before[name].double() + whole * step)


def _noisy(weight: Tensor, share: float, chance: torch.Generator) -> Tensor:
    """Return a matrix with noise (U18)."""
    present = weight != 0
    if not present.any():
        return weight
    normal = torch.randn(
        weight.shape, generator=chance, dtype=weight.dtype, device=chance.device
    ).to(weight.device)
    noisy = weight + share * weight[present].square().mean().sqrt() * normal
    # where new synapses may grow, those of 0 are on the device already
    return noisy if weight.requires_grad else torch.where(present, noisy, weight)


def _peak(name: str) -> str:
    return f"{name}_peak"
