"""Do the reference engine and Lava give the same bits? Random networks, every step.

Usage: python -m benchmarks.targets.lava_identity [--networks 100] [--seed 0]
                                                  [--json FILE]

Half of the networks are extreme. Half have noise and refractory periods and run in
isotau's own Lava process, the rest in Lava's LIF. Exit status 1 if a bit differs.
"""

import json
import platform
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np

from benchmarks.command import command_parser
from benchmarks.engine.random_networks import random_messages, random_network
from isotau.cli.progress import bars
from isotau.convert.ground.files import write_text
from isotau.sim.engines import reference
from isotau.targets.on_lava.to_lava import run_lava

LARGE_EVERY = 10
"""One of so many networks has 200 neurons; the others have at most 60."""


def compare(seed: int, number: int) -> dict[str, int]:
    """Run one network in both; return what was compared and what differed."""
    rng = np.random.default_rng([seed, number])
    large = number % LARGE_EVERY == LARGE_EVERY - 1
    n, steps = (200, 500) if large else (int(rng.integers(1, 61)), 150)
    batch = int(rng.integers(1, 5))
    # Each of the four kinds equally often.
    extreme, bare = number % 2 == 0, number % 4 < 2
    net = random_network(rng, n, extreme=extreme, bare=bare)
    sent = random_messages(rng, net, steps, batch, extreme=extreme)
    runs = [
        run(net, sent, seed=number, record=("u", "v"))
        for run in (reference.run, run_lava)
    ]
    spikes = [run.spikes.bits for run in runs]
    differ = int(np.unpackbits(spikes[0] ^ spikes[1]).sum())
    for name in ("u", "v"):
        engine, lava = (getattr(run, name) for run in runs)
        differ += int((engine != lava).sum())
    return {
        "neurons": n,
        "trial_steps": steps * batch,
        "values": 3 * steps * batch * n,
        "spikes": int(np.unpackbits(spikes[0]).sum()),
        "differ": differ,
    }


def main() -> int:
    parser = command_parser("benchmarks.targets.lava_identity", __doc__)
    parser.add_argument("--networks", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="also write the figures here")
    options = parser.parse_args()
    rows = [
        compare(options.seed, number)
        for number in bars(range(options.networks), "engine against Lava")
    ]
    total = {key: sum(row[key] for row in rows) for key in rows[0]}
    total |= {
        "networks": len(rows),
        "networks_differing": sum(row["differ"] > 0 for row in rows),
        "python": platform.python_version(),
        "numpy": version("numpy"),
        "lava-nc": version("lava-nc"),
    }
    text = json.dumps(total, indent=2)
    print(text)
    if options.json:
        write_text(options.json, text + "\n")
    return int(total["differ"] > 0)


if __name__ == "__main__":
    sys.exit(main())
