"""Memory code: which units hold what was shown, and for how long in the same way."""

from isotau.sim.coding.measure import StageData as StageData
from isotau.sim.coding.measure import measure_stages as measure_stages
from isotau.sim.coding.memory_code import CodingConfig as CodingConfig
from isotau.sim.coding.memory_code import MemoryCode as MemoryCode
from isotau.sim.coding.responses import FIRST_STIMULUS as FIRST_STIMULUS
from isotau.sim.coding.responses import Responses as Responses
from isotau.sim.coding.responses import respond as respond
