"""Timescale estimators: from spikes or signals to one time constant per neuron."""

from collections.abc import Callable

from isotau.sim.timescales.acw import acw as acw
from isotau.sim.timescales.acw import integral as integral
from isotau.sim.timescales.autocorrelation import autocorrelation as autocorrelation
from isotau.sim.timescales.direct_fit import direct as direct
from isotau.sim.timescales.exponential import exponential as exponential
from isotau.sim.timescales.kim import kim as kim
from isotau.sim.timescales.ml import MLConfig as MLConfig
from isotau.sim.timescales.ml import ml as ml
from isotau.sim.timescales.pfc import kim_pfc as kim_pfc
from isotau.sim.timescales.population import (
    population_exponential as population_exponential,
)
from isotau.sim.timescales.population import population_kim as population_kim
from isotau.sim.timescales.record import Status as Status
from isotau.sim.timescales.record import Timescales as Timescales
from isotau.sim.timescales.record import read_csv as read_csv
from isotau.sim.timescales.record import summary as summary
from isotau.sim.timescales.record import write_csv as write_csv
from isotau.sim.timescales.series import Series as Series
from isotau.sim.timescales.series import Source as Source
from isotau.sim.timescales.series import as_series as as_series
from isotau.sim.timescales.series import from_signal as from_signal
from isotau.sim.timescales.sttc import sttc as sttc
from isotau.sim.timescales.two_timescales import two_timescales as two_timescales

ESTIMATORS: dict[str, Callable[..., Timescales]] = {
    "ml": ml,
    "exponential": exponential,
    "kim": kim,
    "kim_pfc": kim_pfc,
    "direct": direct,
    "acw": acw,
    "integral": integral,
    "sttc": sttc,
}
"""Estimators by the name that the command line knows."""
