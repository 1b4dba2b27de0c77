"""A trace of one neuron of Loihi 2 against the chip's arithmetic.

The trace is rebuilt from the stimulus of Pedersen et al.
(doi:10.1038/s41467-024-52259-9) and has their v in every row that was compared (see
tests/sim/engines/test_trace.py), 128 at spikes included. A neuron with the right
registers gives it bit for bit; with another dv, the comparison says where and by how
much it differs.

Usage: python examples/replay_trace.py [TRACE.csv]
"""

import sys
from pathlib import Path

import isotau

SHIPPED = Path(__file__).parent / "data" / "trace_loihi2.csv"


def main(path: Path) -> None:
    trace = isotau.read_trace(path)
    for dv in (163, 153):
        comparison = isotau.replay(
            trace, isotau.single_neuron(du=4095, dv=dv, vth=25, weight=10)
        )
        print(f"dv = {dv}: {'the same' if comparison.agrees else 'not the same'}")
        print(isotau.describe_replay(comparison))


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else SHIPPED)
