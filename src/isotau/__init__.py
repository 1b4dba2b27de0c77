"""isotau: trained rate RNNs on neuromorphic hardware, their timescales measured.

Everywhere time is the first axis, batch the second and neuron the last; weights are
post × pre; units are SI. Names that need torch, Norse, scipy or Lava load on first use.
"""

from importlib import import_module
from typing import Any

from isotau.convert.ground.errors import DoesNotFit as DoesNotFit
from isotau.convert.ground.errors import UnreadableFile as UnreadableFile
from isotau.convert.records.fixedpoint import FixedPointNetwork as FixedPointNetwork
from isotau.convert.records.fixedpoint import WeightBlock as WeightBlock
from isotau.convert.records.lif import LIFNetwork as LIFNetwork
from isotau.convert.records.rate import RateRNN as RateRNN
from isotau.convert.records.spikes import Spikes as Spikes
from isotau.convert.records.storage import fingerprint as fingerprint
from isotau.convert.records.storage import load as load
from isotau.convert.records.storage import same as same
from isotau.convert.records.storage import save as save
from isotau.convert.records.trials import Trials as Trials
from isotau.convert.simulate.readout import read_out as read_out

__version__ = "0.1.0"
_LATER = {
    "ConvertConfig": "isotau.convert.to_lif.convert_rate",
    "convert_rate": "isotau.convert.to_lif.convert_rate:convert",
    "rate_to_lif": "isotau.convert.to_lif.search_lambda",
    "read_rate": "isotau.convert.read.read_rate",
    "read_spikernn": "isotau.convert.read.read_spikernn",
    "replicate": "isotau.convert.to_lif.change_variables",
    "search_lambda": "isotau.convert.to_lif.search_lambda",
    "tanh_to_sigmoid": "isotau.convert.to_lif.change_variables",
    "LIFModule": "isotau.convert.simulate.norse_module",
    "simulate_lif": "isotau.convert.simulate.lif_dynamics",
    "quantize": "isotau.convert.to_fixed.quantize",
    "run_lava": "isotau.targets.on_lava.to_lava",
    "run_pipeline": "isotau.jobs.pipeline",
    "quantize_on": "isotau.jobs.quantize_foreign",
    "dequantize": "isotau.convert.to_fixed.dequantize",
    "check": "isotau.targets.check",
    "export_lava": "isotau.targets.on_lava.lava_export",
    "fixed_to_onnx": "isotau.targets.onnx_model.scan",
    "from_nir": "isotau.targets.nir_graph.from_nir",
    "from_norse": "isotau.targets.nir_graph.from_norse",
    "group_profiles": "isotau.targets.on_lava.profiles",
    "open_network": "isotau.targets.open_network",
    "place": "isotau.targets.loihi.place",
    "verify_onnx": "isotau.targets.onnx_model.verify_onnx",
    "write_nir": "isotau.targets.nir_graph.to_nir",
    "write_onnx": "isotau.targets.onnx_model.model_file",
    "read_spike_times": "isotau.sim.recorded",
    "tune": "isotau.convert.tuning.loop",
    "TuneConfig": "isotau.convert.tuning.learner.config",
    "Objective": "isotau.convert.tuning.loss.objective",
    "TuningPlan": "isotau.jobs.run_config",
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
