"""What the chip remembers between two steps: where a run starts and where it stops."""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Int32

from isotau.convert.ground.representation import short_repr
from isotau.convert.records.fixedpoint import FixedPointNetwork


@short_repr
class ChipState(NamedTuple):
    """All that a network remembers between two steps; a run goes on from it exactly.

    `ring` holds what is under way in connections: `ring[k]` arrives at the next step
    whose number is k modulo the number of slots: (H1).
    """

    u: Int32[np.ndarray, "batch n"]
    v: Int32[np.ndarray, "batch n"]
    rest: Int32[np.ndarray, "batch n"]
    """Steps left at reset."""
    ring: Int32[np.ndarray, "slots batch n"]
    step: int
    """Steps since power-up; decides noise, resets and the place in the ring."""


def initial_state(net: FixedPointNetwork, batch: int) -> ChipState:
    """Return the state at power-up: u0 and v0, nobody at rest, nothing under way."""
    return ChipState(
        u=np.tile(net.u0, (batch, 1)),
        v=np.tile(net.v0, (batch, 1)),
        rest=np.zeros((batch, net.n), dtype=np.int32),
        ring=np.zeros((net.slots, batch, net.n), dtype=np.int32),
        step=0,  # counted from power-up, as noise is drawn by it (P1)
    )


def check_state(state: Any, batch: int, n: int, slots: int) -> None:
    """Raise unless a state's arrays are as large as a network and a batch want them.

    Args:
        state: a `ChipState`, or what has the same fields.
        batch: number of trials.
        n: number of neurons.
        slots: of the network's ring.

    Raises:
        ValueError: one is not.
    """
    # Compiled engines check no bounds: a wrong shape would write beyond the arrays.
    shapes = dict.fromkeys(("u", "v", "rest"), (batch, n)) | {"ring": (slots, batch, n)}
    for name, need in shapes.items():
        shape = np.shape(getattr(state, name))
        if shape != need:
            raise ValueError(
                f"state.{name}: got shape {shape}, need {need}; go on with the network "
                "and batch that the state came from"
            )
