"""States: timescales of what a network remembers, and whether two stages share them.

A simulator can read the state of every synapse. There nearly every neuron has a
timescale after a few minutes of simulated time, where its spikes tell it after hours.
"""

from isotau.sim.states.autocovariance import (
    BlockedAutocovariance as BlockedAutocovariance,
)
from isotau.sim.states.autocovariance import (
    autocovariance_blocks as autocovariance_blocks,
)
from isotau.sim.states.compare_networks import compare as compare
from isotau.sim.states.comparison import StateComparison as StateComparison
from isotau.sim.states.decide import Decision as Decision
from isotau.sim.states.decide import Margins as Margins
from isotau.sim.states.decide import Outcome as Outcome
from isotau.sim.states.decide import decide as decide
from isotau.sim.states.in_words import sentence as sentence
from isotau.sim.states.in_words import summary as summary
from isotau.sim.states.memory_states import MemoryModel as MemoryModel
from isotau.sim.states.memory_states import Switching as Switching
from isotau.sim.states.memory_states import find_memory_states as find_memory_states
from isotau.sim.states.paired import PairedTau as PairedTau
from isotau.sim.states.paired import paired as paired
from isotau.sim.states.sequence import StateBudget as StateBudget
from isotau.sim.states.sequence import StateSource as StateSource
from isotau.sim.states.sequence import StateTrials as StateTrials
from isotau.sim.states.sequence import compare_states as compare_states
from isotau.sim.states.state_shape import StateShape as StateShape
from isotau.sim.states.state_shape import state_shape as state_shape
from isotau.sim.states.state_tau import StateTau as StateTau
from isotau.sim.states.state_tau import state_tau as state_tau
