from .estimators.acw import acw as acw
from .estimators.acw import integral as integral
from .estimators.direct_fit import direct as direct
from .estimators.estimator import ESTIMATORS as ESTIMATORS
from .estimators.estimator import Estimator as Estimator
from .estimators.exponential import exponential as exponential
from .estimators.kim import kim as kim
from .estimators.ml import MLConfig as MLConfig
from .estimators.ml import ml as ml
from .estimators.pfc import kim_pfc as kim_pfc
from .estimators.population import (
    population_exponential as population_exponential,
)
from .estimators.population import population_kim as population_kim
from .estimators.sttc import sttc as sttc
from .estimators.two_timescales import (
    two_timescales as two_timescales,
)
from .records.autocorrelation import (
    autocorrelation as autocorrelation,
)
from .records.record import Status as Status
from .records.record import Timescales as Timescales
from .records.record import read_csv as read_csv
from .records.record import summary as summary
from .records.record import write_csv as write_csv
from .records.series import Series as Series
from .records.series import Source as Source
from .records.series import as_series as as_series
from .records.series import from_signal as from_signal
