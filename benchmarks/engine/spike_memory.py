"""How much memory do many spikes take? 1000 trials × 10,000 steps × 1000 neurons.

Usage: python -m benchmarks.engine.spike_memory [--trials 1000] [--steps 10000]
                                                [--neurons 1000]

Prints the peak of the process with all that it has imported. Spikes take one bit
each, so that activity does not matter; it is about 4 % of neurons a step. The number
of neurons is one of 50, 200, 1000, 2000.
"""

import resource
import sys
import time

from benchmarks.command import command_parser
from benchmarks.engine.networks import busy, network, silence
from isotau.convert.records.spikes import mean_rate
from isotau.sim.engines import compiled


def main() -> int:
    parser = command_parser("benchmarks.engine.spike_memory", __doc__)
    for name, value in (("trials", 1000), ("steps", 10_000), ("neurons", 1000)):
        parser.add_argument(f"--{name}", type=int, default=value)
    options = parser.parse_args()
    net = network(options.neurons, busy(compiled.run, options.neurons))
    messages = silence(net, options.steps, options.trials)
    start = time.perf_counter()
    spikes = compiled.run(net, messages).spikes
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    active = mean_rate(spikes) * spikes.dt
    print(f"peak {peak:.2f} GiB, of which spikes {spikes.bits.nbytes / 2**30:.2f} GiB")
    print(f"{seconds:.1f} s, {active:.1%} of neurons spike in a step")
    return 0


if __name__ == "__main__":
    sys.exit(main())
