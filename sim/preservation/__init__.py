"""Preservation: whether two stages have the same timescales, and by how much not."""

from isotau.sim.preservation.compare import compare_spikes as compare_spikes
from isotau.sim.preservation.compare_curves import CurveComparison as CurveComparison
from isotau.sim.preservation.compare_curves import Curves as Curves
from isotau.sim.preservation.compare_curves import compare_curves as compare_curves
from isotau.sim.preservation.conclusion import Conclusion as Conclusion
from isotau.sim.preservation.conclusion import conclude as conclude
from isotau.sim.preservation.config import PreservationConfig as PreservationConfig
from isotau.sim.preservation.files import read_json as read_json
from isotau.sim.preservation.files import write_json as write_json
from isotau.sim.preservation.pair import Pair as Pair
from isotau.sim.preservation.pair import log_ratios as log_ratios
from isotau.sim.preservation.pair import trial_replicates as trial_replicates
from isotau.sim.preservation.preservation import NetworkResult as NetworkResult
from isotau.sim.preservation.preservation import Preservation as Preservation
from isotau.sim.preservation.preservation import lines as lines
from isotau.sim.preservation.preservation import summary as summary
from isotau.sim.preservation.sensitivity import Sensitivity as Sensitivity
from isotau.sim.preservation.sensitivity import sensitivity as sensitivity
from isotau.sim.preservation.verdict import Endpoint as Endpoint
from isotau.sim.preservation.verdict import Estimate as Estimate
from isotau.sim.preservation.verdict import Verdict as Verdict
