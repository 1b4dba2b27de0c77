"""A network in Loihi's integers and the messages for it, read from .npz files.

u and v are 24-bit integers. One time step of neuron i, as Lava and the chip compute it:

    u ← u·(4096 − (du + 1))/4096 + 64·input              synaptic current
    v ← v·(4096 − dv)/4096 + u + bias_mant·2^bias_exp    membrane, saturates at ±2^23
    spike where v > 64·vth, and v ← 0 there
"""

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

HW_MESSAGE_BITS = 24
"""Bits of a graded message on the chip; Lava's simulation keeps int32."""
CONFIGS = {
    "loihi1-sim": "Loihi1SimCfg",
    "loihi2-sim": "Loihi2SimCfg",
    "loihi1-hw": "Loihi1HwCfg",
    "loihi2-hw": "Loihi2HwCfg",
}
"""Lava's run configurations. The simulations give the same spikes, to the bit."""


class StoredNetwork(NamedTuple):
    """A network's numbers, as stored."""

    arrays: dict[str, npt.NDArray[Any]]
    """One number per neuron: du, dv, vth, bias_mant, bias_exp, refractory, noise_exp,
    current_noise_exp, u0, v0."""
    plain: dict[str, Any]
    """What is no array: n_in, reset_interval, reset_offset, dt."""
    blocks: list[dict[str, Any]]
    """Connections: source ("input" or "recurrent"), pre (the sources' indices), weights
    (post × pre), weight_exp, num_weight_bits, sign_mode, delay (further steps), binary
    (any message but 0 is one spike)."""

    @property
    def n(self) -> int:
        """Number of neurons."""
        return len(self.arrays["du"])


def read_network(path: Path) -> StoredNetwork:
    """Return the network in an .npz: arrays, and JSON for what is no array."""
    with np.load(path, allow_pickle=False) as stored:
        arrays = {name: stored[name] for name in stored.files}
    plain = json.loads(str(arrays.pop("isotau")))["fields"]
    blocks = plain.pop("blocks")
    # A block's arrays stand beside the others, its numbers in the text.
    for k, block in enumerate(blocks):
        for name in ("pre", "weights"):
            block[name] = arrays.pop(f"blocks.{k}.{name}")
    return StoredNetwork(arrays, plain, blocks)


def read_messages(
    path: Path, net: StoredNetwork, steps: int | None
) -> npt.NDArray[np.int32]:
    """Return what the input channels send: the first `steps`, or all, of the file's.

    Raises:
        ValueError: not steps × trials × channels, or fewer steps.
    """
    with np.load(path, allow_pickle=False) as stored:
        messages: npt.NDArray[np.int32] = stored["messages"]
    if messages.ndim != 3 or messages.shape[2] != net.plain["n_in"]:
        raise ValueError(
            f"messages: got shape {messages.shape}, need steps × trials × "
            f"{net.plain['n_in']} channels"
        )
    # More steps than messages would begin with the first message again.
    steps = len(messages) if steps is None else steps
    if not 1 <= steps <= len(messages):
        raise ValueError(f"--steps: got {steps}, need 1 to {len(messages)}")
    return messages[:steps].astype(np.int32)


def refuse(net: StoredNetwork, messages: npt.NDArray[np.int32], config: str) -> None:
    """Raise a ValueError that names everything the chosen chip cannot run."""
    # Simulated, everything runs.
    if not config.endswith("-hw"):
        return
    graded = [b for b in net.blocks if b["source"] == "input" and not b["binary"]]
    lacks = {
        "membrane noise (noise_exp)": net.arrays["noise_exp"].any(),
        "noise in the current (current_noise_exp)": net.arrays[
            "current_noise_exp"
        ].any(),
        "refractory periods": net.arrays["refractory"].any(),
        "bias exponents below 0": (net.arrays["bias_exp"] < 0).any(),
        "graded input messages": bool(graded) and config == "loihi1-hw",
        # In 64 bits, as |−2^31| is no number of 32.
        f"messages beyond {HW_MESSAGE_BITS} bits": bool(graded)
        and np.abs(messages.astype(np.int64)).max() >= 1 << (HW_MESSAGE_BITS - 1),
    }
    needs = [name for name, present in lacks.items() if present]
    if needs:
        raise ValueError(
            f"{config}: got {', '.join(needs)}, need a network without; simulate it, "
            "or export one that has dropped them"
        )


def profiles(net: StoredNetwork) -> list[npt.NDArray[np.intp]]:
    """Return the neurons of each (du, dv, vth) that occurs.

    Lava's documentation asks for one of each in a LIF process.
    """
    registers = np.stack([net.arrays[name] for name in ("du", "dv", "vth")], axis=1)
    kinds, kind = np.unique(registers, axis=0, return_inverse=True)
    return [np.flatnonzero(kind.reshape(-1) == k) for k in range(len(kinds))]
