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

TAUS, RATE, TRIALS, EVERY, DT = (0.05, 0.1, 0.2, 1e-9), 15.0, 80, 4.0, 1e-3
"""The last neuron's rate is new in every step: it has no timescale."""


def write_session(folder: Path) -> Path:
    """Write neurons whose log rates wander, each with its τ: 80 trials of 1 s."""
    rng = np.random.default_rng(1)
    x, keep = rng.standard_normal((1000, TRIALS, 4)), np.exp(-DT / np.array(TAUS))
    for t in range(1, len(x)):  # an Ornstein-Uhlenbeck process, exact at its steps
        x[t] = keep * x[t - 1] + np.sqrt(1 - keep**2) * x[t]
    spikes = rng.random(x.shape) < DT * RATE * np.exp(0.7 * x - 0.7**2 / 2)
    trains = [[DT * np.flatnonzero(trial) for trial in neuron] for neuron in spikes.T]
    session = recorded.from_trials(trains, window=(0.0, 1.0))
    try:
        import pynwb
    except ModuleNotFoundError:
        return recorded.write_arrays(session, folder / "session.npz")
    starts = EVERY * np.arange(TRIALS)
    nwb = pynwb.NWBFile("made up", "1", datetime(2020, 1, 1, tzinfo=timezone.utc))
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
