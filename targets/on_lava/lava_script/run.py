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
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from isotau.targets.on_lava.lava_script.network import (
    profiles,
    read_messages,
    read_network,
    refuse,
)

HERE = Path(__file__).resolve().parent
CONFIGS = ("loihi1-sim", "loihi2-sim", "loihi1-hw", "loihi2-hw")
NETWORK, SHARED = "network.npz", "hardware.npz"
"""On the chip neurons share compartment profiles, and so time constants. A network that
no chip can run has no second file."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse the command line, run every trial and write the spikes."""
    chosen = parse(arguments)
    hardware = chosen.config.endswith("-hw")
    try:
        shared = hardware and (HERE / SHARED).exists()
        net = read_network(chosen.network or HERE / (SHARED if shared else NETWORK))
        messages = read_messages(chosen.messages, net, chosen.steps)
        refuse(net, messages, chosen.config)
    except (OSError, ValueError, KeyError) as error:
        sys.exit(f"run.py: {error}")
    accept_lava()
    from isotau.targets.on_lava.lava_script.wiring import run_trial

    if hardware and chosen.partition:
        from lava.utils import loihi

        loihi.use_slurm_host(partition=chosen.partition)
    wanted = chosen.populations or ("profiles" if hardware else "one")
    groups = profiles(net) if wanted == "profiles" else [np.arange(net.n)]
    trials = [
        run_trial(net, messages[:, k], groups, chosen.config, seed=chosen.seed, trial=k)
        for k in range(messages.shape[1])
    ]
    spikes = np.stack(trials, axis=1)
    dt = net.plain["dt"]
    np.savez_compressed(chosen.out, spikes=spikes, dt=dt, config=chosen.config)
    rate = spikes.mean() / dt
    print(f"{chosen.out}: {spikes.sum()} spikes in {len(trials)} trials, {rate:.3g} Hz")


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Return what the command line chose."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--config", choices=CONFIGS, default="loihi2-sim")
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

    lava-nc 0.10.0 gives dataclasses an instance of its class ByteEncoder as a default,
    which has no hash; since 3.11 that is refused as mutable. Here the class has a hash
    while its module is imported.
    """
    if sys.version_info < (3, 11):
        return
    original: Any = dataclasses.dataclass

    def dataclass(cls: Any = None, /, **options: Any) -> Any:
        made = original(cls, **options)
        if cls is not None and cls.__name__ == "ByteEncoder":
            made.__hash__ = object.__hash__
        return made

    vars(dataclasses)["dataclass"] = dataclass
    try:
        import lava.magma.compiler.var_model  # noqa: F401
    finally:
        vars(dataclasses)["dataclass"] = original


if __name__ == "__main__":
    main()
