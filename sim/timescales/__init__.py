"""Timescale estimators: from spikes or signals to one time constant per neuron."""

from collections.abc import Callable

from isotau.sim.timescales.estimators.acw import acw as acw
from isotau.sim.timescales.estimators.acw import integral as integral
from isotau.sim.timescales.estimators.direct_fit import direct as direct
from isotau.sim.timescales.estimators.exponential import exponential as exponential
from isotau.sim.timescales.estimators.kim import kim as kim
from isotau.sim.timescales.estimators.ml import MLConfig as MLConfig
from isotau.sim.timescales.estimators.ml import ml as ml
from isotau.sim.timescales.estimators.pfc import kim_pfc as kim_pfc
from isotau.sim.timescales.estimators.population import (
    population_exponential as population_exponential,
)
from isotau.sim.timescales.estimators.population import population_kim as population_kim
from isotau.sim.timescales.estimators.sttc import sttc as sttc
from isotau.sim.timescales.estimators.two_timescales import (
    two_timescales as two_timescales,
)
from isotau.sim.timescales.records.autocorrelation import (
    autocorrelation as autocorrelation,
)
from isotau.sim.timescales.records.record import Status as Status
from isotau.sim.timescales.records.record import Timescales as Timescales
from isotau.sim.timescales.records.record import read_csv as read_csv
from isotau.sim.timescales.records.record import summary as summary
from isotau.sim.timescales.records.record import write_csv as write_csv
from isotau.sim.timescales.records.series import Series as Series
from isotau.sim.timescales.records.series import Source as Source
from isotau.sim.timescales.records.series import as_series as as_series
from isotau.sim.timescales.records.series import from_signal as from_signal

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
