"""Timescales of recorded neurons: from a lab's file to a table.

Usage: python examples/lab_timescales.py [FILE]

Without a file it writes a session whose timescales it knows and reads that: an NWB file
where pynwb is installed, else the same as a plain .npz.
"""

import sys
from datetime import datetime, timezone
from pathlib import Path

import numpy as np

import isotau
from isotau.sim import recorded
from isotau.sim.timescales import generators

TAUS, TRIALS, EVERY = (0.05, 0.1, 0.2), 80, 4.0


def write_session(folder: Path) -> Path:
    """Write three neurons with timescales and a Poisson one, 80 trials of 1 s."""
    rng = np.random.default_rng(1)
    law = generators.log_gaussian(15.0, 12.0, TAUS)
    made = generators.doubly_stochastic(law, trials=TRIALS, duration=1.0, rng=rng)
    none = generators.poisson(15.0, trials=TRIALS, duration=1.0, rng=rng)
    session = recorded.join([made.data, none.data])
    try:
        import pynwb
    except ModuleNotFoundError:
        return recorded.write_arrays(session, folder / "session.npz")
    starts = EVERY * np.arange(TRIALS)
    date = datetime(2020, 1, 1, tzinfo=timezone.utc)
    nwb = pynwb.NWBFile("generated", "1", date)
    for start in starts:
        nwb.add_trial(start_time=start, stop_time=start + 3.0)
    for k in range(session.n):
        pairs = zip(starts, isotau.of_neuron(session, k), strict=True)
        nwb.add_unit(spike_times=np.concatenate([at + times for at, times in pairs]))
    with pynwb.NWBHDF5IO(folder / "session.nwb", "w") as stream:
        stream.write(nwb)
    return folder / "session.nwb"


def main(path: Path) -> None:
    options = {"window": (0.0, 1.0)} if path.suffix == ".nwb" else {}
    neurons = recorded.read_spike_times(path, **options)
    old, new = isotau.kim(neurons), isotau.ml(neurons)
    print("neuron  rate (Hz)  kim τ (ms)  ml τ (ms)  95 % interval    ml says")
    for k in range(neurons.n):
        span = f"{1e3 * new.low[k]:.0f} to {1e3 * new.high[k]:.0f}"
        taus = f"{1e3 * old.tau[k]:11.0f} {1e3 * new.tau[k]:10.0f}"
        print(f"{k:6d} {new.rate[k]:10.1f} {taus}  {span:<15}  {new.status[k].value}")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else write_session(Path.cwd()))
