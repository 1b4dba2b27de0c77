"""isotau: trained rate RNNs on neuromorphic hardware, their timescales measured.

Everywhere time is the first axis, batch the second and neuron the last; weights are
post × pre; units are SI. Names that need torch, Norse, scipy or Lava load on first use.
"""

from importlib import import_module
from typing import Any

from isotau.convert.errors import DoesNotFit as DoesNotFit
from isotau.convert.errors import UnreadableFile as UnreadableFile
from isotau.convert.fixedpoint import FixedPointNetwork as FixedPointNetwork
from isotau.convert.fixedpoint import WeightBlock as WeightBlock
from isotau.convert.lif import LIFNetwork as LIFNetwork
from isotau.convert.rate import RateRNN as RateRNN
from isotau.convert.readout import read_out as read_out
from isotau.convert.spikes import Spikes as Spikes
from isotau.convert.storage import fingerprint as fingerprint
from isotau.convert.storage import load as load
from isotau.convert.storage import same as same
from isotau.convert.storage import save as save
from isotau.convert.trials import Trials as Trials

__version__ = "0.1.0"
_LATER = {
    "read_spikernn": "isotau.convert.read_spikernn",
    "rate_to_lif": "isotau.convert.rate_to_lif",
    "search_lambda": "isotau.convert.rate_to_lif",
    "LIFModule": "isotau.convert.norse_module",
    "simulate_lif": "isotau.convert.lif_dynamics",
    "quantize": "isotau.convert.quantize",
    "run_lava": "isotau.targets.to_lava",
    "kim": "isotau.sim.timescales.kim",
    "run_pipeline": "isotau.pipeline",
}


def __getattr__(name: str) -> Any:
    """Return a public name from the module that `_LATER` gives for it."""
    if name not in _LATER:
        raise AttributeError(f"module 'isotau' has no attribute {name!r}")
    return getattr(import_module(_LATER[name]), name)
