"""Timescale estimators: from spikes to one time constant per neuron."""

from collections.abc import Callable

from isotau.sim.timescales.autocorrelation import autocorrelation as autocorrelation
from isotau.sim.timescales.kim import kim as kim
from isotau.sim.timescales.record import Status as Status
from isotau.sim.timescales.record import Timescales as Timescales
from isotau.sim.timescales.record import read_csv as read_csv
from isotau.sim.timescales.record import summary as summary
from isotau.sim.timescales.record import write_csv as write_csv

ESTIMATORS: dict[str, Callable[..., Timescales]] = {"kim": kim}
"""Estimators by the name that the command line knows."""
