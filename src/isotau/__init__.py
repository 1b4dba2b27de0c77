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
    "ConvertConfig": "isotau.convert.convert_rate",
    "convert_rate": "isotau.convert.convert_rate:convert",
    "rate_to_lif": "isotau.convert.rate_to_lif",
    "read_rate": "isotau.convert.read_rate",
    "read_spikernn": "isotau.convert.read_spikernn",
    "replicate": "isotau.convert.change_variables",
    "search_lambda": "isotau.convert.search_lambda",
    "tanh_to_sigmoid": "isotau.convert.change_variables",
    "LIFModule": "isotau.convert.norse_module",
    "simulate_lif": "isotau.convert.lif_dynamics",
    "quantize": "isotau.convert.quantize",
    "run_lava": "isotau.targets.to_lava",
    "run_pipeline": "isotau.pipeline",
    "quantize_on": "isotau.quantize_foreign",
    "dequantize": "isotau.convert.dequantize",
    "check": "isotau.targets.check",
    "export_lava": "isotau.targets.lava_export",
    "fixed_to_onnx": "isotau.targets.to_onnx.scan",
    "from_nir": "isotau.targets.from_nir",
    "from_norse": "isotau.targets.from_norse",
    "group_profiles": "isotau.targets.profiles",
    "open_network": "isotau.opening",
    "place": "isotau.targets.chip.place",
    "verify_onnx": "isotau.targets.verify_onnx",
    "write_nir": "isotau.targets.to_nir",
    "write_onnx": "isotau.targets.to_onnx.model_file",
    "read_spike_times": "isotau.sim.recorded",
    "tune": "isotau.convert.tuning.loop",
    "TuneConfig": "isotau.convert.tuning.config",
    "Objective": "isotau.convert.tuning.objective",
    "TuningPlan": "isotau.tuning_plan",
    **dict.fromkeys(("TrainConfig", "train", "train_many"), "isotau.convert.training"),
    **dict.fromkeys(("exponential", "kim", "ml"), "isotau.sim.timescales"),
    **dict.fromkeys(("Pair", "compare"), "isotau.sim.preservation"),
}


def __getattr__(name: str) -> Any:
    """Return a public name from the module that `_LATER` gives for it."""
    if name not in _LATER:
        raise AttributeError(f"module 'isotau' has no attribute {name!r}")
    module, _, inside = _LATER[name].partition(":")
    return getattr(import_module(module), inside or name)
