"""Run this folder's network in Lava: simulated on this machine, or on a Loihi chip.

    python run.py                                     simulate Loihi 2
    python run.py --config loihi1-sim --steps 200     simulate Loihi 1, 200 steps
    python run.py --config loihi2-hw --out chip.npz   run on the chip

Needs lava-nc 0.10.0, numpy and scipy; on a chip also Intel's extension lava-loihi.
Trials run one after the other, each from power-up. The result is an .npz with `spikes`
(steps × trials × neurons, true where one spiked), `dt` in seconds, and `config`.
"""

import argparse
import dataclasses
import importlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from isotau.targets.on_lava.lava_script.network import (
    CONFIGS,
    profiles,
    read_messages,
    read_network,
    refuse,
)

HERE = Path(__file__).resolve().parent
NETWORK, SHARED = "network.npz", "hardware.npz"
"""On the chip neurons share compartment profiles, and so time constants. A network that
no chip can run has no second file."""
DEFECTIVE = "lava.magma.compiler.var_model"
"""The module of Lava that every other one needs and Python 3.11 refuses."""
UNHASHED = "ByteEncoder"


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse the command line, run every trial and write the spikes."""
    options = parse(arguments)
    hardware = options.config.endswith("-hw")
    try:
        # Lava's simulation keeps every neuron's own registers.
        shared = hardware and (HERE / SHARED).exists()
        net = read_network(options.network or HERE / (SHARED if shared else NETWORK))
        messages = read_messages(options.messages, net, options.steps)
        refuse(net, messages, options.config)
    # A line instead of a traceback: the file or the options are at fault.
    except (OSError, ValueError, KeyError) as error:
        sys.exit(f"run.py: {error}")
    # Lava is imported last: it takes seconds, and mistakes should be told at once.
    accept_lava()
    from isotau.targets.on_lava.lava_script.wiring import run_trial

    if hardware and options.partition:
        from lava.utils import loihi

        loihi.use_slurm_host(partition=options.partition)
    # A chip needs one process for each profile; in simulation one does for all.
    populations = options.populations or ("profiles" if hardware else "one")
    groups = profiles(net) if populations == "profiles" else [np.arange(net.n)]
    trials = [
        run_trial(
            net, messages[:, k], groups, options.config, seed=options.seed, trial=k
        )
        for k in range(messages.shape[1])
    ]
    spikes = np.stack(trials, axis=1)
    dt = net.plain["dt"]
    np.savez_compressed(options.out, spikes=spikes, dt=dt, config=options.config)
    rate = spikes.mean() / dt
    print(
        f"{options.out}: {spikes.sum()} spikes in {len(trials)} trials, {rate:.3g} Hz"
    )


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Return what the command line chose."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--config", choices=list(CONFIGS), default="loihi2-sim")
    parser.add_argument("--messages", type=Path, default=HERE / "messages.npz")
    parser.add_argument("--out", type=Path, default=Path("spikes.npz"))
    parser.add_argument("--steps", type=int, help="default: all in the file")
    parser.add_argument("--seed", type=int, default=0, help="of the membrane noise")
    parser.add_argument("--network", type=Path, help="another network's .npz")
    parser.add_argument(
        "--populations",
        choices=("one", "profiles"),
        help="one LIF process, or one for each (du, dv, vth), as Lava's documentation "
        "of LIF asks for; default: one simulated, profiles on the chip",
    )
    parser.add_argument("--partition", help="SLURM partition of the chip's cloud")
    return parser.parse_args(arguments)


def accept_lava() -> None:
    """Make Lava importable on Python 3.11 and newer; does nothing on 3.10.

    lava-nc 0.10.0 gives some dataclasses an instance of its own dataclass `ByteEncoder`
    as a default, which has no hash. Since 3.11 that is refused as mutable, and any
    `import lava…` fails. Here the class has the identity hash while its module is
    imported; nothing stays changed.
    """
    if sys.version_info < (3, 11) or DEFECTIVE in sys.modules:
        return
    original: Any = dataclasses.dataclass
    encoders: list[Any] = []

    def dataclass(cls: Any = None, /, **options: Any) -> Any:
        result = original(cls, **options)
        # All other dataclasses are left as they are, with whatever options they have.
        if cls is not None and cls.__module__ == DEFECTIVE and cls.__name__ == UNHASHED:
            result.__hash__ = object.__hash__
            encoders.append(result)
        return result

    vars(dataclasses)["dataclass"] = dataclass
    try:
        importlib.import_module(DEFECTIVE)
    finally:
        vars(dataclasses)["dataclass"] = original
        for encoder in encoders:
            encoder.__hash__ = None


if __name__ == "__main__":
    main()
