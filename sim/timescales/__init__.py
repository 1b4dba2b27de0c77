"""Timescale estimators: from spikes or signals to one time constant per neuron.

The names stand in `__init__.pyi` and are imported on use, so that a list of estimators
or a table of timescales waits for neither scipy nor numba.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
