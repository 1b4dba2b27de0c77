"""Recorded neurons: from a lab's files and arrays to spike times in trials."""

from isotau.sim.recorded.from_neo import from_binned as from_binned
from isotau.sim.recorded.from_neo import from_neo as from_neo
from isotau.sim.recorded.read_arrays import from_counts as from_counts
from isotau.sim.recorded.read_arrays import from_session as from_session
from isotau.sim.recorded.read_arrays import from_trials as from_trials
from isotau.sim.recorded.read_arrays import join as join
from isotau.sim.recorded.read_arrays import read_arrays as read_arrays
from isotau.sim.recorded.read_arrays import write_arrays as write_arrays
from isotau.sim.recorded.read_constantinidis import (
    read_constantinidis as read_constantinidis,
)
from isotau.sim.recorded.read_nwb import read_nwb as read_nwb
from isotau.sim.recorded.read_spike_times import read_spike_times as read_spike_times
